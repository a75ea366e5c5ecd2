"""Drills that must fail, and say why, and still clean up."""

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.azure.faults import Fault, OperationFault
from local.embedded_estate import EmbeddedEstate
from shared.backup_verification.drill import temporary_server_name
from shared.backup_verification.registry import Entry
from tests.backup_verification.sample_report import PLAN
from tests.drills.running import STRANGER, App, app, declare


def assert_failed_and_torn_down(running: App, report: dict[str, object], *words: str) -> None:
    assert report["outcome"] == "failed"
    for word in words:
        assert any(word in failure for failure in report["failures"]), report["failures"]  # type: ignore[union-attr]
    assert report["removed"] is True
    assert running.temporary_servers() == []
    (record,) = running.records(str(report["id"]))
    assert record["body"]["outcome"] == "failed"
    (event,) = running.events(str(report["id"]))
    assert event["type"] == "Closekeeper.BackupVerification.DrillFailed"


def test_one_journal_line_changed_after_the_fact_is_found_and_named(running: App, estate: EmbeddedEstate) -> None:
    cluster = estate.server("production", "erp").cluster
    assert cluster is not None
    ((move, name, line, account),) = cluster.run_sql(
        "select m.id, m.name, l.id, l.account_id from account_move m join account_move_line l on l.move_id = m.id "
        "where m.inalterable_hash is not null order by m.id, l.id limit 1 offset 60",
        database="contoso",
    )
    change = "update account_move_line set account_id = %s where id = %s"
    ((other,),) = cluster.run_sql("select min(id) from account_account where id <> %s", [account], database="contoso")
    cluster.run_sql(change, [other, line], database="contoso")
    cluster.archive_now()  # what is not archived at the target does not come back, in Azure neither
    try:
        report = running.drill("altered")
        assert_failed_and_torn_down(running, report, name)
        (books,) = [books for books in report["books"] if books["database"] == "contoso"]
        assert ("hash chain", [move]) in [(finding["check"], finding["rows"]) for finding in books["findings"]]
    finally:
        cluster.run_sql(change, [account, line], database="contoso")
        cluster.archive_now()


def test_a_missing_log_segment_fails_the_restore(running: App, estate: EmbeddedEstate, tmp_path: Path) -> None:
    cluster = estate.server("production", "erp").cluster
    assert cluster is not None
    backup = cluster.take_base_backup()
    for _ in range(3):  # three segments after the backup, so that the middle one is a gap and not the end
        cluster.run_sql("select pg_switch_wal()")
        cluster.run_sql("create table gap (a int); insert into gap select generate_series(1, 1000); drop table gap")
        cluster.archive_now()
    after = sorted(
        path for path in cluster.archive.folder.iterdir() if len(path.name) == 24 and path.name > backup.first_segment
    )
    missing, aside = after[1], tmp_path / after[1].name
    shutil.move(missing, aside)
    try:
        report = running.drill("gap")
        assert_failed_and_torn_down(running, report, "the restore failed")
        assert report["rto_seconds"] is None
    finally:
        shutil.move(aside, missing)


def test_a_terminated_drill_is_reaped_and_reported(running: App) -> None:
    drill = running.start_drill("terminated")
    running.await_progress(drill, "restoring")
    running.terminate(drill)
    assert running.await_drill(drill)["status"] == "terminated"
    assert len(running.temporary_servers()) == 1
    running.reap_until_clean()
    record = running.await_record(drill)
    assert record["body"]["outcome"] == "failed"
    assert any("ended without a report" in failure for failure in record["body"]["failures"])
    assert running.temporary_servers() == []


def entry_of_no_drill(estate: EmbeddedEstate, key: str, **changed: Any) -> Entry:
    """An entry of a drill whose time is over, as it is in the registry."""
    assert estate.declared.backup_verification is not None
    group = estate.declared.backup_verification.drills.resource_group
    drill = f"drill:elsewhere:erp:{key}"
    source = PLAN.source_id.rpartition("/")[2]
    own = f"{group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{temporary_server_name(source, drill)}"
    over = {"id": drill, "server_id": own, "expires_at": datetime.now(UTC) - timedelta(hours=1)}
    return Entry(plan=PLAN.model_copy(update=over | changed))


