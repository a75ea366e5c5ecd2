"""What is told and when: once when it comes, once when it changes, once when it goes."""

from datetime import UTC, datetime, timedelta

import pytest

from local.memory_blobs import MemoryBlobContainer
from shared.backup_verification.findings import Severity
from shared.backup_verification.inventory.finding import BackupFinding
from shared.backup_verification.inventory.standing import (
    Standing,
    advance,
    find_standing,
    keep_standing,
    read_standing,
)
from shared.blob_container import BlobChangedError

START = datetime(2026, 11, 22, 6, 7, tzinfo=UTC)
EMPTY = Standing(environment="production")


def finding(
    message: str = "soft delete is off", severity: Severity = Severity.ERROR, subject: str = "a"
) -> BackupFinding:
    return BackupFinding(subject=subject, check="soft delete", severity=severity, message=message)


def told(before: Standing, *findings: BackupFinding, hours: float = 0) -> tuple[list[str], Standing]:
    """What a look tells, and the standing once that was told."""
    after = advance(before, (), findings, START + timedelta(hours=hours))
    return [str(telling.news) for telling in after.to_tell], after.model_copy(update={"to_tell": ()})


def test_a_finding_is_told_when_it_comes_changes_and_goes_and_not_in_between() -> None:
    news, standing = told(EMPTY, finding())
    assert news == ["found"]
    news, standing = told(standing, finding(), hours=1)
    assert news == []
    news, standing = told(standing, finding("kept for 3 days"), hours=2)
    assert news == ["changed"]
    news, standing = told(standing, finding("kept for 3 days", Severity.CRITICAL), hours=3)
    assert news == ["changed"]
    after = advance(standing, (), (), START + timedelta(hours=4))
    assert [(telling.news, telling.since) for telling in after.to_tell] == [("resolved", START), ("all_clear", None)]
    assert after.open == {}


def test_findings_of_other_subjects_are_others() -> None:
    news, standing = told(EMPTY, finding(), finding(subject="b"))
    assert news == ["found", "found"]
    assert told(standing, finding(), hours=1)[0] == ["resolved"]


def test_an_all_clear_is_told_when_it_comes_and_once_a_day() -> None:
    news, standing = told(EMPTY)
    assert news == ["all_clear"]
    for hours in range(1, 17):
        news, standing = told(standing, hours=hours)
        assert news == []
    news, standing = told(standing, hours=18)
    assert news == ["all_clear"]
    news, standing = told(standing, finding(), hours=19)
    assert news == ["found"]
    assert told(standing, hours=20)[0] == ["resolved", "all_clear"]


def test_a_note_is_told_and_does_not_keep_an_all_clear_back() -> None:
    assert told(EMPTY, finding(severity=Severity.NOTE))[0] == ["found", "all_clear"]
    assert told(EMPTY, finding(severity=Severity.WARNING))[0] == ["found"]


def test_what_was_decided_and_not_told_is_told_by_the_next_look_with_its_own_time() -> None:
    died = advance(EMPTY, (), [finding()], START)
    after = advance(died, (), [finding()], START + timedelta(hours=1))
    assert after.to_tell == died.to_tell
    assert after.to_tell[0].at == START


def test_two_looks_at_once_are_one() -> None:
    container = MemoryBlobContainer()
    assert find_standing(container, "production") is None
    standing, etag = read_standing(container, "production")
    other, other_etag = read_standing(container, "production")
    assert (standing, etag) == (other, other_etag)
    first = advance(standing, (), [finding()], START)
    keep_standing(container, first, etag)
    with pytest.raises(BlobChangedError):
        keep_standing(container, advance(other, (), [finding()], START), other_etag)
    assert find_standing(container, "production") == first
