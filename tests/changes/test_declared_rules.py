"""The declared estate and calendar as the gate knows them."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.changes.declared_rules import DeclaredRules
from shared.changes.errors import NotKnownError
from shared.changes.freeze import Effect
from shared.changes.policy import Budget, OverrideKind
from shared.estate.loading import load_estate
from shared.finance_calendar.compilation import compile_calendar
from shared.risk import Risk

TEXT = (Path(__file__).resolve().parents[2] / "examples" / "single-company" / "estate.yaml").read_text()
IN_CLOSE = datetime(2026, 11, 30, 12, tzinfo=UTC)
QUIET = datetime(2026, 11, 22, 12, tzinfo=UTC)


def rules(text: str = TEXT, feeds: dict[str, bytes] | None = None) -> DeclaredRules:
    estate = load_estate(text)
    return DeclaredRules(estate, compile_calendar(estate.calendar, feeds))


def with_changes(yaml: str) -> DeclaredRules:
    """The example with another `changes:` section."""
    text, replaced = re.subn(r"^changes:\n(?: .*\n|\n)*", lambda _: f"changes:\n{yaml}\n\n", TEXT, flags=re.MULTILINE)
    assert replaced == 1
    return rules(text)


def test_the_freeze_of_the_close_is_a_window_of_the_environment() -> None:
    windows = rules().windows("production", IN_CLOSE)
    assert windows is not None
    (freeze,) = [window for window in windows if window.effect is Effect.FREEZE]
    assert (freeze.name, freeze.environment, freeze.tenant, freeze.time_zone) == (
        "month-end-close",
        "production",
        None,
        "Europe/Berlin",
    )
    assert freeze.end == datetime(2026, 12, 3, 19, tzinfo=UTC)  # 20:00 in Berlin
    assert [window for window in rules().windows("production", QUIET) or () if window.effect is Effect.FREEZE] == []


def test_what_the_gate_declares_is_the_policy() -> None:
    policy = with_changes(
        "  gate: {freeze_holds: [financial], approval_for: [disruptive], attempts_per_target: 2 per 1h, "
        "at_once: 7, share_at_once: 50%, stop_after_failures: 5, probe_after: 10m, "
        "verify_every: 2s, retry_after: 1s}\n"
        "  gates: {staging: {dry_run: true}}\n"
        "  approvals: {expire_after: 30m}\n"
        "  exceptions: {longest: 2h, most_uses: 1, ticket: 'CHG-[0-9]+'}\n"
        "  overrides: {keep_awake: 6h}"
    )
    production, staging = policy.policy("production"), policy.policy("staging")
    assert production.freeze_holds == {Risk.FINANCIAL}
    assert production.approval_for_risks == {Risk.DISRUPTIVE}
    assert production.attempts_per_target == Budget(2, timedelta(hours=1))
    assert (production.limits.per_environment, production.limits.share) == (7, 0.5)
    assert (production.breaker.failures, production.breaker.open_for) == (5, timedelta(minutes=10))
    assert (production.verify_every, production.retry.first) == (timedelta(seconds=2), timedelta(seconds=1))
    assert production.approval_lifetime == timedelta(minutes=30)
    assert (production.exception_longest, production.exception_most_uses) == (timedelta(hours=2), 1)
    assert production.exception_ticket == "CHG-[0-9]+"
    assert production.override_longest[OverrideKind.KEEP_AWAKE] == timedelta(hours=6)
    assert (production.dry_run, staging.dry_run) == (False, True)
    assert staging.limits == production.limits


def test_an_unknown_environment_is_told_with_the_known_ones() -> None:
    with pytest.raises(NotKnownError, match="nowhere; the estate declares production, staging"):
        rules().policy("nowhere")


def test_a_feed_that_is_missing_could_hold_a_freeze() -> None:
    feed = "calendar:\n  subscriptions:\n    finance: {ics: finance.ics, kinds: {Freeze: freeze}}\n"
    text = TEXT.replace("calendar:\n", feed, 1)
    assert rules(text).windows("production", QUIET) is None
    empty = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n"
    assert rules(text, {"finance": empty}).windows("production", QUIET) is not None


def test_targets_are_counted_and_never_none() -> None:
    counted = rules()
    assert counted.targets("production", "postgres-server") == 1
    assert counted.targets("production", "aks-node-pool") >= 2
    assert counted.targets("production", "never-heard-of") == 1
