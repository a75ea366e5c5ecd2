"""Storms by the share of declared targets that is faulty at once, and the common cause that they have."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from local.memory_blobs import MemoryBlobContainer
from shared.estate.loading import load_estate
from shared.job_remediation.decision import Circumstances, Course, Why, decide
from shared.job_remediation.declared_targets import member_of
from shared.job_remediation.evidence import Evidence
from shared.job_remediation.intake import reception
from shared.job_remediation.library import playbook_for, shipped_playbooks
from shared.job_remediation.signal import Condition, Signal, Target
from shared.job_remediation.storm import Member, Spread, Weather, spread_of, weather_after, weather_without
from shared.job_remediation.symptoms import Symptom
from tests.job_remediation import deliveries
from tests.job_remediation.places import NOW, the_signal

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMPANY = load_estate((EXAMPLES / "single-company" / "estate.yaml").read_text(), "estate.yaml")
PRODUCTION = COMPANY.environments["production"]
CLUSTER, SERVER = str(PRODUCTION.clusters["main"].id), str(PRODUCTION.postgres["erp"].id)
FIRED = the_signal(deliveries.azure_alert(deliveries.metric_context()))
COOL_DOWN = timedelta(minutes=30)


def fault(number: int, at: datetime = NOW, symptom: Symptom = Symptom.CRASH_LOOP) -> Signal:
    return replace(FIRED, fingerprint=str(number), received_at=at, fired_at=at, symptom=symptom)


def workload(number: int, of: int = 10, root: str = "/aks") -> Member:
    return Member("workload", f"main/w{number}", root, of)


def weather(*members: Member, share: float = 0.3, at: datetime = NOW) -> Weather:
    known = Weather()
    for number, member in enumerate(members):
        known = weather_after(known, fault(number, at), 1000, COOL_DOWN, share, member)
    return known


def test_a_storm_begins_with_the_share_of_targets_that_is_declared() -> None:
    assert not weather(workload(1), workload(2)).is_stormy(NOW)
    stormy = weather(workload(1), workload(2), workload(3))
    assert (stormy.storm_since, stormy.storm_until) == (NOW, NOW + COOL_DOWN)
    assert not weather(workload(1), workload(2), workload(3), share=0.31).is_stormy(NOW)


def test_two_targets_are_no_storm_however_few_there_are() -> None:
    assert not weather(workload(1, of=2), workload(2, of=2)).is_stormy(NOW)


def test_many_faults_of_one_target_are_one_faulty_target() -> None:
    assert not weather(*[workload(1)] * 9).is_stormy(NOW)


def test_targets_of_different_kinds_are_counted_apart() -> None:
    servers = [Member("server", f"/s{number}", f"/s{number}", 10) for number in range(2)]
    assert not weather(workload(1), *servers, workload(2)).is_stormy(NOW)


def test_what_is_faulty_counts_until_it_is_over_or_forgotten() -> None:
    known = weather(workload(1), workload(2))
    later = NOW + timedelta(hours=3)
    assert weather_after(known, fault(7, later), 1000, COOL_DOWN, 0.3, workload(3)).is_stormy(later)
    well = weather_without(known, "0")
    assert not weather_after(well, fault(7, later), 1000, COOL_DOWN, 0.3, workload(3)).is_stormy(later)
    days = NOW + timedelta(hours=25)
    assert not weather_after(known, fault(7, days), 1000, COOL_DOWN, 0.3, workload(3)).is_stormy(days)


def test_a_common_cause_names_the_root_that_all_hang_on() -> None:
    known = weather(workload(1), workload(2), workload(3))
    assert spread_of(known, "2", 0.3) == Spread("workload", "/aks", ("main/w1", "main/w2", "main/w3"), 10)
    assert spread_of(weather_without(known, "0"), "2", 0.3) is None, "too few are left"
    assert spread_of(known, "unheard-of", 0.3) is None
    apart = weather(workload(1), workload(2), workload(3, root="/other"))
    found = spread_of(apart, "2", 0.3)
    assert found is not None
    assert found.root == ""


def test_a_storm_is_the_same_one_until_it_is_over() -> None:
    known = weather(workload(1), workload(2), workload(3))
    later = NOW + timedelta(minutes=20)
    longer = weather_after(known, fault(8, later), 1000, COOL_DOWN, 0.3, workload(4))
    assert (longer.storm_since, longer.storm_until) == (NOW, later + COOL_DOWN)
    again = later + timedelta(hours=1)
    another = weather_after(longer, fault(9, again), 1000, COOL_DOWN, 0.3, workload(5))
    assert (another.storm_since, another.storm_until) == (again, again + COOL_DOWN)


@pytest.mark.parametrize(
    ("target", "kind", "name"),
    [
        (Target(CLUSTER.upper(), namespace="odoo", object="deployment/web"), "workload", "main/web"),
        (Target(cluster="AKS-ERP", namespace="odoo", object="pod/worker-5d9c-x2"), "workload", "main/worker"),
        (Target(CLUSTER, namespace="odoo", object="job/nightly-dump-29381760"), "workload", "main/nightly-dump"),
        (Target(CLUSTER), "cluster", CLUSTER.casefold()),
        (Target(SERVER), "server", SERVER.casefold()),
        (Target(f"{SERVER}/databases/contoso"), "server", SERVER.casefold()),
        (Target(f"{SERVER}2"), None, None),
        (Target(CLUSTER, namespace="other", object="deployment/web"), None, None),
        (Target(CLUSTER, namespace="odoo", object="job/somebodys-1"), None, None),
        (Target(CLUSTER, namespace="odoo", object="job/web-1"), None, None),
        (Target(), None, None),
    ],
)
def test_the_declared_target_of_a_signal(target: Target, kind: str | None, name: str | None) -> None:
    member = member_of(PRODUCTION, replace(FIRED, target=target, tenant=None))
    assert (member.kind if member else None, member.name if member else None) == (kind, name)
    if member and kind == "workload":
        assert (member.root, member.of) == (CLUSTER.casefold(), 4)


def test_queue_jobs_are_of_their_tenants_database() -> None:
    queue = replace(FIRED, target=Target(), tenant="fabrikam", symptom=Symptom.QUEUE_JOBS_FAILED)
    assert member_of(PRODUCTION, queue) == Member("database", "erp/fabrikam", SERVER.casefold(), 2)


@pytest.mark.parametrize("symptom", [Symptom.SESSIONS_BLOCKED, Symptom.ANOMALY])
def test_nothing_is_done_or_told_singly_in_a_storm_or_where_the_cause_is_common(symptom: Symptom) -> None:
    playbook = playbook_for(shipped_playbooks(), symptom)
    wrong = Evidence({"sessions.waiting": 3, "sessions.prepared": 0, "sessions.endable": 1})
    stormy = Circumstances(now=NOW, attempts=0, weather=Weather(storm_since=NOW, storm_until=NOW + COOL_DOWN))
    waiting = decide(fault(1, symptom=symptom), playbook, wrong, stormy)
    assert (waiting.course, waiting.why, waiting.until) == (Course.WAIT, Why.STORM, NOW + COOL_DOWN)
    spread = Spread("workload", "/aks", ("main/w1", "main/w2", "main/w3"), 4)
    common = decide(fault(1, symptom=symptom), playbook, wrong, Circumstances(now=NOW, attempts=0, spread=spread))
    assert (common.course, common.why, common.changes) == (Course.HUMAN, Why.COMMON_CAUSE, ())
    assert "3 of 4" in common.left[0]


def test_what_is_well_by_then_is_over_in_a_storm_too() -> None:
    stormy = Circumstances(now=NOW, attempts=0, weather=Weather(storm_since=NOW, storm_until=NOW + COOL_DOWN))
    blocked = playbook_for(shipped_playbooks(), Symptom.SESSIONS_BLOCKED)
    well = decide(fault(1, symptom=Symptom.SESSIONS_BLOCKED), blocked, Evidence({"sessions.waiting": 0}), stormy)
    assert well.course is Course.OVER


def test_good_news_makes_nothing_faulty() -> None:
    news = weather_after(Weather(), fault(1, symptom=Symptom.MAINTENANCE), 10, COOL_DOWN, 0.3, workload(1))
    over = replace(fault(1), condition=Condition.RESOLVED)
    assert (news.faulty, weather_after(Weather(), over, 10, COOL_DOWN, 0.3, workload(1)).faulty) == ({}, {})


def test_deliveries_are_purged_by_the_day_and_twice_is_once() -> None:
    blobs = MemoryBlobContainer()
    kept, old = NOW - timedelta(days=30), NOW - timedelta(days=31)
    names = {day: f"{reception.RAW}{day.date().isoformat()}/{'0' * 64}" for day in (NOW, kept, old)}
    for name in (*names.values(), "remediation/reports/f/000001.json"):
        blobs.create(name, b"{}")
    assert reception.purge(blobs, timedelta(days=30), NOW) == 1
    assert reception.purge(blobs, timedelta(days=30), NOW) == 0
    left = {facts.name for facts in blobs.list("remediation/")}
    assert left == {names[NOW], names[kept], "remediation/reports/f/000001.json"}
