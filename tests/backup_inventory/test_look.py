"""The look at the backups on the host: real servers, real blobs, evidence, events, and the API."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.azure.faults import Fault
from local.embedded_estate import EmbeddedEstate
from tests.drills.running import App, app

TICK = "backup_inventory_tick"


def looked(running: App, times: int = 1) -> dict[str, Any]:
    """Production's backups after one more look (or so many at once), and after it has told what it found."""
    wanted = len(_looks(running)) + times
    for _ in range(times):
        running.fire(TICK)
    deadline = time.monotonic() + 60
    while len(_looks(running)) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(_looks(running)) >= wanted, running.log()
    (found,) = running.api.get("/api/backups", params={"environment": "production"}).json()["value"]
    return found


def _looks(running: App) -> list[str]:
    """The host's word on each look that has ended, whether it succeeded or failed."""
    lines = (running.host.config.data / "logs" / "host.jsonl").read_text().splitlines()
    return [line for line in lines if f"Executed 'Functions.{TICK}'" in line]


def checks(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(finding["subject"], finding["check"]) for finding in found["findings"]}


def told(estate: EmbeddedEstate, subject: str) -> list[tuple[str, str]]:
    """The news that receivers had of a subject, each event once, in the order of their times."""
    events = {kept.event.id: dict(kept.event.body) for kept in estate.azure.events.received}
    of_subject = [event for event in events.values() if event["subject"] == f"environments/production/{subject}"]
    news = [event for event in of_subject if "news" in event["data"]]  # drills of the server tell of it, too
    return [(event["data"]["news"], event["data"]["check"]) for event in sorted(news, key=lambda e: e["time"])]


def recorded(estate: EmbeddedEstate, kind: str, subject: str) -> list[str]:
    """The news in the evidence about a subject; of an all-clear, nothing but that it is there."""
    container = estate.evidence
    records = [
        json.loads(container.download_blob(blob.name).readall())
        for blob in container.list_blobs(name_starts_with="records/")
    ]
    return [
        record["body"].get("news", "")
        for record in sorted(records, key=lambda record: record["time"])
        if record["kind"] == kind and record["subject"] == subject
    ]


