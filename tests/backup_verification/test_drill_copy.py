"""The copy: proven to be it before anything is written, given what a restore does not carry, paid for, compared."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.backup_verification.carrying import Actual, Administrator, Wanted, described, missing
from shared.backup_verification.cost import bounded_cost
from shared.backup_verification.drill import temporary_server_name
from shared.backup_verification.identity import NotTheCopyError, Place, prove_copy
from shared.backup_verification.preflight import CheckState, Maintenance, Needs, Surroundings, judge, refusal
from shared.backup_verification.registry import Entry, EntryState
from shared.backup_verification.trend import EarlierDrill, compare
from shared.estate.policies.rates import Rates
from tests.backup_verification.test_drill import PLAN

T = datetime(2026, 11, 22, 2, tzinfo=UTC)
GROUP = "/subscriptions/s/resourceGroups/d/providers/Microsoft.DBforPostgreSQL/flexibleServers"
NAME = temporary_server_name("pg-erp", PLAN.id)
ENTRY = Entry(plan=PLAN.model_copy(update={"server_id": f"{GROUP}/{NAME}"}))
COPY = Place(f"{GROUP}/{NAME}", "copy.postgres", {"10.0.0.5"}, {"closekeeper-drill": PLAN.id})
SOURCE = Place(PLAN.source_id, "erp.postgres", {"10.0.0.4"}, {})


def test_the_drills_own_copy_is_proven_whatever_the_case_of_its_id() -> None:
    prove_copy(ENTRY, COPY, SOURCE, "copy.postgres")
    prove_copy(ENTRY, replace(COPY, id=COPY.id.upper()), None, "copy.postgres")
    prove_copy(ENTRY.model_copy(update={"state": EntryState.KEPT}), COPY, SOURCE, "copy.postgres")


@pytest.mark.parametrize(
    ("entry", "copy", "source", "host", "words"),
    [
        (ENTRY.model_copy(update={"state": EntryState.REMOVING}), COPY, SOURCE, "copy.postgres", "being removed"),
        (ENTRY, None, SOURCE, "copy.postgres", "no such server"),
        (ENTRY, replace(COPY, id=PLAN.source_id), SOURCE, "copy.postgres", "another resource id"),
        (Entry(plan=PLAN), replace(COPY, id=PLAN.server_id), SOURCE, "copy.postgres", "its name is not"),
        (ENTRY, COPY, SOURCE, "erp.postgres", "its host is another one"),
        (ENTRY, COPY, SOURCE, "", "its host is another one"),
        (ENTRY, replace(COPY, tags={}), SOURCE, "copy.postgres", "no tag of this drill"),
        (ENTRY, COPY, replace(SOURCE, host="copy.postgres"), "copy.postgres", "its host is the source's"),
        (ENTRY, replace(COPY, addresses=()), SOURCE, "copy.postgres", "leads nowhere"),
        (ENTRY, replace(COPY, addresses={"10.0.0.4"}), SOURCE, "copy.postgres", "leads to the source"),
    ],
)
def test_nothing_is_written_where_any_sign_is_wrong(
    entry: Entry, copy: Place | None, source: Place | None, host: str, words: str
) -> None:
    with pytest.raises(NotTheCopyError, match=words):
        prove_copy(entry, copy, source, host)


DBA = Administrator(object_id="1A", name="dba", type="Group", tenant="t")
WANTED = Wanted(tags={"drill": "x"}, parameters={"work_mem": "7168"}, administrators=(DBA,), let_in=("10.0.0.9",))
BARE = Actual(
    {},
    {"work_mem": "4096"},
    restart_pending=False,
    administrators=[],
    rules={"everybody": ("0.0.0.0", "255.255.255.255")},  # noqa: S104
)
COMPLETE = Actual(
    {"drill": "x", "owner": "us"},
    {"work_mem": "7168"},
    restart_pending=False,
    administrators=["1a"],
    rules={"closekeeper-drill-1": ("10.0.0.9", "10.0.0.9")},
)


def test_who_gets_in_is_settled_before_anything_else_and_a_restart_comes_last() -> None:
    assert [step.what for step in missing(WANTED, BARE)] == [
        "tags",
        "shut out",
        "let in",
        "administrator",
        "parameter",
    ]
    assert missing(WANTED, COMPLETE) == []
    assert [step.what for step in missing(WANTED, replace(COMPLETE, restart_pending=True))] == ["restart"]
    assert "restart" not in [step.what for step in missing(WANTED, replace(BARE, restart_pending=True))]


def test_what_azure_refused_is_given_up_and_said() -> None:
    given_up = {"parameter work_mem": "InvalidParameterValue"}
    assert "parameter" not in [step.what for step in missing(WANTED, BARE, given_up)]
    assert "not set: parameter work_mem (InvalidParameterValue)" in described(WANTED, given_up)


RATES = Rates(currency="EUR", postgres_hour={"Standard_D4ds_v5": 0.356}, postgres_gb_month=0.115)


def test_begun_hours_are_paid_wholly() -> None:
    cost = bounded_cost(RATES, "standard_d4ds_v5", 730, timedelta(hours=10), 25)
    assert cost is not None
    assert (cost.hour, cost.bound, cost.limit, cost.spent) == (0.471, 4.71, 25, None)
    assert [cost.after(timedelta(minutes=m)).spent for m in (0, 1, 60, 61)] == [0, 0.471, 0.471, 0.942]
    assert bounded_cost(RATES, "Standard_D8ds_v5", 730, timedelta(hours=10), 25) is None


def earlier(*times: float | None) -> list[EarlierDrill]:
    at = [T + timedelta(days=number) for number in range(len(times))]
    return [
        EarlierDrill(id=f"d{day:%d}", at=day, passed=True, rto_seconds=time, rpo_seconds=1)
        for day, time in zip(at, times, strict=True)
    ]


@pytest.mark.parametrize(
    ("times", "now", "notice"),
    [
        ((600, 620, 640), 900, ""),  # not half as slow again
        ((600, 620, 640), 930, "1.5 times as slow as the median of 3 earlier drills (930 s against 620 s)"),
        ((600, 620, None), 9000, ""),  # two are no trend
        ((2, 2, 2), 20, ""),  # seconds are noise
        ((600, 620, 640), None, ""),
    ],
)
def test_a_drill_that_is_much_slower_than_the_median_is_told(
    times: tuple[float | None, ...], now: float | None, notice: str
) -> None:
    assert compare(earlier(*times), now).notice == notice


def test_a_trend_shows_the_newest_dozen() -> None:
    trend = compare(list(reversed(earlier(*range(100, 120)))), 115)
    assert [one.rto_seconds for one in trend.earlier] == list(range(108, 120))
    assert (trend.rto_median_seconds, trend.rto_factor) == (113.5, 1.01)


SEEN = Surroundings(
    source_state="Ready",
    source_subnet="/subnets/servers",
    geo_backup=True,
    cores=4,
    locks=(),
    cores_used=90,
    cores_limit=100,
    addresses_left=11,
    maintenance=(),
    unknown={},
)
NEEDS = Needs(
    geo_restore=False,
    subnet="/subnets/drills",
    app_addresses=(),
    from_=T,
    until=T + timedelta(hours=10),
    cost=bounded_cost(RATES, "Standard_D4ds_v5", 128, timedelta(hours=10), 25),
    cost_limit=25,
    no_cost="",
)


def test_nothing_refused_is_a_drill_that_may_begin() -> None:
    assert {check.state for check in judge(SEEN, NEEDS)} == {CheckState.GOOD}
    assert refusal(judge(SEEN, NEEDS)) == ""


@pytest.mark.parametrize(
    ("seen", "needs", "words"),
    [
        ({"source_state": None}, {}, "no source server"),
        ({"source_state": "Dropping"}, {}, "the source is Dropping"),
        ({"geo_backup": False}, {"geo_restore": True}, "no geo-redundant backup"),
        ({"locks": ("keep (ReadOnly)",)}, {}, "locked against removal: keep"),
        ({"cores_used": 97}, {}, "4 vCores needed, 3 of 100 are left"),
        ({"addresses_left": 0}, {}, "0 addresses are left"),
        ({"source_subnet": ""}, {}, "the source is public"),
        ({}, {"subnet": None}, "the source is in a virtual network"),
        ({"source_subnet": ""}, {"subnet": None}, "APP_ADDRESSES is not set"),
        ({"maintenance": (Maintenance("Planned", T + timedelta(hours=9), None),)}, {}, "maintenance (Planned)"),
        ({"maintenance": (Maintenance("InProgress", T - timedelta(hours=1), None),)}, {}, "maintenance (InProgress)"),
        ({}, {"cost": None, "no_cost": "no price"}, "no price"),
        ({}, {"cost_limit": 0.5}, "more than cost_limit 0.50"),
    ],
)
def test_each_obstacle_is_refused_with_its_reason(
    seen: dict[str, object], needs: dict[str, object], words: str
) -> None:
    checks = judge(replace(SEEN, **seen), replace(NEEDS, **needs))  # type: ignore[arg-type]
    assert words in refusal(checks)
    assert len([check for check in checks if check.state is CheckState.REFUSED]) == 1


@pytest.mark.parametrize(
    ("seen", "needs"),
    [
        ({"locks": None}, {}),
        ({"cores_limit": None}, {}),
        ({"addresses_left": None}, {}),
        ({"maintenance": None}, {}),
        ({"maintenance": (Maintenance("Planned", T + timedelta(hours=11), None),)}, {}),
        ({"maintenance": (Maintenance("Planned", T - timedelta(hours=2), T - timedelta(hours=1)),)}, {}),
        ({"source_state": None}, {"geo_restore": True}),  # the region is lost: that is what a geo-restore is for
        ({}, {"cost": None, "cost_limit": None}),
        ({"source_subnet": ""}, {"subnet": None, "app_addresses": ("10.0.0.9",)}),
    ],
)
def test_what_is_unknown_or_elsewhere_in_time_keeps_nobody(seen: dict[str, object], needs: dict[str, object]) -> None:
    assert refusal(judge(replace(SEEN, **seen), replace(NEEDS, **needs))) == ""  # type: ignore[arg-type]
