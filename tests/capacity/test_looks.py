"""What is looked at before a peak, on an estate with real servers: all of it good, then each thing bad on its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from functions import change_execution, change_services, peak_looks, peak_metrics
from local.embedded_estate import EmbeddedEstate
from local.kubernetes.resources import DEPLOYMENTS, NODES
from shared.peak_scaling.readiness import Look
from shared.peak_scaling.targets import Kind, Target
from shared.platforms import kubernetes_room
from tests.local.azure.clients import wait_until
from tests.local.kubernetes import objects

_GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-erp/providers"
SERVER = f"{_GROUP}/Microsoft.DBforPostgreSQL/flexibleServers/pg-looked-at"
CLUSTER = f"{_GROUP}/Microsoft.ContainerService/managedClusters/aks-looked-at"
REDIS = f"{_GROUP}/Microsoft.Cache/redisEnterprise/redis-looked-at"
COMPONENT = f"{_GROUP}/Microsoft.Insights/components/appi-looked-at"
ESTATE = f"""
estate: contoso
calendar: {{ time_zone: Etc/UTC }}
tiers: {{ relaxed: {{ rpo: 1d, rto: 8h, drill: quarterly }} }}
environments:
  production:
    stage: production
    tier: relaxed
    location: westeurope
    postgres: {{ erp: {{ id: {SERVER}, databases: [contoso], high_availability: true }} }}
    clusters:
      main:
        id: {CLUSTER}
        pools: {{ system: {{ mode: system }}, work: {{ mode: user }} }}
        namespaces: [odoo]
        workloads:
          worker: {{ object: deployment/odoo/worker, role: worker, pool: work, connections: 8 }}
    redis: {{ sessions: {{ id: {REDIS} }} }}
    tenants: {{ contoso: {{ placement: hybrid, database: erp/contoso, host: localhost }} }}