def test_a_create_that_comes_after_the_removal_does_not_stay(running: App, estate: EmbeddedEstate) -> None:
    """Neither when Azure does not let the reaper look after another one before it."""
    stuck = entry_of_no_drill(estate, "stuck")
    name = stuck.plan.server_id.rpartition("/")[2]
    forbidden = estate.azure.faults.add(Fault(service="arm", path=name, times=None, status=403, code="Forbidden"))
    report = running.drill("late-create")
    estate.state.upload_blob(f"drills/{stuck.plan.id}.json", stuck.model_dump_json())
    estate.azure.add_flexible_server(report["restored_server_id"])  # the second delivery of the create request
    assert running.temporary_servers() == [report["restored_server_id"].rpartition("/")[2]]
    try:
        running.reap_until_clean()
        assert forbidden.applied > 0
    finally:
        estate.azure.faults.clear()
        running.await_idle()
        estate.state.delete_blob(f"drills/{stuck.plan.id}.json")


def test_a_removal_that_is_refused_twice_succeeds_the_third_time(running: App, estate: EmbeddedEstate) -> None:
    refused = estate.azure.faults.add(
        Fault(
            service="arm",
            method="DELETE",
            path="-drill-",
            times=2,
            status=409,
            code="ScopeLocked",
            message="a lock",
        )
    )
    report = running.drill("refused-removal")
    assert refused.applied == 2
    assert (report["outcome"], report["removed"]) == ("passed", True)
    assert running.temporary_servers() == []


def test_what_is_not_in_the_registry_is_never_removed_and_told_once(running: App, estate: EmbeddedEstate) -> None:
    assert estate.declared.backup_verification is not None
    group = estate.declared.backup_verification.drills.resource_group
    stranger = f"{group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/{STRANGER}"
    estate.azure.add_flexible_server(
        stranger, tags={"closekeeper-drill": "drill:x", "closekeeper-expires": "2020-01-01"}
    )
    for _ in range(2):
        running.fire("drill_reaper")
    running.drill("beside-a-stranger")
    running.await_idle()
    assert estate.azure.flexible_server(stranger).state == "Ready"
    (record,) = running.records(f"not-removed:{stranger}")
    assert (record["kind"], "no drill made it" in record["body"]["reason"]) == ("finding", True)


def test_an_entry_that_names_a_server_of_others_removes_nothing(running: App, estate: EmbeddedEstate) -> None:
    """A registry that somebody changed, or that a fault wrote."""
    production = estate.server("production", "erp").id
    elsewhere = production.rpartition("/")[0] + "/"
    forged = [
        entry_of_no_drill(estate, "source", server_id=production, source_id=production),
        entry_of_no_drill(estate, "name", server_id=f"{production}-2"),
    ]
    moved = entry_of_no_drill(estate, "moved").plan.server_id.rpartition("/")[2]
    forged.append(entry_of_no_drill(estate, "moved", server_id=elsewhere + moved))
    estate.azure.add_flexible_server(elsewhere + moved)
    for entry in forged:
        estate.state.upload_blob(f"drills/{entry.plan.id}.json", entry.model_dump_json())
    try:
        running.fire("drill_reaper")
        for server, why in (
            (production, "names the source"),
            (f"{production}-2", "a name that its drill does not"),
            (elsewhere + moved, "another resource group"),
        ):
            (record,) = running.await_that(lambda server=server: running.records(f"not-removed:{server}"))
            assert why in record["body"]["reason"]
        assert estate.server("production", "erp").state == "Ready"
        assert estate.azure.flexible_server(elsewhere + moved).state == "Ready"
    finally:
        running.await_idle()
        for entry in forged:
            estate.state.delete_blob(f"drills/{entry.plan.id}.json")
        estate.azure._registry.remove(  # pyright: ignore[reportPrivateUsage]
            estate.azure.flexible_server(elsewhere + moved), name_taken_until=datetime.now(UTC)
        )


