"""Where a copy is put, what is set on it that a restore does not carry, and what is done with it afterwards."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from functions import drill_configuration
from local.azure.flexible_servers.model import Server
from local.embedded_estate import EmbeddedEstate
from tests.drills.running import App, app, as_the_app, declare


def source_of(estate: EmbeddedEstate) -> Server:
    return estate.server("production", "erp")


def copy_of(estate: EmbeddedEstate) -> Server:
    (copy,) = [server for server in estate.azure.servers.all() if "-drill-" in server.name and server.cluster]
    return copy


def during_checks(
    running: App, estate: EmbeddedEstate, look: Callable[[Server], Any], **request: Any
) -> tuple[Any, Any]:
    """What a look at the copy saw when its books were about to be checked, and the report."""
    drill = running.start_drill(**request)
    running.await_progress(drill, "checking the books")
    return look(copy_of(estate)), running.await_drill(drill)["report"]


@pytest.fixture
def changed_source(estate: EmbeddedEstate) -> Any:
    """The source with what a restore does not carry."""
    source = source_of(estate)
    assert source.cluster is not None
    source.cluster.run_sql("alter system set work_mem = '7MB'")
    source.cluster.run_sql("select pg_reload_conf()")
    source.overrides |= {"work_mem": "7168", "azure.extensions": "amcheck,pg_trgm"}
    source.administrators["11111111-0000-0000-0000-000000000001"] = {
        "objectId": "11111111-0000-0000-0000-000000000001",
        "principalName": "dba-team",
        "principalType": "Group",
        "tenantId": "22222222-0000-0000-0000-000000000002",
    }
    yield source
    source.cluster.run_sql("alter system reset work_mem")
    source.cluster.run_sql("select pg_reload_conf()")
    source.overrides.clear()
    source.administrators.clear()


def test_the_copy_has_what_a_restore_does_not_carry(
    running: App, estate: EmbeddedEstate, changed_source: Server
) -> None:
    def look(copy: Server) -> dict[str, Any]:
        assert copy.cluster is not None
        drill = copy.tags["closekeeper-drill"]
        late = {"drill": drill, "server_id": copy.id, "wanted": {"tags": {"closekeeper-drill": "late"}}}
        with as_the_app(estate):  # a delivery that hung would restart the copy while its books are checked
            assert drill_configuration.configure_server(late)["done"]
        return {
            "work_mem": copy.cluster.run_sql("show work_mem"),
            "extensions": copy.overrides["azure.extensions"],
            "administrators": [one["principalName"] for one in copy.administrators.values()],
            "tags": dict(copy.tags),
            "network": dict(copy.network),
            "firewall": dict(copy.firewall_rules),
        }

    seen, report = during_checks(running, estate, look, key="carried")
    assert report["outcome"] == "passed", report["failures"]
    assert seen["work_mem"] == [("7MB",)]
    assert seen["extensions"] == "amcheck,pg_trgm"
    assert seen["administrators"] == ["dba-team"]
    assert seen["tags"]["closekeeper-drill"] == report["id"]
    assert seen["network"]["publicNetworkAccess"] == "Disabled"
    assert seen["network"]["delegatedSubnetResourceId"].endswith("/subnets/drills")
    assert seen["firewall"] == {}
    assert "parameter work_mem = 7168" in report["carried"]
    assert "in the subnet" in report["isolation"]
    assert running.temporary_servers() == []


def test_without_a_network_only_the_app_is_let_in(estate: EmbeddedEstate, tmp_path: Path) -> None:
    text = estate.local_estate_file.read_text()
    begin = text.index("    network:\n      subnet:")
    network = text[begin : text.index("    within:", begin)]
    file = declare(estate, tmp_path, (network, ""))
    source = source_of(estate)
    private, source.network = source.network, {"publicNetworkAccess": "Enabled"}
    try:
        with app(estate, tmp_path / "unset", ESTATE_FILE=file) as running:
            report = running.drill("nobody")
            assert report["outcome"] == "refused"
            assert "APP_ADDRESSES is not set" in report["reason"]
            assert running.temporary_servers() == []
        with app(estate, tmp_path / "set", ESTATE_FILE=file, APP_ADDRESSES="10.1.2.3, 10.1.2.4") as running:
            rules, report = during_checks(running, estate, lambda copy: dict(copy.firewall_rules), key="public")
            assert sorted(rule["startIpAddress"] for rule in rules.values()) == ["10.1.2.3", "10.1.2.4"]
            assert all(rule["startIpAddress"] == rule["endIpAddress"] for rule in rules.values())
            assert (report["outcome"], "a firewall" in report["isolation"]) == ("passed", True)
    finally:
        source.network = private


def test_a_geo_restore_proves_the_paired_region_as_far_as_it_is(running: App, estate: EmbeddedEstate) -> None:
    estate.azure.servers.behaviour.geo_backup_lag = timedelta(seconds=2)
    try:
        seen, report = during_checks(
            running, estate, lambda copy: (copy.location, copy.network), key="geo", kind="geo-restore"
        )
        assert seen[0] == report["location"] == "northeurope"
        assert "vnet-erp-neu" in seen[1]["delegatedSubnetResourceId"]
        assert (report["outcome"], report["kind"]) == ("passed", "geo-restore")
        assert report["rpo_objective_seconds"] == 3600
        assert running.temporary_servers() == []
    finally:
        estate.azure.servers.behaviour.reset()


def test_the_checks_are_tested_with_known_faults_that_are_gone_with_the_copy(
    estate: EmbeddedEstate, tmp_path: Path
) -> None:
    file = declare(estate, tmp_path, ("self_test_every: 4", "self_test_every: 1"))
    with app(estate, tmp_path / "host", ESTATE_FILE=file) as running:
        report = running.drill("self-tested")
        assert (report["outcome"], report["failures"]) == ("passed", [])
        assert {one["database"] for one in report["self_test"]} == {"contoso", "fabrikam"}
        for tested in report["self_test"]:
            assert tested["problem"] == ""
            assert len(tested["injected"]) > 10
            assert tested["score"] == 1.0, [fault for fault in tested["injected"] if not fault["found"]]
        source = source_of(estate)
        assert [one["principalName"] for one in source.administrators.values()] == [], "the app gets no right there"


def test_a_copy_is_kept_harmless_until_its_time_and_then_removed(estate: EmbeddedEstate, tmp_path: Path) -> None:
    file = declare(estate, tmp_path, ("self_test_every: 4", "keep_copies: { up_to: 8h }"))
    with app(estate, tmp_path / "host", ESTATE_FILE=file) as running:
        drill = running.start_drill("kept", keep="PT4S", tenant="contoso")
        report = running.await_drill(drill)["report"]
        assert report["failures"] == []
        assert (report["outcome"], report["removed"]) == ("passed", False)
        assert report["kept"]["until"] is not None
        (database,) = report["kept"]["databases"]
        assert (database["database"], database["proven"], database["remaining"]) == ("contoso", True, [])
        copy = copy_of(estate)
        assert copy.cluster is not None
        with psycopg.connect(copy.cluster.dsn("contoso")) as connection:
            assert connection.execute("select count(*) from ir_cron where active").fetchone() == (0,)
        assert source_of(estate).cluster.run_sql("select count(*) > 0 from ir_cron where active", database="contoso")[
            0
        ][0]
        listed = {one["id"]: one["server"] for one in running.api.get("/api/drills").json()["value"]}
        assert listed[drill] == "kept"
        running.reap_until_clean()
        (removal,) = running.await_that(
            lambda: [record for record in running.records(drill) if "outcome" not in record["body"]]
        )
        assert removal["body"]["removed"] == report["restored_server_id"]
        assert datetime.now(UTC) > datetime.fromisoformat(report["kept"]["until"])
        after = running.drill("after-the-kept-one")
        assert after["outcome"] == "passed", f"the turn was given back: {after['failures']}"
