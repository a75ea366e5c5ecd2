"""The verdict on a drill, and the names that make twice the same as once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backup_verification.books import Books, Finding
from shared.backup_verification.drill import (
    DatabaseUnderTest,
    DrillPlan,
    DrillReport,
    Outcome,
    Phase,
    conclude,
    drill_id,
    temporary_server_name,
)

T = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
PLAN = DrillPlan(
    id="drill:production:erp:2026-11-22",
    environment="production",
    server="erp",
    source_id="/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp",
    server_id="/subscriptions/s/resourceGroups/d/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp-drill-1",
    location="westeurope",
    databases=(DatabaseUnderTest(name="contoso", tenant="contoso"),),
    target=T,
    requested_at=T,
    restore_deadline=T + timedelta(hours=6),
    expires_at=T + timedelta(hours=7),
    rto_seconds=3600,
    rpo_seconds=300,
    poll_seconds=30,
    estate_version="v",
)
PHASES = {
    Phase.REQUESTED: T,
    Phase.ACCEPTED: T + timedelta(seconds=2),
    Phase.READY: T + timedelta(minutes=10),
    Phase.ANSWERED: T + timedelta(minutes=11),
    Phase.VERIFIED: T + timedelta(minutes=12),
    Phase.REMOVED: T + timedelta(minutes=14),
}


def books(**changed: Any) -> Books:
    good = Books(
        database="contoso",
        tenant="contoso",
        moves=10,
        lines=20,
        hashed_moves=5,
        checks=("ledger present",),
        findings=(),
        newest_write=T - timedelta(seconds=30),
        source_newest_write=T - timedelta(seconds=10),
        write_lag_seconds=30.0,
    )
    return good.model_copy(update=changed)


def verdict(
    phases: dict[Phase, datetime] = PHASES, found: tuple[Books, ...] = (books(),), failures: tuple[str, ...] = ()
) -> DrillReport:
    return conclude(PLAN, phases, found, failures, T + timedelta(minutes=15))


def test_whole_books_in_time_and_a_server_that_is_gone_pass() -> None:
    report = verdict()
    assert (report.outcome, report.failures) == (Outcome.PASSED, ())
    assert (report.rto_seconds, report.rpo_seconds, report.removed) == (660.0, 30.0, True)


@pytest.mark.parametrize(
    ("report", "word"),
    [
        pytest.param(verdict(found=(books(findings=(Finding(check="c", message="INV/1 changed"),)),)), "INV/1 changed"),
        pytest.param(verdict(found=()), "contoso: was not checked"),
        pytest.param(verdict(phases=PHASES | {Phase.ANSWERED: T + timedelta(hours=2)}), "RTO missed: 120.0 min"),
        pytest.param(
            verdict(found=(books(newest_write=T - timedelta(hours=1), source_newest_write=T - timedelta(seconds=5)),)),
            "RPO missed: the newest write that came back",
        ),
        pytest.param(
            verdict(found=(books(write_lag_seconds=900.0, source_newest_write=None),)),
            "RPO missed: the newest write is",
        ),
        pytest.param(verdict(found=(books(newest_write=None, write_lag_seconds=None),)), "no business write at all"),
        pytest.param(verdict(failures=("the restore failed: ServerCapacity",)), "ServerCapacity"),
        pytest.param(
            verdict(phases={phase: at for phase, at in PHASES.items() if phase is not Phase.REMOVED}),
            "absence is not proven",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_shortcoming_fails_the_drill_and_is_named(report: DrillReport, word: str) -> None:
    assert report.outcome is Outcome.FAILED
    assert [failure for failure in report.failures if word in failure], report.failures


def test_an_idle_night_is_no_loss() -> None:
    quiet = books(
        newest_write=T - timedelta(hours=9), source_newest_write=T - timedelta(hours=9), write_lag_seconds=32400.0
    )
    assert verdict(found=(quiet,)).outcome is Outcome.PASSED


KEYS = st.text(min_size=1, max_size=80)


@given(KEYS, KEYS)
def test_two_keys_are_two_drills_and_every_id_is_a_legal_instance_id(one: str, other: str) -> None:
    first, second = drill_id("production", "erp", one), drill_id("production", "erp", other)
    assert (first == second) == (one == other)
    assert len(first) <= 220
    assert all((character.isalnum() and character.isascii()) or character in ":._-" for character in first)


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True), KEYS)
def test_a_temporary_server_has_a_legal_name_that_says_where_it_came_from(source: str, key: str) -> None:
    name = temporary_server_name(source, key)
    assert 3 <= len(name) <= 63
    assert name[0].isalnum()
    assert "-drill-" in name
    assert name.startswith(source[:20].rstrip("-"))
    assert name == temporary_server_name(source, key) != temporary_server_name(source, key + "x")