@pytest.fixture(scope="module")
def running(estate: EmbeddedEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app for the tests that declare nothing of their own."""
    with app(estate, tmp_path_factory.mktemp("app")) as started:
        yield started


@pytest.fixture
def dumped(estate: EmbeddedEstate) -> Any:
    """The dumps of both tenants, as their nightly jobs left them."""
    container = estate.blobs("sterpbackup").get_container_client("dumps")
    for tenant in ("contoso", "fabrikam"):
        for day in range(1, 5):
            container.upload_blob(
                f"{tenant}/{tenant}-2026-11-0{day}.dump", b"PGDMP" + bytes(1000 + day), overwrite=True
            )
    return container


def test_backups_as_declared_are_all_clear_and_that_is_on_record(
    estate: EmbeddedEstate, dumped: Any, running: App
) -> None:
    found = looked(running)
    assert found["findings"] == [], running.log()
    shown = {line["subject"]: line for line in found["backups"]}
    assert set(shown) == {
        "servers/erp", "storage/documents", "storage/backups", "tenants/contoso/dumps", "tenants/fabrikam/dumps"
    }  # fmt: skip
    assert shown["servers/erp"]["state"] == "Ready"
    assert 0 <= shown["servers/erp"]["age_seconds"] < 3600
    assert shown["servers/erp"]["reaches_back_to"] is not None
    assert shown["tenants/contoso/dumps"]["state"] == "4 dumps"
    looked(running)
    assert len(recorded(estate, "all_clear", "production/backups")) == 1
    assert running.api.get("/api/backups", params={"environment": "nowhere"}).status_code == 404
    page = running.api.get("/api/status").text
    assert "servers/erp" in page


def test_a_finding_is_told_once_until_it_changes_or_is_resolved(
    estate: EmbeddedEstate, dumped: Any, running: App
) -> None:
    server = estate.server("production", "erp")
    account = estate.azure.storage_accounts.named("sterpdocs")
    kept = dict(account.blob_service)
    assert looked(running)["findings"] == []
    told_before = told(estate, "servers/erp")
    server.backup["backupRetentionDays"] = 7
    account.keep_deleted(7)
    lag, account.secondary_lag = account.secondary_lag, timedelta(hours=2)
    expected = {
        ("servers/erp", "point-in-time window"),
        ("storage/documents", "soft delete"),
        ("storage/documents", "documents outlive the window"),
        ("storage/documents", "replication"),
    }
    try:
        assert checks(looked(running)) == expected
        assert checks(looked(running)) == expected
        server.backup["backupRetentionDays"] = 10
        assert checks(looked(running)) == expected
    finally:
        server.backup["backupRetentionDays"] = 14
        account.blob_service = kept
        account.secondary_lag = lag
    assert looked(running)["findings"] == []
    news = told(estate, "servers/erp")[len(told_before) :]
    assert news == [(word, "point-in-time window") for word in ("found", "changed", "resolved")]
    subject = "production/servers/erp: point-in-time window"
    assert recorded(estate, "finding", subject)[-3:] == ["found", "changed", "resolved"]


def test_two_ticks_at_once_tell_once(estate: EmbeddedEstate, dumped: Any, running: App) -> None:
    account = estate.azure.storage_accounts.named("sterpdocs")
    kept = dict(account.blob_service)
    looked(running)
    told_before = told(estate, "storage/documents")
    account.keep_deleted(29)
    try:
        assert checks(looked(running, times=3)) == {("storage/documents", "soft delete")}
    finally:
        account.blob_service = kept
    looked(running)
    news = [word for word, _ in told(estate, "storage/documents")[len(told_before) :]]
    assert news == ["found", "resolved"]


def test_what_cannot_be_read_is_a_finding_and_hides_nothing(estate: EmbeddedEstate, dumped: Any, running: App) -> None:
    account = estate.azure.storage_accounts.named("sterpdocs")
    kept = dict(account.blob_service)
    account.keep_deleted(29)
    denied = "Microsoft.DBforPostgreSQL/flexibleServers/backups/read"
    estate.azure.arm.denied.add(denied)
    try:
        found = looked(running)
    finally:
        estate.azure.arm.denied.discard(denied)
        account.blob_service = kept
    assert checks(found) == {("servers/erp", "can be looked at"), ("storage/documents", "soft delete")}
    (unread,) = [finding for finding in found["findings"] if finding["check"] == "can be looked at"]
    assert "AuthorizationFailed" in unread["message"]
    assert looked(running)["findings"] == []


def declared(estate: EmbeddedEstate, tmp_path: Path, old: str, new: str) -> dict[str, str]:
    """The settings that declare something else."""
    text = Path(estate.settings()["ESTATE_FILE"]).read_text()
    assert old in text
    file = tmp_path / "estate.yaml"
    file.write_text(text.replace(old, new))
    return {"ESTATE_FILE": str(file)}


def test_an_old_backup_is_a_finding_only_when_something_was_written_since(
    estate: EmbeddedEstate, dumped: Any, tmp_path: Path
) -> None:
    cluster = estate.server("production", "erp").cluster
    assert cluster is not None
    policy = "backup_verification:\n  inventory: { writes_without_backup: 1s }\n"
    impatient = declared(estate, tmp_path, "backup_verification:\n", policy)
    cluster.take_base_backup()
    ((row, before),) = cluster.run_sql(
        "select id, write_date from res_partner order by id limit 1", database="fabrikam"
    )
    write = "update res_partner set write_date = %s where id = %s"
    with app(estate, tmp_path / "host", **impatient) as running:
        late = ("servers/erp", "newest backup")
        time.sleep(1.1)  # the backup is late from now on, and the server idle
        assert late not in checks(looked(running))
        try:
            written = datetime.now(UTC).replace(tzinfo=None)
            cluster.run_sql(write, [written, row], database="fabrikam")
            time.sleep(1.1)
            assert late in checks(looked(running))
            cluster.take_base_backup()
            assert checks(looked(running)) == {("servers/erp", "no gap between backups")}
        finally:
            cluster.run_sql(write, [before, row], database="fabrikam")


def test_a_database_that_does_not_answer_is_named(estate: EmbeddedEstate, dumped: Any, tmp_path: Path) -> None:
    ghost = declared(estate, tmp_path, "[contoso, fabrikam]", "[contoso, fabrikam, ghost]")
    with app(estate, tmp_path / "host", **ghost) as running:
        found = looked(running)
        assert checks(found) == {("servers/erp", "database ghost answers")}
        assert 'database "ghost" does not exist' in found["findings"][0]["message"]


def test_a_truncated_dump_and_a_dump_that_did_not_come_are_seen(
    estate: EmbeddedEstate, dumped: Any, running: App
) -> None:
    for blob in list(dumped.list_blobs(name_starts_with="fabrikam/")):
        dumped.delete_blob(blob.name)
    assert checks(looked(running)) == {("tenants/fabrikam/dumps", "dumps are there")}


def test_an_environment_whose_word_was_not_told_is_told_by_the_next_look(
    estate: EmbeddedEstate, dumped: Any, running: App
) -> None:
    account = estate.azure.storage_accounts.named("sterpdocs")
    kept = dict(account.blob_service)
    looked(running)
    told_before = told(estate, "storage/documents")
    account.keep_deleted(29)
    try:
        refused = estate.azure.faults.add(
            Fault(service="event_grid", method="POST", path="/api/events", times=None, status=403, code="Forbidden")
        )
        begun = datetime.now(UTC)
        looked(running)
        assert refused.applied > 0
        (staging,) = running.api.get("/api/backups", params={"environment": "staging"}).json()["value"]
        assert datetime.fromisoformat(staging["looked_at"]) > begun, "one environment keeps the others back"
        assert told(estate, "storage/documents") == told_before
        estate.azure.faults.clear()
        looked(running)
    finally:
        estate.azure.faults.clear()
        account.blob_service = kept
    assert told(estate, "storage/documents")[len(told_before) :] == [("found", "soft delete")]
    looked(running)


def test_vault_backups_are_looked_for_in_azure(estate: EmbeddedEstate, dumped: Any, tmp_path: Path) -> None:
    server = estate.server("production", "erp")
    vault = declared(estate, tmp_path, "    geo_redundant: true\n", "    geo_redundant: true\n        long_term: 10y\n")
    with app(estate, tmp_path / "host", **vault) as running:
        assert checks(looked(running)) == {("servers/erp", "long-term backups")}
        server.long_term.append(datetime.now(UTC))
        try:
            assert looked(running)["findings"] == []
        finally:
            server.long_term.clear()