def test_a_restore_that_hangs_fails_in_time_and_leaves_nothing(estate: EmbeddedEstate, tmp_path: Path) -> None:
    file = declare(estate, tmp_path, ("time_limit: 9h # longer than the 8h of the standard tier", "time_limit: 10s #"))
    estate.azure.servers.behaviour.delete_interrupts = True
    hanging = Fault(service="arm", method="PUT", path="-drill-", operation=OperationFault(never_ends=True))
    estate.azure.faults.add(hanging)
    try:
        with app(estate, tmp_path / "host", ESTATE_FILE=file) as running:
            report = running.drill("hangs")
            assert_failed_and_torn_down(running, report, "the restore was not done in time")
            assert (report["rto_seconds"], report["cost"]["spent"]) == (None, 0.1982)
    finally:
        estate.azure.faults.clear()
        estate.azure.servers.behaviour.reset()


def test_a_restore_that_azure_gives_up_fails_with_azures_words(running: App, estate: EmbeddedEstate) -> None:
    given_up = OperationFault(code="ServerCapacityUnavailable", message="No capacity is left in this zone.")
    estate.azure.faults.add(Fault(service="arm", method="PUT", path="-drill-", operation=given_up))
    try:
        report = running.drill("given-up")
        assert_failed_and_torn_down(running, report, "ServerCapacityUnavailable: No capacity is left in this zone.")
    finally:
        estate.azure.faults.clear()


def test_a_restore_that_succeeds_into_the_wrong_state_fails(estate: EmbeddedEstate, tmp_path: Path) -> None:
    """The operation succeeds, and the copy has lost the tail of the books: it is older than what was asked for."""
    cluster = estate.server("production", "erp").cluster
    assert cluster is not None
    cluster.archive_now()
    real, older = type(cluster).restore, datetime.now(UTC)

    def restore_less(*arguments: Any, **options: Any) -> Any:
        return real(*arguments, **options | {"target": older})

    ((line,),) = cluster.run_sql("select max(id) from account_move_line", database="contoso")
    change = "update account_move_line set write_date = now() at time zone 'utc' {} where id = %s"
    file = declare(estate, tmp_path, ("critical: { rpo: 5m", "critical: { rpo: 1s"))
    with app(estate, tmp_path / "host", ESTATE_FILE=file) as running:
        type(cluster).restore = restore_less  # type: ignore[method-assign]
        try:
            time.sleep(2)  # more than the RPO that is promised
            cluster.run_sql(change.format(""), [line], database="contoso")
            cluster.archive_now()
            report = running.drill("wrong-state")
        finally:
            type(cluster).restore = classmethod(real.__func__)  # type: ignore[method-assign, attr-defined]
        assert_failed_and_torn_down(running, report, "RPO missed: the newest write that came back")


CREATE_IS_NOT_HEARD = Fault(service="arm", method="PUT", path="-drill-", drop="after")
OPERATION_IS_NOT_HEARD = Fault(service="arm", method="GET", path="azureAsyncOperation", times=3, drop="before")


@pytest.mark.parametrize("first", [CREATE_IS_NOT_HEARD, OPERATION_IS_NOT_HEARD], ids=["create", "operation"])
def test_a_network_that_is_lost_in_the_middle_is_waited_for(running: App, estate: EmbeddedEstate, first: Fault) -> None:
    """Answers that never come, before and after the effect, and a control plane that stumbles."""
    lost = [
        first,
        Fault(service="arm", method="GET", path="-drill-", first=2, times=3, status=503, retry_after=1),
        Fault(service="arm", method="PATCH", path="-drill-", drop="after"),
        Fault(service="arm", method="DELETE", path="-drill-", drop="after"),
        Fault(service="event_grid", times=2, status=503),
    ]
    for fault in lost:
        estate.azure.faults.add(fault)
    try:
        report = running.drill(f"lost-network-{first.method}")
        assert report["failures"] == []
        assert (report["outcome"], report["removed"]) == ("passed", True)
        assert running.temporary_servers() == []
        assert [fault.path for fault in lost if not fault.applied] == []
        assert len(running.records(report["id"])) == len(running.events(report["id"])) == 1
    finally:
        estate.azure.faults.clear()
