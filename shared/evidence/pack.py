"""An evidence pack: a zip with the sealed records of a period, their proofs, a report for people, and the verifier.

    report.html            for people
    verify.py              checks everything else, offline, with Python's standard library only
    manifest.json          what was asked for, and the SHA-256 of each file
    records/ proofs/       each record with its proof, which leads to the root of the newest seal
    seals/ leaves/         the seals that took the records in, with all their leaves, so that a gap would show
    consistency.json       that the newest seal's tree grew from that of the last of those seals

The same log and the same choice make the same bytes.
"""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from pathlib import Path
from typing import BinaryIO

from shared.blob_container import BlobContainer
from shared.evidence.canonical import Json, canonical, instant, sha256
from shared.evidence.log import Log, Seal, in_parallel
from shared.evidence.record import FOLDER, Record, name_prefix
from shared.evidence.report import Entry, render

SCHEMA = "closekeeper.evidence.pack/1"
_BATCH = 500
_NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold: the moment of packing is no part of the evidence


@dataclass(frozen=True, slots=True)
class Choice:
    """Which records: from `start` to before `end` (aware), and only of one environment or tenant when given."""

    start: datetime
    end: datetime
    environment: str | None = None
    tenant: str | None = None

    def takes(self, record: Record | None) -> bool:
        """Whether the record is of the environment and tenant; what is no record belongs to neither."""
        if self.environment is None and self.tenant is None:
            return True
        return (
            record is not None
            and self.environment in (None, record.environment)
            and self.tenant in (None, record.tenant)
        )


@dataclass(frozen=True, slots=True)
class Packed:
    """What a pack holds: the number of records, and the first, last and newest seal."""

    records: int
    first: int
    last: int
    newest: int


def write_pack(container: BlobContainer, choice: Choice, destination: BinaryIO) -> Packed:
    """Write a pack. Raises LookupError before the first seal, BrokenLogError when the log contradicts itself.

    Records that are not sealed yet are not in it: seal first. Memory holds the log's leaves (see `log.Log`) and a line
    per record, not the records.
    """
    log = Log.read(container)
    if not log.seals:
        raise LookupError("nothing is sealed yet: wait for the first seal")
    start, end = name_prefix(choice.start), name_prefix(choice.end)
    candidates = sorted(
        (name, index) for index, name in enumerate(log.names) if start <= name < end and name.startswith(FOLDER)
    )
    with zipfile.ZipFile(destination, "w", zipfile.ZIP_DEFLATED) as archive:
        pack = _Archive(archive)
        entries: list[Entry] = []
        for batch in batched(candidates, _BATCH, strict=False):
            contents = in_parallel(lambda candidate: container.read(candidate[0]).data, batch)
            for (name, index), data in zip(batch, contents, strict=True):
                record = _record(data)
                if choice.takes(record):
                    pack.add(name, data)
                    pack.add("proofs/" + name.removeprefix(FOLDER), log.proof(index).data)
                    entries.append(Entry(name, index, log.seal_of(index).sequence, record))
        newest = log.seals[-1]
        sequences = [entry.seal for entry in entries] or [newest.sequence]
        first, last = log.seals[min(sequences) - 1], log.seals[max(sequences) - 1]
        _add_seals(pack, container, log, first, last)
        packed = Packed(len(entries), first.sequence, last.sequence, newest.sequence)
        pack.add(
            "report.html", render(choice.start, choice.end, choice.environment, choice.tenant, entries, newest).encode()
        )
        pack.add("verify.py", Path(__file__).with_name("verify.py").read_bytes())
        pack.add("manifest.json", canonical(_manifest(choice, packed, pack.digests)))
    return packed


class _Archive:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.digests: dict[str, Json] = {}

    def add(self, name: str, data: bytes) -> None:
        entry = zipfile.ZipInfo(name, _NO_TIME)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 3  # Unix, wherever it is made
        entry.external_attr = 0o644 << 16
        self._archive.writestr(entry, data)
        self.digests[name] = sha256(data)


def _record(data: bytes) -> Record | None:
    try:
        return Record.parse(data)
    except ValueError:
        return None


def _add_seals(pack: _Archive, container: BlobContainer, log: Log, first: Seal, last: Seal) -> None:
    newest = log.seals[-1]
    run = log.seals[first.sequence - 1 : last.sequence]
    before = log.seals[first.sequence - 2 : first.sequence - 1] if first.sequence > 1 else ()
    for seal in (*before, *run, *((newest,) if newest is not last else ())):
        pack.add(seal.name, seal.data)
    for name, data in _read(container, sorted(seal.leaves.name for seal in run)):
        pack.add(name, data)
    if newest is not last:
        path = log.tree.consistency_proof(last.tree_size, newest.tree_size) if last.tree_size else []
        pack.add(
            "consistency.json",
            canonical(
                {
                    "schema": "closekeeper.evidence.consistency/1",
                    "old_size": last.tree_size,
                    "size": newest.tree_size,
                    "path": [step.hex() for step in path],
                }
            ),
        )


def _read(container: BlobContainer, names: Iterable[str]) -> Iterable[tuple[str, bytes]]:
    for batch in batched(names, _BATCH, strict=False):
        yield from zip(batch, in_parallel(lambda name: container.read(name).data, batch), strict=True)


def _manifest(choice: Choice, packed: Packed, digests: dict[str, Json]) -> Json:
    return {
        "schema": SCHEMA,
        "from": instant(choice.start),
        "to": instant(choice.end),
        "environment": choice.environment,
        "tenant": choice.tenant,
        "records": packed.records,
        "seals": {"first": packed.first, "last": packed.last, "newest": packed.newest},
        "files": digests,
    }
