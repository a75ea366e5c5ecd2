"""Against the published vectors of certificate transparency, and against RFC 9162's definitions written out naively."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evidence.merkle import CompactRange, Tree, leaf_hash, node_hash
from shared.evidence.verify import consistency_holds, root_from_inclusion_proof

INPUTS = [
    bytes.fromhex(text)
    for text in [
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    ]
]  # fmt: skip
LEAVES = [leaf_hash(data) for data in INPUTS]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = [  # index, size, path
    (0, 1, []),
    (0, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (5, 8, [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (1, 5, [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip
CONSISTENCY = [  # old size, size, path
    (1, 1, []),
    (1, 8, [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]),
    (6, 8, [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]),
    (2, 5, [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ]),
]  # fmt: skip


def hexes(path: list[bytes]) -> list[str]:
    return [step.hex() for step in path]


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = naive_split(len(leaves))
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def naive_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """Section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = naive_split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m: int, leaves: list[bytes], *, complete: bool = True) -> list[bytes]:
    """Section 2.1.4.1."""
    if m == len(leaves):
        return [] if complete else [naive_root(leaves)]
    k = naive_split(len(leaves))
    if m <= k:
        return [*naive_proof(m, leaves[:k], complete=complete), naive_root(leaves[k:])]
    return [*naive_proof(m - k, leaves[k:], complete=False), naive_root(leaves[:k])]


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    tree = Tree(LEAVES)
    compact = CompactRange()
    for leaf in LEAVES[:size]:
        compact.append(leaf)
    assert tree.root(size).hex() == compact.root().hex() == Tree(LEAVES[:size]).root().hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_known_inclusion_proofs(index: int, size: int, path: list[str]) -> None:
    assert hexes(Tree(LEAVES).inclusion_proof(index, size)) == path
    steps = [bytes.fromhex(step) for step in path]
    assert root_from_inclusion_proof(LEAVES[index], index, size, steps) == bytes.fromhex(ROOTS[size])


@pytest.mark.parametrize(("old", "size", "path"), CONSISTENCY)
def test_known_consistency_proofs(old: int, size: int, path: list[str]) -> None:
    assert hexes(Tree(LEAVES).consistency_proof(old, size)) == path
    steps = [bytes.fromhex(step) for step in path]
    assert consistency_holds(old, size, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[size]), steps)


SIZES = st.integers(1, 130).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


def numbered(size: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4)) for number in range(size)]


@given(SIZES, st.integers(0, 40))
def test_proofs_are_those_of_the_rfc_at_every_past_size(place: tuple[int, int], later: int) -> None:
    size, index = place
    leaves = numbered(size)
    tree = Tree(numbered(size + later))
    assert tree.root(size) == naive_root(leaves)
    path = tree.inclusion_proof(index, size)
    assert path == naive_path(index, leaves)
    assert root_from_inclusion_proof(leaves[index], index, size, path) == tree.root(size)
    old = index + 1
    grown = tree.consistency_proof(old, size)
    assert grown == naive_proof(old, leaves)
    assert consistency_holds(old, size, tree.root(old), tree.root(size), grown)


@given(SIZES, st.data())
def test_no_changed_proof_passes(place: tuple[int, int], data: st.DataObject) -> None:
    size, index = place
    tree = Tree(numbered(size))
    root = tree.root()
    path = tree.inclusion_proof(index)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index) if size > 1 else st.just(size))
    assert root_from_inclusion_proof(leaf_hash(b"other"), index, size, path) != root
    assert root_from_inclusion_proof(tree.leaf(index), other, size, path) != root
    assert root_from_inclusion_proof(tree.leaf(index), index, size, [*path, root]) is None
    if path:
        assert root_from_inclusion_proof(tree.leaf(index), index, size, path[:-1]) is None
        assert root_from_inclusion_proof(tree.leaf(index), index, size, [path[0][::-1], *path[1:]]) != root


@given(SIZES, st.data())
def test_no_changed_growth_passes(place: tuple[int, int], data: st.DataObject) -> None:
    size, before = place
    old = before + 1
    tree = Tree(numbered(size))
    path = tree.consistency_proof(old)
    wrong = leaf_hash(b"wrong")
    assert not consistency_holds(old, size, wrong, tree.root(), path)
    assert not consistency_holds(old, size, tree.root(old), wrong, path)
    assert not consistency_holds(old, size, tree.root(old), tree.root(), [*path, wrong])
    if path:
        place_ = data.draw(st.integers(0, len(path) - 1))
        changed = [*path[:place_], wrong, *path[place_ + 1 :]]
        assert not consistency_holds(old, size, tree.root(old), tree.root(), changed)
        assert not consistency_holds(old, size, tree.root(old), tree.root(), path[:-1])


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_log_is_continued_from_its_peaks_alone(first: int, more: int) -> None:
    leaves = numbered(first + more)
    begun = CompactRange()
    for leaf in leaves[:first]:
        begun.append(leaf)
    continued = CompactRange(begun.size, begun.peaks)
    for leaf in leaves[first:]:
        continued.append(leaf)
    assert continued.size == first + more
    assert continued.root() == Tree(leaves).root()
    assert len(continued.peaks) == (first + more).bit_count()


def test_peaks_must_fit_the_size() -> None:
    with pytest.raises(ValueError, match="3 leaves has 2 peaks, not 1"):
        CompactRange(3, [LEAVES[0]])


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (3, 3), (0, 9), (0, 0)])
def test_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match=r"leaf|leaves"):
        Tree(LEAVES).inclusion_proof(index, size)


@pytest.mark.parametrize(("old", "size"), [(0, 8), (-1, 3), (9, 8), (4, 3), (1, 9)])
def test_no_growth_from_what_never_was(old: int, size: int) -> None:
    with pytest.raises(ValueError, match="leaves"):
        Tree(LEAVES).consistency_proof(old, size)
