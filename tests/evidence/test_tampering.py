"""Everything that somebody with full access to the container could try, and how the verifier names it."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from local.memory_blobs import MemoryBlobContainer
from shared.evidence.canonical import canonical, sha256
from shared.evidence.merkle import CompactRange, leaf_hash
from shared.evidence.verify import Seal, Verification
from tests.evidence.logs import MINUTE, NOON, Files, contents, record, seal, write_records

SEALS = 4
PER_SEAL = 5


@cache
def honest() -> dict[str, bytes]:
    """Four seals of five records each; two further records wait."""
    container = MemoryBlobContainer()
    for step in range(SEALS):
        write_records(container, range(step * PER_SEAL, (step + 1) * PER_SEAL), NOON + step * timedelta(hours=1))
        seal(container, NOON + step * timedelta(hours=1) + MINUTE)
    write_records(container, range(90, 92), NOON + timedelta(hours=5))
    return contents(container)


def seal_name(sequence: int) -> str:
    return f"seals/{sequence:08}.json"


def record_name(files: dict[str, bytes], number: int) -> str:
    (name,) = [name for name, data in files.items() if f'"change:{number:04}"'.encode() in data]
    return name


def content(files: dict[str, bytes], name: str) -> Any:
    return json.loads(files[name])


def edit(files: dict[str, bytes], name: str, **members: object) -> None:
    files[name] = canonical(content(files, name) | members)


def leaves_name(files: dict[str, bytes], sequence: int) -> str:
    return content(files, seal_name(sequence))["leaves"]["name"]


def change_record(files: dict[str, bytes], number: int) -> str:
    name = record_name(files, number)
    edit(files, name, body={"before": {"replicas": 2}, "after": {"replicas": 200}})
    return name


def rebuild(files: dict[str, bytes], names_of: Callable[[int], list[str]] | None = None, first: int = 1) -> None:
    """Make leaf lists and seals anew from `first` on, in perfect order: what an attacker with time would do."""
    last = max(int(name[6:14]) for name in files if name.startswith("seals/"))
    tree = CompactRange()
    previous: str | None = None
    for sequence in range(1, last + 1):
        old = content(files, seal_name(sequence))
        names = [name for name, _ in content(files, old["leaves"]["name"])["leaves"]]
        if sequence < first:
            leaves = content(files, old["leaves"]["name"])["leaves"]
            for _, digest in leaves:
                tree.append(bytes.fromhex(digest))
            previous = sha256(files[seal_name(sequence)])
            continue
        names = names_of(sequence) if names_of else [name for name in names if name in files]
        start = tree.size
        rows: list[list[str]] = []
        for name in names:
            digest = leaf_hash(files[name])
            tree.append(digest)
            rows.append([name, digest.hex()])
        listed = canonical({"schema": "closekeeper.evidence.leaves/1", "first": start, "leaves": rows})
        del files[old["leaves"]["name"]]
        place = f"leaves/{sequence:08}-{sha256(listed)[:16]}.json"
        files[place] = listed
        old |= {
            "tree_size": tree.size,
            "root": tree.root().hex(),
            "peaks": [peak.hex() for peak in tree.peaks],
            "previous": previous,
            "leaves": {"name": place, "sha256": sha256(listed), "count": len(rows)},
        }
        files[seal_name(sequence)] = canonical(old)
        previous = sha256(files[seal_name(sequence)])


type Tampering = Callable[[dict[str, bytes]], str]
"""Changes the files; returns where the verifier must see it."""


# Found by the log alone.


def record_altered(files: dict[str, bytes]) -> str:
    return change_record(files, 7)


def record_with_one_bit_flipped(files: dict[str, bytes]) -> str:
    name = record_name(files, 7)
    data = bytearray(files[name])
    data[data.index(b'"seconds":0') + 10] ^= 1
    files[name] = bytes(data)
    return name


def record_emptied(files: dict[str, bytes]) -> str:
    name = record_name(files, 7)
    files[name] = b""
    return name


def records_swapped(files: dict[str, bytes]) -> str:
    one, other = record_name(files, 7), record_name(files, 8)
    files[one], files[other] = files[other], files[one]
    return other


def record_deleted(files: dict[str, bytes]) -> str:
    name = record_name(files, 7)
    del files[name]
    return name


def record_rewritten_with_spaces(files: dict[str, bytes]) -> str:
    name = record_name(files, 7)
    files[name] = json.dumps(content(files, name), indent=2).encode()
    return name


def record_rewritten_with_reordered_members(files: dict[str, bytes]) -> str:
    name = record_name(files, 7)
    turned = dict(reversed(content(files, name).items()))
    files[name] = json.dumps(turned, separators=(",", ":")).encode()
    return name


def record_moved_to_another_day(files: dict[str, bytes]) -> str:
    name = record_name(files, 7)
    moved = name.replace("/2026/11/22/", "/2026/11/21/")
    files[moved] = files.pop(name)
    return moved


def record_copied_to_another_day(files: dict[str, bytes]) -> str:
    name = record_name(files, 7)
    copy = name.replace("/2026/11/22/", "/2026/11/21/")
    files[copy] = files[name]
    return copy


def record_inserted_with_an_old_time(files: dict[str, bytes]) -> str:
    forged = record(500, NOON)
    files[forged.name] = forged.data
    return forged.name


def record_inserted_with_the_id_of_another(files: dict[str, bytes]) -> str:
    name = record_name(files, 7)
    forged = name.replace("T13", "T14")
    assert forged != name
    files[forged] = canonical(content(files, name) | {"body": {}})
    return forged


def note_put_among_the_records(files: dict[str, bytes]) -> str:
    files["records/2026/11/22/20261122T110000.000000Z-note.json"] = b'{"note": "nothing happened"}'
    return "records/2026/11/22/20261122T110000.000000Z-note.json"


def leaves_reordered(files: dict[str, bytes]) -> str:
    name = leaves_name(files, 2)
    edit(files, name, leaves=content(files, name)["leaves"][::-1])
    return name


def leaf_and_record_removed(files: dict[str, bytes]) -> str:
    name, victim = leaves_name(files, 2), record_name(files, 7)
    edit(files, name, leaves=[row for row in content(files, name)["leaves"] if row[0] != victim])
    del files[victim]
    return name


def leaf_and_record_altered(files: dict[str, bytes]) -> str:
    name, victim = leaves_name(files, 2), change_record(files, 7)
    rows = [
        [row[0], leaf_hash(files[row[0]]).hex()] if row[0] == victim else row for row in content(files, name)["leaves"]
    ]
    edit(files, name, leaves=rows)
    return name


def leaf_added_for_a_forged_record(files: dict[str, bytes]) -> str:
    name = leaves_name(files, 2)
    forged = record(500, NOON + timedelta(hours=1, seconds=59))
    files[forged.name] = forged.data
    edit(files, name, leaves=[*content(files, name)["leaves"], [forged.name, leaf_hash(forged.data).hex()]])
    return name


def leaf_list_deleted(files: dict[str, bytes]) -> str:
    name = leaves_name(files, 2)
    del files[name]
    return name


def leaf_lists_swapped(files: dict[str, bytes]) -> str:
    one, other = leaves_name(files, 2), leaves_name(files, 3)
    files[one], files[other] = files[other], files[one]
    return one


def leaf_list_replaced_by_something_else(files: dict[str, bytes]) -> str:
    name = leaves_name(files, 2)
    files[name] = b'{"schema":"x"}'
    return name


def leaf_list_and_its_seal_made_to_fit(files: dict[str, bytes]) -> str:
    """The seal's reference is changed too, but not its root."""
    change_record(files, 7)
    name = leaf_and_record_altered(files)
    old = content(files, seal_name(2))
    edit(files, seal_name(2), leaves=old["leaves"] | {"sha256": sha256(files[name])})
    return seal_name(2)


