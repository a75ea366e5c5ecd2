"""Whether every document that a database refers to is there: one listing, one pass, memory that does not grow.

What a listing seems to lack is asked for by name before it counts as missing: services order some letters in their own
way.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from shared.backup_verification.database import Database
from shared.backup_verification.documents.comparison import side_by_side
from shared.backup_verification.documents.layouts import Reference, references, rows_by_layout
from shared.backup_verification.documents.places import Place
from shared.backup_verification.documents.ports import DocumentContainer, Open
from shared.backup_verification.documents.report import Documents, Faults
from shared.backup_verification.documents.sampling import All, Choice, Sample
from shared.blob_container import BlobChangedError, BlobNotFoundError

AT_ONCE = 8
"""Documents that are read at the same time."""

_ASKED_BY_NAME = 2000
"""So many that seem to be missing are asked for by name; if there are more, a container is lost, and not a document."""
_GARBAGE_MARKS = "checklist/"
"""Where Odoo's filestore notes what its garbage collection may look at."""

type _Reading = Future[tuple[str, int] | None]


def verify_documents(
    database: Database,
    places: Iterable[Place],
    open_container: Open,
    *,
    sample_size: int | None,
    seed: str,
    secondary: bool,
    seconds: float,
) -> Documents:
    """Look for every document and read a sample, or all when `sample_size` is None, for at most so many seconds.

    The database must have `ir_attachment`.
    """
    end = time.monotonic() + seconds
    found = Documents(seed=seed)
    undeclared = rows_by_layout(database)
    for place in places:
        choice = All() if sample_size is None else Sample(sample_size, f"{seed}:{place.container}")
        primary = open_container(place, False)
        look = _Look(primary, place, choice, end)
        found = _sum(found, look.run(_named(database, place)))
        undeclared[place.layout] -= look.rows
        if secondary and place.readable_secondary:
            found = _sum(found, _in_secondary(_named(database, place), place, open_container(place, True), primary))
    return found.model_copy(update={"undeclared": sum(left for left in undeclared.values() if left > 0)})


class _Look:
    """One pass over one container."""

    def __init__(self, container: DocumentContainer, place: Place, choice: Choice, end: float) -> None:
        self._container, self._place, self._choice, self._end = container, place, choice, end
        self._reading: dict[_Reading, Reference] = {}
        self._faults = {name: Faults() for name in ("missing", "recoverable", "wrong_size", "changed")}
        self.rows = self._files = self._bytes = self._unproven = 0
        self._read = self._read_bytes = self._unread = 0

    def run(self, wanted: Iterable[Reference]) -> Documents:
        orphans = asked = 0
        listing = self._container.list(self._place.prefix)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="documents") as threads:
            for reference, facts in side_by_side(wanted, listing):
                if reference is None:
                    orphans += not (facts and facts.name.startswith(self._place.prefix + _GARBAGE_MARKS))
                    continue
                self.rows += reference.rows
                self._files += 1
                size = facts.size if facts else None
                if facts is None and asked < _ASKED_BY_NAME:
                    asked += 1
                    properties = self._container.properties(reference.name)
                    size = properties.size if properties else None
                    orphans -= properties is not None
                    if properties is None and next(iter(self._container.former(reference.name)), None):
                        self._blame("recoverable", reference)
                        continue
                self._judge(reference, size, threads)
            for reference in self._choice.rest():
                self._submit(reference, threads)
            self._collect(0)
        return Documents(
            rows=self.rows,
            files=self._files,
            bytes=self._bytes,
            read=self._read,
            read_bytes=self._read_bytes,
            unread=self._unread,
            unproven=self._unproven,
            orphans=orphans if self._place.exclusive else None,
            missing=self._faults["missing"],
            recoverable=self._faults["recoverable"],
            wrong_size=self._faults["wrong_size"],
            changed=self._faults["changed"],
        )

    def _judge(self, reference: Reference, size: int | None, threads: ThreadPoolExecutor) -> None:
        if size is None:
            self._blame("missing", reference)
            return
        self._bytes += size
        if reference.size is not None and size != reference.size:
            self._blame("wrong_size", reference)
        elif reference.sha1 is None:
            self._unproven += 1
        else:
            for chosen in self._choice.take(reference):
                self._submit(chosen, threads)

    def _submit(self, reference: Reference, threads: ThreadPoolExecutor) -> None:
        """Have one read, once there is room for it."""
        if time.monotonic() > self._end:
            self._unread += 1
            return
        self._collect(2 * AT_ONCE - 1)
        self._reading[threads.submit(_digest, self._container, reference.name)] = reference

    def _collect(self, most: int) -> None:
        """Take what was read, until at most so many are on their way."""
        while len(self._reading) > most:
            for done in wait(self._reading, return_when=FIRST_COMPLETED).done:
                reference = self._reading.pop(done)
                answer = done.result()
                if answer is None:
                    self._blame("missing", reference)
                    continue
                sha1, size = answer
                self._read += 1
                self._read_bytes += size
                if sha1 != reference.sha1:
                    self._blame("changed", reference)

    def _blame(self, kind: str, reference: Reference) -> None:
        self._faults[kind] = self._faults[kind].add(reference.id, reference.name)


def _in_secondary(
    wanted: Iterable[Reference], place: Place, secondary: DocumentContainer, primary: DocumentContainer
) -> Documents:
    """The same names in the secondary region. What is newer than its last synchronisation is on its way, not missing;
    what is not in the primary region either was told there."""
    synced = secondary.last_sync()
    missing, files, pending, asked = Faults(), 0, 0, 0
    for reference, facts in side_by_side(wanted, secondary.list(place.prefix)):
        if reference is None:
            continue
        if facts is not None:
            files += 1
            continue
        original = None
        if asked < _ASKED_BY_NAME:
            asked += 1
            if secondary.properties(reference.name) is not None:
                files += 1
                continue
            original = primary.properties(reference.name)
            if original is None:
                continue
        if original is not None and synced is not None and original.last_modified > synced:
            pending += 1
        else:
            missing = missing.add(reference.id, reference.name)
    return Documents(secondary_files=files, secondary_missing=missing, secondary_pending=pending)


def _named(database: Database, place: Place) -> Iterator[Reference]:
    """The references of a place with the blobs' whole names."""
    for reference in references(database, place.layout, place.account, place.container):
        yield reference._replace(name=place.prefix + reference.name)


def _digest(container: DocumentContainer, name: str) -> tuple[str, int] | None:
    """SHA-1 and size of a document, None when it went away meanwhile."""
    sha1, size = hashlib.sha1(usedforsecurity=False), 0
    try:
        for piece in container.stream(name):
            sha1.update(piece)
            size += len(piece)
    except (BlobNotFoundError, BlobChangedError):
        return None
    return sha1.hexdigest(), size


def _sum(one: Documents, other: Documents) -> Documents:
    added: dict[str, object] = {}
    for name in ("rows", "files", "bytes", "read", "read_bytes", "unread", "unproven", "secondary_pending"):
        added[name] = getattr(one, name) + getattr(other, name)
    for name in ("orphans", "secondary_files"):
        left, right = getattr(one, name), getattr(other, name)
        added[name] = right if left is None else left if right is None else left + right
    for name in ("missing", "recoverable", "wrong_size", "changed", "secondary_missing"):
        added[name] = getattr(one, name).plus(getattr(other, name))
    return one.model_copy(update=added)
