"""Drills that are asked for and must not act: rehearsed, stopped, paused; and that this is on record."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.embedded_estate import EmbeddedEstate
from tests.drills.running import App, app


def assert_nothing_was_done(running: App, drill: str, outcome: str, words: str) -> None:
    for _ in range(2):  # the second asks again for what was answered
        state = running.await_drill(drill)
        assert (state["status"], state["report"]["outcome"]) == ("completed", outcome)
        assert words in state["report"]["reason"]
    (record,) = running.records(drill)
    assert record["kind"] == outcome
    assert words in record["body"]["reason"]
    assert running.temporary_servers() == []
    running.fire("drill_reaper")
    running.await_idle()
    assert len(running.records(drill)) == 1, "the reaper has nothing to say about it"


def test_a_dry_run_by_call_plans_and_records_and_restores_nothing(running: App) -> None:
    drill = running.start_drill("rehearsed", dry_run=True)
    assert_nothing_was_done(running, drill, "dry_run", "would restore")
    assert running.start_drill("rehearsed", dry_run=True) == drill


def test_a_dry_run_of_the_whole_app_restores_nothing(estate: EmbeddedEstate, tmp_path: Path) -> None:
    with app(estate, tmp_path, DRY_RUN="1") as running:
        assert_nothing_was_done(running, running.start_drill("rehearsed-by-setting"), "dry_run", "would restore")


def test_the_stop_switch_and_a_pause_hold_drills_until_they_are_gone(running: App, estate: EmbeddedEstate) -> None:
    pulled = running.api.put("/api/stop-switch", json={"pulled": True, "reason": "odd postings"})
    assert pulled.status_code == 200, pulled.text
    try:
        assert_nothing_was_done(running, running.start_drill("stopped"), "refused", "odd postings")
    finally:
        for blob in estate.state.list_blobs():  # only a person may release it, and nobody logs in here
            if "stop" in blob.name:
                estate.state.delete_blob(blob.name)
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    wish = {
        "kind": "pause",
        "environment": "production",
        "automation": "backup_verification",
        "reason": "migration",
    }
    paused = running.api.post("/api/overrides", json={**wish, "end": end})
    assert paused.status_code == 201, paused.text
    assert_nothing_was_done(running, running.start_drill("paused"), "refused", "migration")
    assert running.api.delete(f"/api/overrides/{paused.json()['id']}").status_code == 200
    assert running.drill("released")["outcome"] == "passed"


def test_a_server_whose_proof_is_overdue_is_told_once(running: App, estate: EmbeddedEstate) -> None:
    """Staging is declared and not there: it can never be proven, and was first seen long ago."""
    seen = {"production/erp": datetime.now(UTC).isoformat(), "staging/erp": "2020-01-01T00:00:00Z"}
    estate.state.upload_blob("drill-first-seen.json", json.dumps(seen), overwrite=True)
    (staging,) = [
        one for one in running.api.get("/api/drills/coverage").json()["value"] if one["environment"] == "staging"
    ]
    assert (staging["overdue"], staging["proven_at"], staging["every_days"]) == (True, None, 91)
    event = f"overdue:staging:erp:{datetime.fromisoformat(staging['due_by']).isoformat()}"
    for _ in range(2):
        running.fire("backup_verification_tick")
        running.await_that(lambda: running.events(event))
        running.await_that(lambda: list(estate.state.list_blobs(name_starts_with="drill-overdue/staging/")))
    running.await_idle()
    assert len([kept for kept in estate.azure.events.received if kept.event.id == event]) == 1
    assert "staging/erp: the proof was due by" in running.api.get("/api/status").text