peak_scaling: {{ production: {{ peaks: {{}}, keeps: {{ latency: 2s, latency_of: {COMPONENT} }} }} }}
"""
NOW = datetime.now(UTC)
START, END = NOW + timedelta(days=2), NOW + timedelta(days=4)
EVERY_DAY = {
    "schedule": {"daily": {"intervalDays": 1}},
    "durationHours": 4,
    "startTime": "01:00",
    "utcOffset": "+02:00",
}

type Spoil = Callable[[EmbeddedEstate], Callable[[], object]]


def quiet(_: str) -> AbstractContextManager[Callable[[str], None]]:
    """Announce nothing."""
    return nullcontext(lambda _: None)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEstate]:
    folder = tmp_path_factory.mktemp("estate")
    file = folder / "declared.yaml"
    file.write_text(ESTATE)
    with EmbeddedEstate(folder, file, environments=("production",), progress=quiet, journal_items=200) as estate:
        yield estate


@pytest.fixture
def estate(running: EmbeddedEstate, monkeypatch: pytest.MonkeyPatch) -> EmbeddedEstate:
    port = urlsplit(running.azure.resource_manager_url).port
    for name, value in {**running.settings(), "RECOVERY_TLS_PORT": str(port)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(change_execution, "_provide", change_services.services)
    return running


def look(until: datetime = END) -> dict[tuple[str, str], Look]:
    return {(one.check, one.subject): one for one in peak_looks.readiness("production", START, until, NOW)}


def bad(until: datetime = END) -> dict[tuple[str, str], str]:
    """Everything that is not good, but for the backup that nobody has drilled here."""
    return {at: one.detail for at, one in look(until).items() if not one.ok and at[0] != "backup"}


def test_everything_is_looked_at_and_what_is_good_says_so(estate: EmbeddedEstate) -> None:
    wait_until(lambda: not bad(), 60)
    seen = look()
    assert {at: one.ok for at, one in seen.items()} == {
        ("backup", "erp"): False,
        ("room", "main/system"): True,
        ("room", "main/work"): True,
        ("deployment", "main"): True,
        ("upgrade", "main"): True,
        ("answers", "erp"): True,
        ("answers", "sessions"): True,
        ("maintenance", "erp"): True,
        ("certificate", "localhost"): True,
    }
    assert seen["backup", "erp"].detail == "no restore of it was ever proven: start a drill"
    assert seen["answers", "erp"].detail == "Standard_D2ds_v5 answers SQL"
    assert seen["answers", "sessions"].detail == "Balanced_B5 answers"


def cordoned(estate: EmbeddedEstate) -> Callable[[], object]:
    kubernetes = estate.clusters["production", "main"]
    name = next(
        node["metadata"]["name"]
        for node in kubernetes.store.all(NODES)
        if node["metadata"]["labels"]["agentpool"] == "work"
    )
    kubernetes.edit(NODES, "", name, unschedulable=True)
    return lambda: kubernetes.edit(NODES, "", name, unschedulable=False)


def upgraded(estate: EmbeddedEstate) -> Callable[[], object]:
    cluster = estate.azure.clusters.get(CLUSTER)
    cluster.upgrade_channels["upgradeChannel"] = "stable"
    cluster.maintenance["aksManagedAutoUpgradeSchedule"] = {"maintenanceWindow": EVERY_DAY}
    return lambda: (cluster.upgrade_channels.clear(), cluster.maintenance.clear())


def upgraded_at_any_time(estate: EmbeddedEstate) -> Callable[[], object]:
    cluster = estate.azure.clusters.get(CLUSTER)
    cluster.upgrade_channels["nodeOSUpgradeChannel"] = "NodeImage"
    return cluster.upgrade_channels.clear


def maintained(estate: EmbeddedEstate) -> Callable[[], object]:
    server = estate.azure.flexible_server(SERVER)
    begins = START + timedelta(hours=3)
    event = {"maintenanceEventId": "m-1", "maintenanceType": "Routine", "status": "Planned", "deferrable": True}
    times = {"startTime": begins.isoformat(), "endTime": (begins + timedelta(hours=1)).isoformat()}
    server.maintenance.append({**event, **times, "originalStartTime": times["startTime"]})
    return server.maintenance.clear


def rolled_out(estate: EmbeddedEstate) -> Callable[[], object]:
    """A deployment whose new pods nobody can run, so that it never ends; they find no node either."""
    kubernetes = estate.clusters["production", "main"]
    obj = objects.deployment("greedy", 1)
    container = obj["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "64", "memory": "1Ti"}}
    kubernetes.create(obj)
    return lambda: kubernetes.delete(DEPLOYMENTS, "odoo", "greedy")


def stopped(estate: EmbeddedEstate) -> Callable[[], object]:
    server = estate.azure.flexible_server(SERVER)
    server.state = "Stopped"
    return lambda: setattr(server, "state", "Ready")


def scaling(estate: EmbeddedEstate) -> Callable[[], object]:
    cache = estate.azure.redis.get(REDIS)
    cache.state = "Scaling"
    return lambda: setattr(cache, "state", "Running")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (cordoned, {("room", "main/work"): "1 of 2 nodes take pods, 1 have room for one more"}),
        (upgraded, {("upgrade", "main"): "an upgrade of Kubernetes may come "}),
        (upgraded_at_any_time, {("upgrade", "main"): "an upgrade of the node images may come at any time"}),
        (maintained, {("maintenance", "erp"): "Azure maintains it "}),
        (
            rolled_out,
            {
                ("deployment", "main"): "being rolled out: deployment/odoo/greedy",
                ("room", "main"): "1 pods find no node: odoo/greedy-",
            },
        ),
        (stopped, {("answers", "erp"): "the server is Stopped"}),
        (scaling, {("answers", "sessions"): "the cache is Scaling"}),
    ],
)
def test_what_is_bad_is_told_alone(estate: EmbeddedEstate, spoil: Spoil, expected: dict[Any, str]) -> None:
    wait_until(lambda: not bad(), 60)
    undo = spoil(estate)
    try:
        wait_until(lambda: bad().keys() == expected.keys(), 60)
        seen = bad()
        assert all(seen[at].startswith(words) for at, words in expected.items()), seen
    finally:
        undo()


def test_maintenance_while_it_is_scaled_is_told_with_the_remedy(estate: EmbeddedEstate) -> None:
    pool = f"{CLUSTER}/agentPools/work"

    def collisions(start: datetime, end: datetime) -> dict[str, tuple[bool | None, str]]:
        scaled = {"server erp": (SERVER, start, end), "pool main/work": (pool, start, end)}
        return {look.subject: (look.ok, look.detail.rpartition(": ")[2]) for look in peak_looks.collisions(scaled)}

    good = (True, "Azure plans no maintenance while it is scaled")
    undo = [upgraded(estate), maintained(estate)]
    try:
        told = collisions(START, START + timedelta(days=1))
        between = collisions(START + timedelta(hours=5), START + timedelta(hours=5.1))
        before = collisions(START - timedelta(hours=9), START)
    finally:
        for back in undo:
            back()
    assert told == {"server erp": (False, "reschedule that"), "pool main/work": (False, "bar these dates")}
    assert (between["server erp"], before["server erp"]) == (good, good)
    assert collisions(START, START + timedelta(days=1)) == {"server erp": good, "pool main/work": good}


def test_a_certificate_must_outlast_the_peak(estate: EmbeddedEstate) -> None:
    late = bad(NOW + timedelta(days=360))
    assert list(late) == [("certificate", "localhost")]
    assert late["certificate", "localhost"].endswith("too soon after the peak: renew it")


def test_what_cannot_be_seen_is_no_good_news_and_hides_nothing(estate: EmbeddedEstate) -> None:
    estate.azure.arm.denied.add("Microsoft.DBforPostgreSQL/flexibleServers/read")
    try:
        seen = look()
    finally:
        estate.azure.arm.denied.clear()
    assert seen["answers", "erp"].ok is None
    assert "AuthorizationFailed" in seen["answers", "erp"].detail
    assert seen["answers", "sessions"].ok


def test_quotas_are_summed_by_family_and_asked_for_early(estate: EmbeddedEstate) -> None:
    quota = estate.azure.clusters.behaviour.cores_quota
    quota["standardDSv5Family"] = 40
    pool = f"{CLUSTER}/agentPools/work"
    try:
        found = peak_looks.quotas(
            "production", {pool: {"min": 4, "max": 12}, SERVER: {"sku": "Standard_D64ds_v5"}}, NOW
        )
    finally:
        quota.clear()
    seen = {one.subject: (one.ok, one.detail) for one in found}
    assert seen["machines westeurope standarddsv5family"] == (
        False,
        "40 more vCPUs are needed, 28 of 40 are free: ask for 52 now",
    )
    assert seen["machines westeurope cores"][0] is True
    assert seen["databases westeurope cores"] == (True, "62 more vCPUs are needed, 98 of 100 are free")


def test_what_is_paid_for_is_what_azure_shows(estate: EmbeddedEstate) -> None:
    declared = {
        "pool main/work": Target(
            "pool main/work", Kind.POOL, f"{CLUSTER}/agentPools/work", "main/work", size="Declared"
        ),
        "server erp": Target("server erp", Kind.POSTGRES, SERVER, "erp"),
        "storage erp": Target("storage erp", Kind.STORAGE, SERVER, "erp", copies=2),
        "server gone": Target("server gone", Kind.POSTGRES, f"{SERVER}-gone", "gone", copies=2),
    }

    def paid() -> list[tuple[str | None, int]]:
        return [(each.size, each.copies) for each in peak_looks.as_paid(declared).values()]

    assert paid() == [("Standard_D4s_v5", 1), (None, 2), (None, 2), (None, 2)]
    server = estate.azure.flexible_server(SERVER)
    server.standby = "Disabled"
    try:
        assert paid() == [("Standard_D4s_v5", 1), (None, 1), (None, 1), (None, 2)]
    finally:
        server.standby = "ZoneRedundant"


def test_connections_and_queues_are_read(estate: EmbeddedEstate) -> None:
    assert peak_looks.max_connections("production") == {"erp": 500}
    before = peak_looks.queues("production")
    assert before is not None
    cluster: Any = estate.azure.flexible_server(SERVER).cluster
    with psycopg.connect(cluster.dsn("contoso")) as connection:
        changed = connection.execute("update queue_job set state = 'pending' where state = 'done'").rowcount
    assert changed > 0
    assert peak_looks.queues("production") == before + changed


def test_what_was_used_is_told_by_target(estate: EmbeddedEstate) -> None:
    metrics, then = estate.azure.metrics, NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    metrics.declare(SERVER, "cpu_percent", lambda at: None if at.minute < 30 else 80.0)
    metrics.declare(SERVER, "active_connections", lambda at: float(at.minute), unit="Count")
    metrics.declare(CLUSTER, "node_cpu_usage_percentage", lambda at: 65.0, dimension="nodepool", of="work")
    found = peak_metrics.used("production", then, then + timedelta(hours=1))
    assert found[SERVER.casefold()]["cpu"] == (0.8,) * 6
    assert found[SERVER.casefold()]["connections"] == tuple((5 * grain + 4) / 500 for grain in range(12))
    assert set(found[f"{CLUSTER}/agentPools/work".casefold()]["cpu"]) == {0.65}
    assert "memory" not in found[SERVER.casefold()], "nobody measured it"


def test_how_long_answers_took_is_told_in_seconds_where_it_is_measured(estate: EmbeddedEstate) -> None:
    then = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    measured = {0: 400.0, 5: 2500.0}

    def slow(at: datetime) -> float | None:
        return measured.get(at.minute - at.minute % 5)

    estate.azure.metrics.declare(COMPONENT, "requests/duration", slow, unit="MilliSeconds")
    assert peak_metrics.used("production", then, then + timedelta(hours=1))[""]["latency"] == (0.4, 2.5)
    estate.azure.arm.denied.add("Microsoft.Insights/metrics/read")
    try:
        assert "latency" not in peak_metrics.used("production", then, then + timedelta(hours=1)).get("", {})
    finally:
        estate.azure.arm.denied.clear()


def test_how_long_jobs_waited_and_ran_is_told_in_seconds(estate: EmbeddedEstate) -> None:
    then = (NOW + timedelta(days=40)).replace(tzinfo=None)
    times = [then, then + timedelta(seconds=30), then + timedelta(seconds=90)]
    cluster: Any = estate.azure.flexible_server(SERVER).cluster
    with psycopg.connect(cluster.dsn("contoso")) as connection:
        update = """
            update queue_job set state = 'done', eta = null, date_created = %s, date_started = %s, date_done = %s
            where id = (select max(id) from queue_job)
        """
        assert connection.execute(update, times).rowcount == 1
    found = peak_metrics.used("production", NOW + timedelta(days=39), NOW + timedelta(days=41))
    assert found[""] == {"queue_delay": (30.0,), "job_duration": (60.0,)}
    assert "" not in peak_metrics.used("production", NOW + timedelta(days=42), NOW + timedelta(days=43))


@pytest.mark.parametrize(
    ("containers", "before", "expected"),
    [
        ([("250m", "1Gi"), ("1", "512Mi")], [], ("1.250", 1610612736)),
        ([("250m", "1Gi")], [("2", "128Mi")], ("2", 1073741824)),
        ([(None, None)], [], ("0", 0)),
    ],
)
def test_what_a_pod_asks_for(containers: list[Any], before: list[Any], expected: tuple[str, int]) -> None:
    def of(pairs: list[Any]) -> list[dict[str, Any]]:
        return [{"resources": {"requests": {"cpu": cpu, "memory": memory}}} if cpu else {} for cpu, memory in pairs]

    asked = kubernetes_room.asked_by({"containers": of(containers), "initContainers": of(before)})
    assert (str(asked.cpu.normalize()), int(asked.memory)) == (str(float(expected[0])).removesuffix(".0"), expected[1])