def seal_in_the_middle_altered(files: dict[str, bytes]) -> str:
    edit(files, seal_name(2), app_version="9.9.9")
    return seal_name(2)


def seal_made_anew_without_those_after_it(files: dict[str, bytes]) -> str:
    """One record is gone, leaves and seal fit again, but the next seal continues the old one."""
    victim = record_name(files, 7)
    del files[victim]
    later = {name: files[name] for name in (seal_name(3), seal_name(4), leaves_name(files, 3), leaves_name(files, 4))}
    rebuild(files, first=2)
    for name in [name for name in files if name.startswith(("leaves/00000003", "leaves/00000004"))]:
        del files[name]
    files |= later
    return seal_name(2)


def last_seal_with_another_root(files: dict[str, bytes]) -> str:
    edit(files, seal_name(SEALS), root="ab" * 32)
    return seal_name(SEALS)


def last_seal_with_other_peaks(files: dict[str, bytes]) -> str:
    peaks = content(files, seal_name(SEALS))["peaks"]
    edit(files, seal_name(SEALS), peaks=peaks[::-1])
    return seal_name(SEALS)


def last_seal_with_another_size(files: dict[str, bytes]) -> str:
    edit(files, seal_name(SEALS), tree_size=19)
    return seal_name(SEALS)


