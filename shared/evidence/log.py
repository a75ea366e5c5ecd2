"""The log as it lies in the container: seals, each with the list of the leaves that it added, over one growing tree.

    records/2026/11/22/TIME-ID.json   a record
    leaves/00000042-HASH.json         the leaves that seal 42 added: names of records and leaf hashes, by name
    seals/00000042.json               the seal: size and root of the whole tree, SHA-256 of the seal before
    published/00000042.json           the mark that the topic has accepted the seal

The name of a leaf list holds a piece of its SHA-256, so two sealers that run at once do not meet there; which list
counts is what the seal says.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.blob_container import BlobContainer
from shared.evidence.canonical import canonical, plain, sha256
from shared.evidence.merkle import CompactRange, Tree

_AT_ONCE = 16
_SEAL_NAME = re.compile(r"seals/(\d{8})\.json")

type Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BrokenLogError(Exception):
    """The log contradicts itself. Nothing is appended to it until a person has run the verifier and decided."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    @property
    def data(self) -> bytes:
        """The canonical JSON that is stored."""
        return canonical(plain(self))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Raises ValueError when the bytes hold no such thing."""
        return cls.model_validate_json(data)


class Leaves(_Stored):
    """The leaves that one seal added: (record's blob name, leaf hash), in the order of the tree."""

    schema_: Literal["closekeeper.evidence.leaves/1"] = Field(default="closekeeper.evidence.leaves/1", alias="schema")
    first: int
    leaves: tuple[tuple[str, Hash], ...]


class LeavesReference(_Stored):
    """Which leaf list a seal means."""

    name: str
    sha256: Hash
    count: int


class Seal(_Stored):
    """One seal. `peaks` are the tree's perfect subtrees, from which it can be continued; `previous` is the SHA-256 of
    the seal before, None for the first. `swept_at` is when all records were last compared with all leaves,
    None while that was never done to the end.
    """

    schema_: Literal["closekeeper.evidence.seal/1"] = Field(default="closekeeper.evidence.seal/1", alias="schema")
    sequence: int = Field(ge=1)
    tree_size: int = Field(ge=0)
    root: Hash
    peaks: tuple[Hash, ...]
    previous: Hash | None
    leaves: LeavesReference
    sealed_at: AwareDatetime
    swept_at: AwareDatetime | None
    app_version: str

    @property
    def name(self) -> str:
        """The blob's name."""
        return seal_name(self.sequence)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the stored bytes: what the next seal and a witness refer to."""
        return sha256(self.data)

    def tree(self) -> CompactRange:
        """The tree that was sealed, ready to be continued. Raises BrokenLogError when the peaks are not its own."""
        try:
            tree = CompactRange(self.tree_size, [bytes.fromhex(peak) for peak in self.peaks])
        except ValueError as error:
            raise BrokenLogError(f"{self.name}: {error}; run the verifier") from error
        if tree.root().hex() != self.root:
            raise BrokenLogError(f"{self.name}: its peaks do not make its root; run the verifier")
        return tree


def seal_name(sequence: int) -> str:
    """The blob name of a seal."""
    return f"seals/{sequence:08}.json"


def read_seal(container: BlobContainer, sequence: int) -> Seal:
    """One seal. Raises BlobNotFoundError, BrokenLogError when the blob is no seal, or another one."""
    name = seal_name(sequence)
    data = container.read(name).data
    try:
        seal = Seal.parse(data)
    except ValueError as error:
        raise BrokenLogError(f"{name} is no seal; run the verifier") from error
    if seal.sequence != sequence or seal.data != data:
        raise BrokenLogError(f"{name} was altered; run the verifier")
    return seal


def newest_seal(container: BlobContainer) -> Seal | None:
    """The last seal, None before the first. Raises BrokenLogError when one is missing before it, or it does not fit."""
    count = 0
    for blob in container.list("seals/"):
        match = _SEAL_NAME.fullmatch(blob.name)
        if not match or int(match.group(1)) != count + 1:
            raise BrokenLogError(f"{blob.name} stands where {seal_name(count + 1)} should; run the verifier")
        count += 1
    if not count:
        return None
    newest = read_seal(container, count)
    if newest.previous != (read_seal(container, count - 1).sha256 if count > 1 else None):
        raise BrokenLogError(f"{newest.name} does not continue the seal before it; run the verifier")
    return newest


def read_leaves(container: BlobContainer, seal: Seal) -> Leaves:
    """The leaves that a seal added. Raises BlobNotFoundError, BrokenLogError when they are not those that it means."""
    data = container.read(seal.leaves.name).data
    if sha256(data) != seal.leaves.sha256:
        raise BrokenLogError(f"{seal.leaves.name} was altered; run the verifier")
    return Leaves.parse(data)


def in_parallel[T, R](function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The results in order. A container answers many requests at once far sooner than one after another."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(function, items))


@dataclass(frozen=True, slots=True)
class Log:
    """The whole log in memory (about 300 bytes per record), to prove any record."""

    seals: tuple[Seal, ...]
    names: tuple[str, ...]
    tree: Tree

    @classmethod
    def read(cls, container: BlobContainer) -> "Log":
        """Every seal and leaf list. Raises BrokenLogError when the leaves do not make the newest seal's root."""
        newest = newest_seal(container)
        if newest is None:
            return cls((), (), Tree())
        seals = in_parallel(lambda number: read_seal(container, number), range(1, newest.sequence + 1))
        names: list[str] = []
        tree = Tree()
        for leaves in in_parallel(lambda seal: read_leaves(container, seal), seals):
            for name, leaf in leaves.leaves:
                names.append(name)
                tree.append(bytes.fromhex(leaf))
        if tree.root().hex() != newest.root:
            raise BrokenLogError(f"the leaves do not make the root of {newest.name}; run the verifier")
        return cls(tuple(seals), tuple(names), tree)

    def seal_of(self, index: int) -> Seal:
        """The seal that took the leaf in."""
        return self.seals[bisect_right(self.seals, index, key=lambda seal: seal.tree_size)]

    def proof(self, index: int) -> "Proof":
        """That the leaf is in the newest seal's tree."""
        return Proof(
            record=self.names[index],
            index=index,
            tree_size=self.tree.size,
            seal=self.seals[-1].sequence,
            path=tuple(step.hex() for step in self.tree.inclusion_proof(index)),
        )


class Proof(_Stored):
    """That a record is leaf `index` of the tree of `tree_size` leaves that seal number `seal` holds the root of."""

    schema_: Literal["closekeeper.evidence.proof/1"] = Field(default="closekeeper.evidence.proof/1", alias="schema")
    record: str
    index: int
    tree_size: int
    seal: int
    path: tuple[Hash, ...]


def prove(container: BlobContainer, record_name: str) -> Proof:
    """The proof of one record against the newest seal. Raises LookupError while it is not sealed."""
    log = Log.read(container)
    try:
        return log.proof(log.names.index(record_name))
    except ValueError:
        raise LookupError(f"{record_name} is not sealed: wait for the next seal, or check the name") from None
