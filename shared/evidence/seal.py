"""Sealing: new records become leaves of the log's tree, and the tree's root is fixed in a seal that others can hold.

Writers are never waited for: what a seal does not see, the next one does. Everything is created once, so a sealer that
is delivered twice, runs beside another or ends in the middle leaves one log and loses no record.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import batched

from shared.blob_container import BlobAlreadyExistsError, BlobContainer, BlobNotFoundError
from shared.events import Event, EventPublisher
from shared.evidence.canonical import canonical, instant, plain, sha256
from shared.evidence.log import (
    BrokenLogError,
    Leaves,
    LeavesReference,
    Seal,
    in_parallel,
    newest_seal,
    read_leaves,
    read_seal,
)
from shared.evidence.merkle import CompactRange, leaf_hash
from shared.evidence.record import FOLDER, name_prefix

LATE = timedelta(days=1)
"""A record may come this late after its time and is still seen by the next seal; later ones are seen by the sweep."""
SWEEP_EVERY = timedelta(days=1)
"""How often all records are compared with all leaves. A sweep seals even when nothing is new: the log is alive."""
LARGEST_SEAL = 10_000
SEALED = "Closekeeper.Evidence.Sealed"
BROKEN = "Closekeeper.Evidence.LogBroken"
_EVENTS_AT_ONCE = 100


def seal_records(
    container: BlobContainer, *, now: datetime, app_version: str, largest: int = LARGEST_SEAL
) -> list[Seal]:
    """Seal what is new, in seals of at most `largest` leaves; returns the seals that this call made.

    A record that is dated in the future waits until its time has come. When another sealer is faster, this one stops:
    the other has sealed the same records, or the next call will. Raises BrokenLogError when the log contradicts
    itself, BlobNotFoundError when a record disappears while it is sealed; nothing wrong is sealed then.
    """
    last = newest_seal(container)
    moment = max(now, last.sealed_at) if last else now
    swept_at = last.swept_at if last else None
    sweep = swept_at is None or moment - swept_at >= SWEEP_EVERY
    names = _unsealed(container, last, moment, sweep=sweep)
    batches: list[Sequence[str]] = list(batched(names, largest, strict=False)) or ([()] if sweep else [])
    tree = last.tree() if last else CompactRange()
    made: list[Seal] = []
    for position, batch in enumerate(batches, start=1):
        if sweep and position == len(batches):
            swept_at = moment
        sequence = last.sequence + 1 if last else 1
        leaves = _add_leaves(container, tree, batch)
        seal = Seal(
            sequence=sequence,
            tree_size=tree.size,
            root=tree.root().hex(),
            peaks=tuple(peak.hex() for peak in tree.peaks),
            previous=last.sha256 if last else None,
            leaves=_store(container, leaves, sequence),
            sealed_at=moment,
            swept_at=swept_at,
            app_version=app_version,
        )
        if not _create(container, seal.name, seal.data):
            break
        made.append(seal)
        last = seal
    return made


def publish_seals(container: BlobContainer, publisher: EventPublisher, now: datetime) -> int:
    """Tell the seals that the topic has not accepted yet, oldest first; returns how many.

    A seal is marked after it was told: when the app ends in between, it is told again, with the same event id.
    """
    newest = newest_seal(container)
    waiting: list[Seal] = []
    for sequence in range(newest.sequence if newest else 0, 0, -1):
        try:
            container.read(_mark(sequence))
        except BlobNotFoundError:
            waiting.append(read_seal(container, sequence))
        else:
            break
    for group in batched(reversed(waiting), _EVENTS_AT_ONCE, strict=False):
        publisher.publish([sealed_event(seal) for seal in group])
        for seal in group:
            note = {"sequence": seal.sequence, "sha256": seal.sha256, "published_at": instant(now)}
            _create(container, _mark(seal.sequence), canonical(plain(note)))
    return len(waiting)


def sealed_event(seal: Seal) -> Event:
    """What a witness keeps: the seal itself, and the SHA-256 of its blob."""
    content = plain(seal)
    return Event(
        id=f"seal:{seal.sequence}:{seal.sha256}",
        type=SEALED,
        subject=f"evidence/{seal.name.removesuffix('.json')}",
        time=seal.sealed_at,
        data={"seal": content, "sha256": seal.sha256},
    )


def broken_log_event(error: BrokenLogError, now: datetime) -> Event:
    """That sealing has stopped, and why; one event a day for the same reason."""
    return Event(
        id=f"broken-log:{now.date()}:{sha256(str(error).encode())[:16]}",
        type=BROKEN,
        subject="evidence",
        time=now,
        data={"problem": str(error)},
    )


def _unsealed(container: BlobContainer, last: Seal | None, moment: datetime, *, sweep: bool) -> list[str]:
    """The names of the records that no seal has, by name.

    Names order as their times do, and nothing is sealed before its time. So whatever lies behind `since` and is
    sealed, was sealed after `since`: the seals before need not be read.
    """
    since = moment - LATE
    start = FOLDER if sweep else name_prefix(since)
    end = name_prefix(moment + timedelta(microseconds=1))
    seals = _all_seals(container, last) if sweep else _seals_since(container, last, since)
    sealed = {
        name for leaves in in_parallel(lambda seal: read_leaves(container, seal), seals) for name, _ in leaves.leaves
    }
    found = (blob.name for blob in container.list(FOLDER, start_from=start))
    return [name for name in found if start <= name < end and name not in sealed]


def _all_seals(container: BlobContainer, last: Seal | None) -> list[Seal]:
    return in_parallel(lambda sequence: read_seal(container, sequence), range(1, last.sequence + 1)) if last else []


def _seals_since(container: BlobContainer, last: Seal | None, since: datetime) -> Iterator[Seal]:
    seal = last
    while seal and seal.sealed_at >= since:
        yield seal
        seal = read_seal(container, seal.sequence - 1) if seal.sequence > 1 else None


def _add_leaves(container: BlobContainer, tree: CompactRange, names: Sequence[str]) -> Leaves:
    first = tree.size
    hashes = in_parallel(lambda name: leaf_hash(container.read(name).data), names)
    for leaf in hashes:
        tree.append(leaf)
    return Leaves(first=first, leaves=tuple(zip(names, (leaf.hex() for leaf in hashes), strict=True)))


def _store(container: BlobContainer, leaves: Leaves, sequence: int) -> LeavesReference:
    data = leaves.data
    digest = sha256(data)
    name = f"leaves/{sequence:08}-{digest[:16]}.json"
    _create(container, name, data)
    return LeavesReference(name=name, sha256=digest, count=len(leaves.leaves))


def _create(container: BlobContainer, name: str, data: bytes) -> bool:
    """Whether these bytes stand under that name, now or since before."""
    try:
        container.create(name, data)
    except BlobAlreadyExistsError:
        return container.read(name).data == data
    return True


def _mark(sequence: int) -> str:
    return f"published/{sequence:08}.json"
