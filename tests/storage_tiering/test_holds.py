"""No plan ever touches what is held, whatever the policy asks for and whatever it would save."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.blob_facts import BlobFacts
from shared.storage_tiering.account import AccountRules, ContainerClasses, Selection, VerifiedBackup
from shared.storage_tiering.decisions import HOLDS, Reason
from tests.storage_tiering.world import NOW, Planned, blob, rules

DAY = timedelta(days=1)
POLICY = {
    "doc": {"cool_after": "1d", "cold_after": "30d", "archive_after": "60d", "delete_after": "400d"},
    "law": {"cool_after": "1d", "archive_after": "30d", "delete_after": "60d", "kept_by_law": "2y"},
    "free": {"archive_after": "1d", "delete_after": "100d", "warm_for_audit": False, "move_immutable": True},
    "backup": {"backup": True, "keep": {"daily": 2, "monthly": 1}, "cool_after": "1d", "archive_after": "10d"},
    "old": {"cool_after": "1d", "old_versions": {"cool_after": "2d", "delete_after": "20d"}},
}
AUDITED = (datetime(2024, 12, 31, 23, tzinfo=UTC), datetime(2025, 12, 31, 23, tzinfo=UTC))
ACCOUNT = rules(
    POLICY,
    audited=(AUDITED,),
    at_hand=(Selection("doc", "wanted/"), Selection("free", tags=(("case", "7"),))),
    verified=(
        VerifiedBackup("backup", ("a-2026-10-01.dump",), NOW - 52 * DAY),
        VerifiedBackup("backup", ("a-2026-11-01.dump", "keys/a"), NOW - 21 * DAY),
    ),
)


def held(facts: BlobFacts, account: AccountRules, *, archives_or_deletes: bool, deletes: bool) -> bool:
    """The holds as the documentation says them, blob by blob."""
    policy = account.classes[facts.container]
    immutable = facts.immutable_until is not None and facts.immutable_until > account.now
    if facts.legal_hold or facts.leased or facts.archive_status:
        return True
    if immutable and (deletes or not policy.move_immutable):
        return True
    if policy.warm_for_audit and any(
        start <= at < end for start, end in account.audited for at in (facts.created, facts.modified)
    ):
        return True
    if (facts.container, facts.name.split("/")[0]) == ("doc", "wanted"):
        return True
    if facts.container == "free" and facts.tags.get("case") == "7":
        return True
    if facts.container != "backup" or not archives_or_deletes:
        return False
    if facts.name in ("a-2026-11-01.dump", "keys/a"):
        return True
    return not facts.name.startswith("a-") or facts.created >= NOW - 21 * DAY


def account_of(seed: int, blobs: int = 2000) -> list[BlobFacts]:
    """A random account in which everything that holds happens, alone and together."""
    random = Random(seed)
    found: dict[tuple[str, str, str | None], BlobFacts] = {}
    for number in range(blobs):
        container, age = random.choice(list(POLICY)), random.uniform(0, 900)
        name = random.choice([f"x{number}", f"wanted/x{number}", "keys/a", "a-2026-11-01.dump"])
        if random.random() < 0.5:
            name = f"{random.choice('ab')}-{NOW - age * DAY:%Y-%m-%d}.dump"
        facts = blob(
            f"{container}/{name}",
            age,
            modified=NOW - random.uniform(0, age) * DAY,
            size=random.choice([random.randrange(2**20), random.randrange(2**40)]),
            tier=random.choice(["Hot", "Hot", "Cool", "Cold", "Archive", "Smart", None]),
            kind=random.choice(["BlockBlob", "BlockBlob", "BlockBlob", "AppendBlob"]),
            legal_hold=random.random() < 0.1,
            leased=random.random() < 0.1,
            immutable_until=random.choice([None, None, None, NOW - DAY, NOW + DAY]),
            archive_status=random.choice([None, None, None, None, "rehydrate-pending-to-hot"]),
            tags=random.choice([{}, {"case": "7"}, {"case": "8"}]),
            snapshot=random.choice([None, None, "2026-01-05T10:00:00.1234567Z"]),
        )
        found[container, name, facts.snapshot] = facts
    return list(found.values())


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_nothing_that_is_held_is_touched(seed: int) -> None:
    given = {(each.container, each.name, each.snapshot): each for each in account_of(seed)}
    planned = Planned(ACCOUNT, given.values())
    for move in planned.moves:
        facts = given[move.target.container, move.target.name, move.target.snapshot]
        assert not held(facts, ACCOUNT, archives_or_deletes=move.to_tier == "Archive", deletes=False), (move, facts)
    for deletion in planned.deletions:
        facts = given[deletion.target.container, deletion.target.name, deletion.target.snapshot]
        assert not held(facts, ACCOUNT, archives_or_deletes=True, deletes=True), (deletion, facts)
        assert facts.container != "law" or max(facts.created, facts.modified).year < 2024
    assert planned.moves
    assert planned.deletions


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_whatever_is_due_is_moved_deleted_or_reported(seed: int) -> None:
    """Nothing is lost: every blob is counted once, none gets two acts, and the order of the stream does not matter."""
    given = account_of(seed, 600)
    planned = Planned(ACCOUNT, given, batch=100)
    assert sum(each.blobs for each in planned.totals.seen.values()) == len(given)
    acted = [each.target for each in (*planned.moves, *planned.deletions)]
    assert len(set(acted)) == len(acted)
    assert sum(each.blobs for each in planned.totals.blocked.values()) == len(planned.blocked)
    assert sum(each.blobs for each in planned.totals.moves.values()) == len(planned.moves)
    other = Planned(ACCOUNT, reversed(given))
    assert {each.target for each in (*other.moves, *other.deletions)} == set(acted)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"legal_hold": True}, Reason.LEGAL_HOLD),
        ({"immutable_until": NOW + DAY}, Reason.IMMUTABLE),
        ({"leased": True}, Reason.LEASED),
        ({"created": AUDITED[1] - DAY}, Reason.AUDIT),
        ({"created": AUDITED[0] - DAY, "modified": AUDITED[0]}, Reason.AUDIT),
        ({"archive_status": "rehydrate-pending-to-cool"}, Reason.REHYDRATING),
    ],
)
def test_the_reason_is_told(facts: dict[str, Any], reason: Reason) -> None:
    planned = Planned(ACCOUNT, [replace(blob("doc/x", 700, size=2**30), **facts)])
    assert planned.reasons["x", "delete"] == reason.value
    assert planned.moves == planned.deletions == []
    assert reason in HOLDS


def test_a_container_is_held_as_a_whole() -> None:
    held_whole = replace(ACCOUNT, held_containers=frozenset({"doc"}), immutable_for={"free": 200 * DAY})
    given = [blob("doc/x", 700), blob("free/young", 150), blob("free/old", 201), blob("law/x", 1500)]
    planned = Planned(held_whole, given)
    assert planned.deleted == {"old", "x"}
    assert [each.target.container for each in planned.deletions if each.target.name == "x"] == ["law"]
    assert planned.moved == {"young": "Archive"}  # immutable, and its class allows it to become cooler
    assert planned.reasons["x", "delete"] == Reason.LEGAL_HOLD.value
    assert planned.reasons["young", "delete"] == Reason.IMMUTABLE.value


def test_attachments_that_restored_books_refer_to_only_become_cooler() -> None:
    """The newest verified backup is a database, and useless without them. Former versions and other folders may go."""
    classes = {"doc": ContainerClasses("doc", {"exports/": "free"}), "other": ContainerClasses("doc", {})}
    account = replace(ACCOUNT, containers=classes, documents=frozenset({"doc"}))
    given = [
        blob("doc/contoso/ab/abcd", 700),
        blob("doc/exports/list.csv", 700),
        blob("other/x", 700),
        blob("doc/contoso/young", 70),
    ]
    planned = Planned(account, given)
    assert planned.deleted == {"exports/list.csv", "x"}
    assert planned.moved["contoso/ab/abcd"] == planned.moved["contoso/young"] == "Cold"
    assert planned.reasons["contoso/ab/abcd", "delete"] == Reason.DOCUMENT.value
    assert Reason.DOCUMENT in HOLDS
    assert Planned(replace(account, documents=frozenset()), given).deleted > planned.deleted


def test_holds_that_are_over_hold_nothing() -> None:
    given = [
        blob("doc/expired", 700, immutable_until=NOW),
        blob("doc/before", 700, created=AUDITED[0] - DAY, modified=AUDITED[0] - DAY),
        blob("doc/after", created=AUDITED[1], modified=AUDITED[0] - DAY),
    ]
    assert Planned(ACCOUNT, given).deleted == {"expired", "before", "after"}


def test_the_newest_verified_backup_and_what_is_newer_stay_but_may_become_cool() -> None:
    given = [blob(f"backup/a-{NOW - age * DAY:%Y-%m-%d}.dump", age) for age in range(1, 60)]
    given += [blob("backup/keys/a", 600), blob("backup/a-20261101.dump", 21)]
    planned = Planned(ACCOUNT, given)
    assert planned.deleted == {f"a-{NOW - age * DAY:%Y-%m-%d}.dump" for age in range(22, 60)}
    assert "Archive" not in planned.moved.values()
    assert planned.reasons["a-2026-11-10.dump", "delete"] == Reason.NOT_YET_VERIFIED.value


def test_a_series_without_a_verified_backup_is_wholly_protected() -> None:
    given = [blob(f"backup/b-{NOW - age * DAY:%Y-%m-%d}.dump", age) for age in range(60)]
    planned = Planned(ACCOUNT, given)
    assert planned.deletions == []
    assert "Archive" not in planned.moved.values()


def test_a_version_is_old_since_it_was_replaced() -> None:
    versions = [(300.0, "a"), (30.0, "b"), (10.0, "c")]
    given = [
        blob("old/x", age, version=f"{NOW - age * DAY:%Y-%m-%dT%H:%M:%S}.0000001Z", current=etag == "c", etag=etag)
        for age, etag in versions
    ]
    planned = Planned(ACCOUNT, given, batch=1)
    # The first was replaced 30 days ago and goes; the second was replaced 10 days ago and becomes cool.
    assert [each.target.etag for each in planned.deletions] == ["a"]
    assert [each.target.etag for each in planned.moves] == ["c"] or {each.target.etag for each in planned.moves} == {
        "b",
        "c",
    }


def test_the_last_version_of_a_deleted_blob_is_left_alone() -> None:
    """Nobody knows when the blob was deleted: counted from when it was written, versioning would protect nothing."""
    given = [blob("old/x", 800, version="2024-09-13T03:00:00.0000001Z", current=False)]
    planned = Planned(ACCOUNT, given)
    assert planned.moves == planned.deletions == []
    assert set(planned.reasons.values()) == {Reason.REPLACED_UNKNOWN.value}
