"""Anchors on the host: taken once a night, on record, and what drills are held against."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.embedded_estate import EmbeddedEstate
from local.odoo import write_business
from local.odoo.damage import INJURIES
from tests.drills.running import App, app

TICK = "anchors_tick"


@pytest.fixture(autouse=True)
def _without_anchors(estate: EmbeddedEstate) -> Iterator[None]:
    """Each test begins as if no night had passed, and leaves it so."""
    _forget(estate)
    yield
    _forget(estate)


def _forget(estate: EmbeddedEstate) -> None:
    for blob in list(estate.state.list_blobs(name_starts_with="anchors/")):
        estate.state.delete_blob(blob.name)


def fire(running: App, times: int = 1) -> None:
    """Tick, so often at once, and wait until all of them are over."""
    wanted = len(_ticks(running)) + times
    for _ in range(times):
        running.fire(TICK)
    deadline = time.monotonic() + 60
    while len(_ticks(running)) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(_ticks(running)) >= wanted, running.log()


def _ticks(running: App) -> list[str]:
    lines = (running.host.config.data / "logs" / "host.jsonl").read_text().splitlines()
    return [line for line in lines if f"Executed 'Functions.{TICK}'" in line]


def anchors(estate: EmbeddedEstate, database: str) -> dict[str, dict[str, Any]]:
    """The kept looks at a database, by blob name."""
    place = f"anchors/production/erp/{database}/"
    return {
        blob.name: json.loads(gzip.decompress(estate.state.download_blob(blob.name).readall()))
        for blob in estate.state.list_blobs(name_starts_with=place)
    }


def move_back(estate: EmbeddedEstate, database: str, days: int) -> None:
    """As if the one look at a database had been taken nights ago: a new name, the evidence of it stays."""
    ((name, looked),) = anchors(estate, database).items()
    night = datetime.fromisoformat(looked["night"]) - timedelta(days=days)
    looked["night"] = night.isoformat()
    folder = name.rpartition("/")[0]
    estate.state.upload_blob(f"{folder}/{night:%Y%m%dT%H%M%SZ}.json.gz", gzip.compress(json.dumps(looked).encode()))
    estate.state.delete_blob(name)


def records(estate: EmbeddedEstate, database: str) -> list[dict[str, Any]]:
    container = estate.evidence
    found = [
        json.loads(container.download_blob(blob.name).readall())
        for blob in container.list_blobs(name_starts_with="records/")
    ]
    return [one for one in found if one["kind"] == "anchor" and one["subject"] == f"production/erp/{database}"]


@contextmanager
def put_back(estate: EmbeddedEstate, database: str) -> Iterator[Callable[..., Any]]:
    """A database that may be damaged: afterwards it is as it was. Yields what runs a function on a connection."""
    cluster = estate.server("production", "erp").cluster
    assert cluster is not None
    cluster.run_sql(f'create database "{database}_saved" template "{database}"')

    def act(what: Callable[[psycopg.Connection], Any]) -> Any:
        with psycopg.connect(cluster.dsn(database)) as connection:
            done = what(connection)
        cluster.archive_now()
        return done

    try:
        yield act
    finally:
        cluster.run_sql(f'drop database "{database}" with (force)')
        cluster.run_sql(f'alter database "{database}_saved" rename to "{database}"')
        cluster.archive_now()


def books_of(report: dict[str, Any], database: str) -> dict[str, Any]:
    (books,) = [books for books in report["books"] if books["database"] == database]
    return books


def found(report: dict[str, Any], database: str) -> dict[str, str]:
    findings = books_of(report, database)["findings"]
    return {finding["check"]: finding["severity"] for finding in findings if finding["severity"] != "note"}


def test_a_night_is_looked_at_once_however_often_the_tick_comes(estate: EmbeddedEstate, tmp_path: Path) -> None:
    with app(estate, tmp_path) as running:
        fire(running, times=3)
        kept = {database: anchors(estate, database) for database in ("contoso", "fabrikam")}
        assert [len(each) for each in kept.values()] == [1, 1]
        ((name, looked),) = kept["contoso"].items()
        night = datetime.fromisoformat(looked["night"])
        assert timedelta(0) <= datetime.now(UTC) - night < timedelta(days=1, hours=1)
        assert looked["anchor"]["chains"]
        assert looked["tenant"] == "contoso"
        (record,) = [one for one in records(estate, "contoso") if one["body"]["anchor"] == name]
        assert record["tenant"] == "contoso"
        assert record["body"]["sealed_entries"] > 0
        fire(running)
        assert {database: anchors(estate, database) for database in kept} == kept
    with app(estate, tmp_path / "again") as running:
        fire(running)  # a new process, which has no memory of the night
        assert anchors(estate, "contoso") == kept["contoso"]


def test_a_lost_tail_is_found_by_the_drill(estate: EmbeddedEstate, tmp_path: Path) -> None:
    with app(estate, tmp_path) as running, put_back(estate, "fabrikam") as act:
        fire(running)
        report = running.drill("whole-tail")
        assert report["outcome"] == "passed", report["failures"]
        assert "anchor: chain heads" in books_of(report, "fabrikam")["checks"]
        act(INJURIES["delete_tail"])
        act(lambda connection: write_business(connection, datetime.now(UTC)))
        report = running.drill("lost-tail")
        assert report["outcome"] == "failed"
        assert found(report, "fabrikam")["anchor: chain heads"] == "critical"
        assert found(report, "contoso") == {}
        assert any("sealed entries are missing" in failure for failure in report["failures"])


def test_an_anchor_from_after_the_target_is_no_reference(estate: EmbeddedEstate, tmp_path: Path) -> None:
    with app(estate, tmp_path) as running:
        target = datetime.now(UTC) - timedelta(seconds=1)
        fire(running)
        report = running.drill("before-the-anchor", target=target.isoformat())
        (note,) = [one for one in books_of(report, "contoso")["findings"] if one["check"] == "anchor: as recorded"]
        assert note["severity"] == "note"
        assert "anchor: chain heads" not in books_of(report, "contoso")["checks"]
        assert report["outcome"] == "passed", report["failures"]


def test_an_anchor_that_was_changed_is_none_and_fails_the_drill(estate: EmbeddedEstate, tmp_path: Path) -> None:
    with app(estate, tmp_path) as running:
        fire(running)
        ((name, looked),) = anchors(estate, "contoso").items()
        looked["anchor"]["chains"] = []
        estate.state.upload_blob(name, gzip.compress(json.dumps(looked).encode()), overwrite=True)
        report = running.drill("forged-anchor")
        assert report["outcome"] == "failed"
        assert found(report, "contoso")["anchor: as recorded"] == "critical"
        assert found(report, "fabrikam") == {}


def test_an_error_that_live_books_begin_to_show_is_told_and_stays_red_until_it_is_accepted(
    estate: EmbeddedEstate, tmp_path: Path
) -> None:
    with put_back(estate, "fabrikam") as act:
        with app(estate, tmp_path / "first") as running:
            fire(running)
            move_back(estate, "fabrikam", days=1)
            act(INJURIES["change_account"])
        with app(estate, tmp_path / "second") as running:
            fire(running)
            assert len(anchors(estate, "fabrikam")) == 2
            told = [dict(kept.event.body) for kept in estate.azure.events.received]
            (event,) = {
                each["id"]: each for each in told if each["type"] == "Closekeeper.BackupVerification.LiveBooksFinding"
            }.values()
            assert event["subject"] == "environments/production/tenants/fabrikam/servers/erp/databases/fabrikam"
            assert [finding["check"] for finding in event["data"]["findings"]] == ["hash chain"]
            report = running.drill("new-error")
            assert report["outcome"] == "failed"
            assert found(report, "fabrikam") == {"hash chain": "critical"}
        accepted = "  accepted:\n    rebooked: { check: hash-chain, why: agreed with the auditor, until: 2099-12-31 }\n"
        text = Path(estate.settings()["ESTATE_FILE"]).read_text()
        file = tmp_path / "estate.yaml"
        file.write_text(text.replace("  assertions:\n    no-unposted", f"{accepted}  assertions:\n    no-unposted"))
        with app(estate, tmp_path / "third", ESTATE_FILE=str(file)) as running:
            report = running.drill("accepted-error")
            assert report["outcome"] == "passed", report["failures"]
            (shown,) = books_of(report, "fabrikam")["accepted"][-1:]
            assert (shown["check"], shown["why"][:23]) == ("hash chain", "agreed with the auditor")


def test_the_estates_assertions_run_on_the_copies_that_they_name(estate: EmbeddedEstate, tmp_path: Path) -> None:
    text = Path(estate.settings()["ESTATE_FILE"]).read_text()
    mine = "    has-entries: { sql: 'select id from account_move order by id limit 2', tenants: [contoso] }\n"
    file = tmp_path / "estate.yaml"
    file.write_text(text.replace("  assertions:\n", f"  assertions:\n{mine}"))
    with app(estate, tmp_path / "host", ESTATE_FILE=str(file)) as running:
        fire(running)
        report = running.drill("asserted")
        assert found(report, "contoso") == {"assertion: has-entries": "error"}
        assert found(report, "fabrikam") == {}
        checks = {name: books_of(report, name)["checks"] for name in ("contoso", "fabrikam")}
        assert "assertion: trial-balance" in checks["fabrikam"]
        assert "assertion: has-entries" not in checks["fabrikam"]
        assert [failure for failure in report["failures"] if "returned 2 rows" in failure]
