"""What one run does to one container, written down before it begins, so that it can be resumed and checked.

A list is written once as parts of gzipped JSON lines, and known by the hash of all of them. It may hold millions.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from shared.blob_container import BlobAlreadyExistsError, BlobContainer, BlobNotFoundError
from shared.evidence.canonical import canonical, sha256

PART_STEPS = 76 * 256
"""Steps of one part: whole batches, four pages of a listing, and few enough to be held in memory."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do to one blob, version or snapshot, and what it was when that was planned.

    `to` is the wanted tier, empty for a deletion. Money is in the currency of the estate's rates.
    """

    name: str
    version: str | None
    snapshot: str | None
    etag: str
    modified: datetime
    size: int
    was: str
    to: str
    document_class: str = ""
    saved_a_month: float = 0.0
    cost: float = 0.0
    priority: str = ""
    """`Standard` or `High` for what comes back from archive."""

    @property
    def is_deletion(self) -> bool:
        """Whether it deletes."""
        return not self.to

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps([*astuple(self)[:4], self.modified.isoformat(), *astuple(self)[5:]], ensure_ascii=True)

    @classmethod
    def of_line(cls, line: str) -> Self:
        """The step of a line."""
        name, version, snapshot, etag, modified, *rest = json.loads(line)
        return cls(name, version, snapshot, etag, datetime.fromisoformat(modified), *rest)


class Part(BaseModel):
    """One part: its blob's name, the SHA-256 of its lines, and how many steps it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    steps: int


class WorkList(BaseModel):
    """A written list. `digest` is the identity of all that it asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    digest: str
    parts: tuple[Part, ...]
    steps: int
    bytes: int
    saved_a_month: float
    cost: float

    @property
    def empty(self) -> bool:
        """Whether it asks for nothing."""
        return self.steps == 0


class WorkListDamagedError(Exception):
    """A part is not what was written, or is gone; nothing of it may be done."""


class Writer:
    """Writes a list part by part. Writing the same again, after a crash, is writing it once."""

    def __init__(self, container: BlobContainer, folder: str, part_steps: int = PART_STEPS) -> None:
        self._container, self._folder, self._part_steps = container, folder.rstrip("/"), part_steps
        self._waiting: list[Step] = []
        self._parts: list[Part] = []
        self._bytes, self._saved, self._cost = 0, 0.0, 0.0

    def add(self, step: Step) -> None:
        """Add a step."""
        self._waiting.append(step)
        self._bytes += step.size
        self._saved += step.saved_a_month
        self._cost += step.cost
        if len(self._waiting) >= self._part_steps:
            self._write_part()

    def close(self) -> WorkList:
        """Write what is left, and the list of the parts."""
        if self._waiting:
            self._write_part()
        work = WorkList(
            folder=self._folder,
            digest=sha256(canonical([part.sha256 for part in self._parts])),
            parts=tuple(self._parts),
            steps=sum(part.steps for part in self._parts),
            bytes=self._bytes,
            saved_a_month=self._saved,
            cost=self._cost,
        )
        self._put(_index_name(self._folder), work.model_dump_json().encode(), "application/json")
        return work

    def _write_part(self) -> None:
        # in the order of the names, since what is looked at again is looked at in that order
        steps = sorted(self._waiting, key=lambda step: (step.name, step.version or "", step.snapshot or ""))
        data = "\n".join(step.line() for step in steps).encode()
        name = f"{self._folder}/part-{len(self._parts):05}.jsonl.gz"
        self._put(name, gzip.compress(data, 5, mtime=0), "application/gzip")
        self._parts.append(Part(name=name, sha256=sha256(data), steps=len(steps)))
        self._waiting = []

    def _put(self, name: str, data: bytes, content_type: str) -> None:
        try:
            self._container.create(name, data, content_type)
        except BlobAlreadyExistsError:
            known = self._container.read(name)
            if known.data != data:  # left by a plan that was cut off: it never became a change
                self._container.replace(name, data, known.etag, content_type)


def find(container: BlobContainer, folder: str) -> WorkList | None:
    """The list in that folder, None when none was finished there."""
    try:
        return WorkList.model_validate_json(container.read(_index_name(folder.rstrip("/"))).data)
    except BlobNotFoundError:
        return None


def read_part(container: BlobContainer, part: Part) -> list[Step]:
    """The steps of a part; raises WorkListDamagedError."""
    try:
        data = gzip.decompress(container.read(part.name).data)
    except (BlobNotFoundError, OSError, EOFError) as error:
        raise WorkListDamagedError(f"{part.name} cannot be read, plan anew: {error}") from error
    if sha256(data) != part.sha256:
        raise WorkListDamagedError(f"{part.name} is not what was planned, plan anew")
    return list(_lines(data.decode()))


def _lines(text: str) -> Iterator[Step]:
    for line in text.split("\n"):
        if line:
            yield Step.of_line(line)


def _index_name(folder: str) -> str:
    return f"{folder}/work.json"