def last_seal_with_another_previous(files: dict[str, bytes]) -> str:
    edit(files, seal_name(SEALS), previous="cd" * 32)
    return seal_name(SEALS)


def last_seal_dated_before_the_one_before(files: dict[str, bytes]) -> str:
    edit(files, seal_name(SEALS), sealed_at="2026-11-22T12:00:00.000000Z")
    return seal_name(SEALS)


def seal_deleted(files: dict[str, bytes]) -> str:
    del files[seal_name(2)]
    return seal_name(2)


def first_seal_deleted(files: dict[str, bytes]) -> str:
    del files[seal_name(1)]
    return seal_name(1)


def seals_swapped(files: dict[str, bytes]) -> str:
    files[seal_name(2)], files[seal_name(3)] = files[seal_name(3)], files[seal_name(2)]
    return seal_name(2)


def seal_rewritten_with_spaces(files: dict[str, bytes]) -> str:
    files[seal_name(2)] = json.dumps(content(files, seal_name(2)), indent=2).encode()
    return seal_name(2)


def second_seal_of_the_same_number(files: dict[str, bytes]) -> str:
    other = "seals/00000003-original.json"
    files[other] = canonical(content(files, seal_name(3)) | {"app_version": "9.9.9"})
    return other


def beginning_cut_off(files: dict[str, bytes]) -> str:
    """The second seal is made the first one."""
    for name in [name for name in files if name.startswith(("seals/00000001", "leaves/00000001"))]:
        del files[name]
    for sequence in (2, 3, 4):
        moved = content(files, seal_name(sequence)) | {"sequence": sequence - 1}
        del files[seal_name(sequence)]
        files[seal_name(sequence - 1)] = canonical(moved | ({"previous": None} if sequence == 2 else {}))
    return seal_name(1)


def tail_cut_off_but_its_records_kept(files: dict[str, bytes]) -> str:
    name = leaves_name(files, 4)
    victim = record_name(files, 17)
    del files[seal_name(4)], files[name]
    # They would pass for newcomers, were they not older than the last seal that is left.
    edit(files, seal_name(3), sealed_at="2026-11-22T15:01:00.000000Z")
    return victim


def record_sealed_a_second_time(files: dict[str, bytes]) -> str:
    victim = record_name(files, 7)
    old = {n: [name for name, _ in content(files, leaves_name(files, n))["leaves"]] for n in range(1, SEALS + 1)}
    rebuild(files, lambda sequence: sorted({*old[sequence], victim}) if sequence == 4 else old[sequence], first=4)
    return victim


