"""The Merkle tree of RFC 9162, section 2.1 (unchanged since RFC 6962), over SHA-256: roots and proofs.

Leaves and inner nodes are hashed with different first bytes, so that neither can pass for the other. Proofs are checked
by `verify.py`, which is written apart from this module on purpose: an auditor need not trust what made the proof.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
_WIDTH = 32


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf that holds these bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over its two children."""
    return sha256(b"\x01" + left + right).digest()


class CompactRange:
    """A growing tree of which only the roots of its perfect subtrees are kept: at most one for each bit of its size.

    That is all that appending needs, so a log of any length is continued without reading it.
    """

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} peaks, not {len(peaks)}")
        self.size = size
        self._peaks = list(peaks)

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, the largest (leftmost) first."""
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Add one leaf by its hash."""
        rest = self.size
        while rest & 1:
            leaf = node_hash(self._peaks.pop(), leaf)
            rest >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The tree's root."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


class Tree:
    """A growing tree that keeps all its perfect subtrees (64 bytes per leaf), to prove any leaf and any past size."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0]) // _WIDTH

    def append(self, leaf: bytes) -> None:
        """Add one leaf by its hash."""
        for level in self._levels:
            level += leaf
            if len(level) // _WIDTH % 2:
                return
            leaf = node_hash(bytes(level[-2 * _WIDTH : -_WIDTH]), leaf)
        self._levels.append(bytearray(leaf))

    def leaf(self, index: int) -> bytes:
        """A leaf's hash."""
        if not 0 <= index < self.size:
            raise ValueError(f"there is no leaf {index} in a tree of {self.size}")
        return self._perfect(0, index)

    def root(self, size: int | None = None) -> bytes:
        """The root when the tree had `size` leaves; by default now."""
        size = self._known(size)
        return self._subtree(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """The siblings, from the leaf upwards, that lead from a leaf to the root of the first `size` leaves."""
        start, end = 0, self._known(size)
        if not 0 <= index < end:
            raise ValueError(f"there is no leaf {index} in a tree of {end}")
        path: list[bytes] = []
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        return path[::-1]

    def consistency_proof(self, old: int, size: int | None = None) -> list[bytes]:
        """The hashes which show that the first `old` of `size` leaves were only ever added to."""
        start, end = 0, self._known(size)
        if not 0 < old <= end:
            raise ValueError(f"a tree of {end} leaves cannot have grown from one of {old}")
        path: list[bytes] = []
        while end != old:
            middle = start + _split(end - start)
            if old <= middle:
                path.append(self._subtree(middle, end))
                end = middle
            else:
                path.append(self._subtree(start, middle))
                start = middle
        # The verifier knows the old root; it must be told the subtree only when that is not the whole old tree.
        return ([self._subtree(start, end)] if start else []) + path[::-1]

    def _known(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise ValueError(f"the tree has {self.size} leaves, not {size}")
        return size

    def _perfect(self, level: int, index: int) -> bytes:
        return bytes(self._levels[level][index * _WIDTH : (index + 1) * _WIDTH])

    def _subtree(self, start: int, end: int) -> bytes:
        """The root over leaves start to end, where start is a multiple of a power of two not below end - start."""
        size = end - start
        if size & (size - 1) == 0:
            level = size.bit_length() - 1
            return self._perfect(level, start >> level)
        middle = start + _split(size)
        return node_hash(self._subtree(start, middle), self._subtree(middle, end))


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
