"""What is wrong with a backup and what is not: the judgement from plain facts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.backup_verification.findings import Severity
from shared.backup_verification.inventory.dumps import DumpSeen, judge_dumps
from shared.backup_verification.inventory.servers import (
    Archiving,
    LiveAnswers,
    ServerBackups,
    ServerPromise,
    Span,
    Unsaved,
    judge_server,
    late_spans,
)
from shared.backup_verification.inventory.storage import AccountPromise, AccountProtection, judge_account

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PROMISE = ServerPromise(
    name="erp",
    window=14 * DAY,
    geo_redundant=True,
    long_term=None,
    rpo=timedelta(minutes=5),
    late_after=timedelta(hours=26),
)
HEALTHY = ServerBackups(
    state="Ready",
    created=NOW - 400 * DAY,
    retention=14 * DAY,
    geo_redundant=True,
    earliest_restore=NOW - 14 * DAY,
    full=tuple(NOW - DAY * days - timedelta(hours=9) for days in range(14, -1, -1)),
)
QUIET = LiveAnswers()


def of_server(
    seen: ServerBackups | None, live: LiveAnswers = QUIET, promise: ServerPromise = PROMISE
) -> dict[str, str]:
    return {finding.check: finding.message for finding in judge_server(promise, seen, live, NOW)}


def test_a_server_as_declared_has_no_finding_and_no_span_to_ask_for() -> None:
    assert late_spans(HEALTHY, PROMISE, NOW) == []
    assert of_server(HEALTHY) == {}


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"state": "Inaccessible"}, "server is there"),
        ({"full": ()}, "newest backup"),
        ({"retention": 7 * DAY, "earliest_restore": NOW - 7 * DAY}, "point-in-time window"),
        ({"earliest_restore": NOW - 3 * DAY}, "earliest restore point"),
        ({"earliest_restore": None}, "earliest restore point"),
        ({"geo_redundant": False}, "geo-redundancy"),
    ],
)
def test_each_fault_is_its_own_finding(changed: dict[str, object], check: str) -> None:
    assert list(of_server(replace(HEALTHY, **changed))) == [check]  # type: ignore[arg-type]


def test_a_server_that_is_gone_is_critical() -> None:
    (finding,) = judge_server(PROMISE, None, QUIET, NOW)
    assert (finding.check, finding.severity) == ("server is there", Severity.CRITICAL)


def test_a_young_server_has_neither_backup_nor_window_yet() -> None:
    young = replace(HEALTHY, created=NOW - timedelta(hours=5), earliest_restore=None, full=())
    assert of_server(young) == {}
    filling = replace(HEALTHY, created=NOW - 3 * DAY, earliest_restore=NOW - 3 * DAY, full=HEALTHY.full[-3:])
    assert of_server(filling) == {}


def test_an_idle_server_without_a_new_snapshot_is_asked_for_writes_and_is_fine_without() -> None:
    idle = replace(HEALTHY, full=HEALTHY.full[:-4])
    newest = max(idle.full)
    (span,) = late_spans(idle, PROMISE, NOW)
    assert span == Span(newest, NOW - PROMISE.late_after, ended=False)
    assert of_server(idle) == {}
    found = of_server(idle, LiveAnswers(unsaved=(Unsaved(span, newest + timedelta(hours=1)),)))
    assert list(found) == ["newest backup"]
    assert "2026-11-18 03:00 UTC" in found["newest backup"]


def test_a_message_stays_the_same_while_time_passes_and_rows_are_written_again() -> None:
    idle = replace(HEALTHY, full=HEALTHY.full[:-4])
    told: set[tuple[str, str]] = set()
    for hours in range(3):
        now = NOW + timedelta(hours=hours)
        (span,) = late_spans(idle, PROMISE, now)
        live = LiveAnswers(unsaved=(Unsaved(span, max(idle.full) + timedelta(minutes=hours)),))
        told |= {(finding.key, finding.message) for finding in judge_server(PROMISE, idle, live, now)}
    assert len(told) == 1


def test_a_gap_between_backups_is_a_warning_if_something_was_written_in_it() -> None:
    gap = replace(HEALTHY, full=HEALTHY.full[:5] + HEALTHY.full[8:])
    (span,) = late_spans(gap, PROMISE, NOW)
    assert span.ended
    assert of_server(gap) == {}
    (finding,) = judge_server(PROMISE, gap, LiveAnswers(unsaved=(Unsaved(span, span.after + DAY),)), NOW)
    assert (finding.check, finding.severity) == ("no gap between backups", Severity.WARNING)


def test_a_gap_that_has_left_the_window_is_not_asked_for() -> None:
    old = replace(HEALTHY, full=(NOW - 60 * DAY, NOW - 40 * DAY, *HEALTHY.full))
    assert late_spans(old, PROMISE, NOW) == []


def test_a_log_that_does_not_leave_the_server_breaks_the_rpo_once_something_waits() -> None:
    last = NOW - timedelta(hours=1)
    assert of_server(HEALTHY, LiveAnswers(archiving=Archiving(last=last))) == {}
    late = Archiving(last=last, waiting=NOW - timedelta(minutes=7))
    assert list(of_server(HEALTHY, LiveAnswers(archiving=late))) == ["log leaves the server"]
    within = Archiving(last=last, waiting=NOW - timedelta(minutes=5))
    assert of_server(HEALTHY, LiveAnswers(archiving=within)) == {}
    failing = Archiving(last=last, failed=NOW)
    assert "archiving the log fails" in of_server(HEALTHY, LiveAnswers(archiving=failing))["log leaves the server"]
    recovered = Archiving(last=NOW, failed=last)
    assert of_server(HEALTHY, LiveAnswers(archiving=recovered)) == {}


def test_a_database_without_anchors_is_told_once_its_server_is_two_days_old() -> None:
    late = LiveAnswers(unanchored=("contoso", "fabrikam"))
    assert of_server(HEALTHY, late) == {"nightly anchors": "not looked at for two nights: contoso, fabrikam"}
    young = replace(HEALTHY, created=NOW - DAY, earliest_restore=NOW - DAY, full=HEALTHY.full[-1:])
    assert of_server(young, late) == {}


def test_vault_backups_are_looked_for_where_they_are_declared() -> None:
    promise = replace(PROMISE, long_term=3660 * DAY)
    assert "there is no vault backup" in of_server(HEALTHY, promise=promise)["long-term backups"]
    assert list(of_server(replace(HEALTHY, long_term=(NOW - 40 * DAY,)), promise=promise)) == ["long-term backups"]
    assert of_server(replace(HEALTHY, long_term=(NOW - 40 * DAY, NOW - 6 * DAY)), promise=promise) == {}


ACCOUNT = AccountPromise(
    name="documents",
    containers=("attachments",),
    secondary="readable",
    soft_delete=30 * DAY,
    versioning=False,
    secondary_behind=timedelta(hours=1),
    windows={"erp": 14 * DAY},
)
PROTECTED = AccountProtection(
    secondary="readable",
    sync_status="Live",
    last_sync=NOW - timedelta(minutes=10),
    soft_delete=30 * DAY,
    versioning=False,
    containers=frozenset({"attachments", "logs"}),
)


def of_account(seen: AccountProtection | None, promise: AccountPromise = ACCOUNT) -> list[str]:
    return [finding.check for finding in judge_account(promise, seen, NOW)]


@pytest.mark.parametrize(
    ("changed", "checks"),
    [
        ({}, []),
        ({"containers": frozenset()}, ["containers are there"]),
        ({"soft_delete": 20 * DAY}, ["soft delete"]),
        ({"soft_delete": 7 * DAY}, ["soft delete", "documents outlive the window"]),
        ({"soft_delete": None}, ["soft delete", "documents outlive the window"]),
        ({"soft_delete": 7 * DAY, "versioning": True}, ["soft delete"]),
        ({"secondary": "replicated"}, ["secondary region"]),
        ({"sync_status": "Unavailable"}, ["replication"]),
        ({"last_sync": None}, ["replication"]),
        ({"last_sync": NOW - timedelta(hours=2)}, ["replication"]),
    ],
)
def test_each_fault_of_an_account_is_its_own_finding(changed: dict[str, object], checks: list[str]) -> None:
    assert of_account(replace(PROTECTED, **changed)) == checks  # type: ignore[arg-type]


def test_an_account_without_declared_protection_owes_what_its_databases_need_only() -> None:
    plain = replace(ACCOUNT, secondary="none", soft_delete=None)
    bare = replace(PROTECTED, secondary="none", last_sync=None, soft_delete=None)
    assert of_account(bare, replace(plain, windows={})) == []
    assert of_account(bare, plain) == ["documents outlive the window"]
    assert of_account(bare, replace(plain, windows={}, versioning=True)) == ["versioning"]
    assert of_account(None) == ["account is there"]


def dumps(*sizes: int, every: timedelta = DAY, newest: datetime = NOW - timedelta(hours=3)) -> list[DumpSeen]:
    return [
        DumpSeen(f"contoso-{index}.dump", size, newest - every * (len(sizes) - 1 - index))
        for index, size in enumerate(sizes)
    ]


def of_dumps(seen: list[DumpSeen], now: datetime = NOW) -> list[str]:
    found = judge_dumps("contoso", seen, size_change=0.5, writing_since=now - timedelta(hours=1), now=now)
    return [finding.check for finding in found]


@pytest.mark.parametrize(
    ("sizes", "checks"),
    [
        ((), ["dumps are there"]),
        ((100,), []),
        ((100, 101, 0), []),  # too little history to know what is usual
        ((100, 101, 102, 103), []),
        ((100, 101, 102, 154), ["dump size"]),
        ((100, 101, 102, 150), []),
        ((100, 101, 102, 49), ["dump size"]),
        ((100, 101, 102, 0), ["dump size"]),
        ((1, 100, 101, 102, 103), []),  # one odd dump of the past is not what is usual
    ],
)
def test_a_dump_is_judged_by_the_median_of_its_own_history(sizes: tuple[int, ...], checks: list[str]) -> None:
    assert of_dumps(dumps(*sizes)) == checks


def test_a_dump_that_is_just_being_written_is_judged_later() -> None:
    writing = dumps(100, 101, 102, 1, newest=NOW - timedelta(minutes=10))
    assert of_dumps(writing) == []
    assert of_dumps(writing, NOW + timedelta(hours=1)) == ["dump size"]


def test_a_rhythm_that_stops_is_seen_after_two_beats() -> None:
    daily = dumps(100, 101, 102, 103, 104)
    assert of_dumps(daily, daily[-1].at + timedelta(hours=48)) == []
    assert of_dumps(daily, daily[-1].at + timedelta(hours=50)) == ["dump rhythm"]
    weekly = dumps(100, 101, 102, 103, every=7 * DAY)
    assert of_dumps(weekly, weekly[-1].at + 8 * DAY) == []
    assert of_dumps(dumps(100, 101), NOW + 30 * DAY) == []