def forged_record_sealed_under_a_false_id(files: dict[str, bytes]) -> str:
    """Somebody with a writer's right put it there in time, and the sealer took it in."""
    name = record_name(files, 17)
    edit(files, name, subject="change:9999")
    rebuild(files, first=4)
    return name


def forged_record_sealed_in_another_place(files: dict[str, bytes]) -> str:
    name = record_name(files, 17)
    old = {n: [row for row, _ in content(files, leaves_name(files, n))["leaves"]] for n in range(1, SEALS + 1)}
    place = name.replace("/2026/11/22/", "/2026/11/23/")
    files[place] = files.pop(name)
    moved = sorted([place, *(row for row in old[4] if row != name)])
    rebuild(files, lambda sequence: moved if sequence == 4 else old[sequence], first=4)
    return place


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (record_altered, "record-altered"),
        (record_with_one_bit_flipped, "record-altered"),
        (record_emptied, "record-altered"),
        (records_swapped, "record-altered"),
        (record_deleted, "record-missing"),
        (record_rewritten_with_spaces, "record-rewritten"),
        (record_rewritten_with_reordered_members, "record-rewritten"),
        (record_moved_to_another_day, "record-moved"),
        (record_copied_to_another_day, "record-duplicated"),
        (record_inserted_with_the_id_of_another, "record-duplicated"),
        (record_inserted_with_an_old_time, "record-unsealed"),
        (note_put_among_the_records, "record-malformed"),
        (leaves_reordered, "leaves-reordered"),
        (leaf_and_record_removed, "leaves-altered"),
        (leaf_and_record_altered, "leaves-altered"),
        (leaf_added_for_a_forged_record, "leaves-altered"),
        (leaf_list_deleted, "leaves-missing"),
        (leaf_lists_swapped, "leaves-altered"),
        (leaf_list_replaced_by_something_else, "leaves-altered"),
        (leaf_list_and_its_seal_made_to_fit, "root-wrong"),
        (seal_in_the_middle_altered, "seal-altered"),
        (seal_made_anew_without_those_after_it, "seal-altered"),
        (last_seal_with_another_root, "root-wrong"),
        (last_seal_with_other_peaks, "root-wrong"),
        (last_seal_with_another_size, "root-wrong"),
        (last_seal_with_another_previous, "seal-link-wrong"),
        (last_seal_dated_before_the_one_before, "seal-link-wrong"),
        (seal_deleted, "seal-missing"),
        (first_seal_deleted, "seal-missing"),
        (seals_swapped, "seal-misplaced"),
        (seal_rewritten_with_spaces, "seal-malformed"),
        (second_seal_of_the_same_number, "log-forked"),
        (beginning_cut_off, "seal-link-wrong"),
        (tail_cut_off_but_its_records_kept, "record-unsealed"),
        (record_sealed_a_second_time, "record-sealed-twice"),
        (forged_record_sealed_under_a_false_id, "record-id-wrong"),
        (forged_record_sealed_in_another_place, "record-misplaced"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_the_log_alone_shows(tamper: Tampering, code: str) -> None:
    assert_found(tamper, code)


# Found because a witness kept what was published.


def tail_cut_off(files: dict[str, bytes]) -> str:
    """The last seal with everything that came with it and after it: what is left is a sound log."""
    names = [name for name, _ in content(files, leaves_name(files, 4))["leaves"]]
    for name in [seal_name(4), leaves_name(files, 4), *names, record_name(files, 90), record_name(files, 91)]:
        del files[name]
    return "published seal 4"


def history_written_anew(files: dict[str, bytes]) -> str:
    change_record(files, 7)
    rebuild(files)
    return seal_name(4)


def record_removed_from_a_history_written_anew(files: dict[str, bytes]) -> str:
    del files[record_name(files, 7)]
    rebuild(files)
    return seal_name(4)


def history_written_anew_and_cut_off(files: dict[str, bytes]) -> str:
    tail_cut_off(files)
    change_record(files, 7)
    rebuild(files)
    return "published seal 4"


def history_written_anew_in_fewer_seals(files: dict[str, bytes]) -> str:
    """All records are there, one altered, under one seal instead of four."""
    change_record(files, 7)
    names = sorted(name for name in files if name.startswith("records/") and b"change:009" not in files[name])
    old = content(files, seal_name(4))
    for sequence in (2, 3, 4):
        del files[leaves_name(files, sequence)], files[seal_name(sequence)]
    rebuild(files, lambda _: names)
    edit(files, seal_name(1), sealed_at=old["sealed_at"])
    return "published seal 4"


def last_seal_backdated(files: dict[str, bytes]) -> str:
    edit(files, seal_name(4), sealed_at="2026-11-22T15:00:30.000000Z")
    return seal_name(4)


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (tail_cut_off, "tail-truncated"),
        (history_written_anew, "history-rewritten"),
        (record_removed_from_a_history_written_anew, "history-rewritten"),
        (history_written_anew_and_cut_off, "tail-truncated"),
        (history_written_anew_in_fewer_seals, "history-rewritten"),
        (last_seal_backdated, "seal-altered"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_a_witness_shows(tamper: Tampering, code: str) -> None:
    files = dict(honest())
    tamper(files)
    assert Verification(Files(files)).problems == {}, "this is why there are witnesses"
    assert_found(tamper, code, honest()[seal_name(4)])


def test_an_older_witness_sees_what_was_written_anew_before_its_seal() -> None:
    files = dict(honest())
    history_written_anew_and_cut_off(files)
    result = Verification(Files(files), [Seal(honest()[seal_name(2)])])
    assert ("history-rewritten", seal_name(2)) in {(code, where) for code, where, _ in result.problems}
    result = Verification(Files(files), [Seal(honest()[seal_name(1)])])
    assert result.problems == {}, "the first five records are as they were"


def test_two_witnesses_who_were_told_different_things() -> None:
    other = canonical(json.loads(honest()[seal_name(4)]) | {"app_version": "9.9.9"})
    result = Verification(Files(dict(honest())), [Seal(honest()[seal_name(4)]), Seal(other)])
    assert "log-forked" in {code for code, _, _ in result.problems}


def assert_found(tamper: Tampering, code: str, *published: bytes) -> None:
    files = dict(honest())
    where = tamper(files)
    assert files != honest()
    result = Verification(Files(files), [Seal(data) for data in published])
    found = {(found_code, found_where) for found_code, found_where, _ in result.problems}
    assert (code, where) in found, result.problems


def test_the_untouched_log_is_intact() -> None:
    result = Verification(Files(dict(honest())), [Seal(honest()[seal_name(n)]) for n in range(1, SEALS + 1)])
    assert result.problems == {}
    assert "2 records are newer than the last seal and wait for the next one" in result.notes
    assert any("20 records, each as it was sealed" in note for note in result.notes)


@pytest.mark.parametrize("name", sorted(honest()))
def test_no_file_can_be_removed_unseen(name: str) -> None:
    files = dict(honest())
    del files[name]
    waiting = b"change:009" in honest()[name]
    result = Verification(Files(files), [Seal(honest()[seal_name(4)])])
    assert bool(result.problems) is not waiting


@pytest.mark.parametrize("name", sorted(name for name in honest() if b"change:009" not in honest()[name]))
def test_no_byte_can_be_changed_unseen(name: str) -> None:
    published = [Seal(honest()[seal_name(4)])]
    data = honest()[name]
    for place in range(len(name) % 31, len(data), 31):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert Verification(Files({**honest(), name: changed}), published).problems, (name, place)
