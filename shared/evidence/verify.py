#!/usr/bin/env python3
"""Verify Closekeeper evidence, offline and with nothing but Python 3.9 or newer.

    python3 verify.py [PATH] [--published-seal FILE]...

PATH is an evidence pack (zip or folder) or an exported evidence container (a folder with records/, leaves/, seals/);
by default the folder in which this script lies. FILE is a seal that an outside witness kept: the event, its data, or
the seal itself. Only such a seal shows that the end of the log was cut off, or that all of it was written anew.

Exit code: 0 intact, 1 problems found (each is named), 2 nothing could be verified.

Hashing is that of RFC 9162, section 2.1; JSON is canonical by RFC 8785; the layout is told in docs/evidence.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import zipfile
from decimal import Decimal
from typing import Any, Iterable, Protocol, cast  # noqa: UP035  (for old Pythons)

_WRONG_FORM = (ValueError, KeyError, TypeError, AttributeError)  # what reading JSON of another form raises


# --- hashes and trees ------------------------------------------------------------------------------------------------


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def leaf_hash(data: bytes) -> bytes:
    """RFC 9162, section 2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162, section 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_from_inclusion_proof(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that a proof leads to, None when the proof has not the form it must have (section 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    here, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if here % 2 or here == last:
            root = node_hash(step, root)
            while here and here % 2 == 0:
                here, last = here >> 1, last >> 1
        else:
            root = node_hash(root, step)
        here, last = here >> 1, last >> 1
    return root if last == 0 else None


def consistency_holds(old: int, size: int, old_root: bytes, root: bytes, path: list[bytes]) -> bool:
    """Whether a proof shows that the smaller tree is the beginning of the larger (section 2.1.4.2)."""
    if old == size:
        return not path and old_root == root
    if not 0 < old < size:
        return old == 0 and not path
    if old & (old - 1) == 0:
        path = [old_root, *path]
    if not path:
        return False
    here, last = old - 1, size - 1
    while here % 2:
        here, last = here >> 1, last >> 1
    first = second = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if here % 2 or here == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while here and here % 2 == 0:
                here, last = here >> 1, last >> 1
        else:
            second = node_hash(second, step)
        here, last = here >> 1, last >> 1
    return last == 0 and first == old_root and second == root


class Tree:
    """A growing tree, of which the roots of the perfect subtrees are kept, the largest first."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size, self.peaks = size, list(peaks)

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        rest = self.size
        while rest % 2:
            leaf, rest = node_hash(self.peaks.pop(), leaf), rest >> 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> str:
        """In hexadecimal."""
        if not self.peaks:
            return sha256(b"")
        root = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            root = node_hash(peak, root)
        return root.hex()


# --- canonical JSON --------------------------------------------------------------------------------------------------


_compact = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def canonical(value: Any) -> str:
    """RFC 8785. Raises ValueError for a number that JSON cannot hold exactly."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        keys = sorted(members, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_compact(key)}:{canonical(members[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, cast("list[Any]", value))) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not abs(value) < 2**53:
            raise ValueError("a number is too large to be exact")
        if value == int(value):
            return str(int(value))
        if abs(value) >= 1e-6:
            return format(Decimal(repr(value)), "f")
        mantissa, exponent = repr(value).split("e")
        return f"{mantissa}e{int(exponent)}"
    return _compact(value)


def parse(data: bytes) -> tuple[Any, bool]:
    """The JSON value, and whether its bytes are canonical. Raises ValueError when it is no JSON."""
    special: list[str] = []

    def fraction(text: str) -> float:
        special.append(text)
        return float(text)

    def integer(text: str) -> int:
        if len(text) > 15:
            special.append(text)
        return int(text)

    def refuse(text: str) -> None:
        raise ValueError(f"{text} is no JSON")

    try:
        value: Any = json.loads(data.decode(), parse_float=fraction, parse_int=integer, parse_constant=refuse)
        if data.isascii() and all(repr(float(text)) == text == canonical(float(text)) for text in special):
            # Then the standard library's compact form is the canonical one, and made ten times as fast.
            return value, _compact(value).encode("utf-8", "surrogatepass") == data
        return value, canonical(value).encode("utf-8", "surrogatepass") == data
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


# --- what there is to verify -----------------------------------------------------------------------------------------


class Files(Protocol):
    """Named files; names use `/`."""

    names: set[str]

    def read(self, name: str) -> bytes:
        """The bytes of one of them."""
        ...


class Folder:
    """The files below a folder."""

    def __init__(self, path: str) -> None:
        self._path = path
        found = (os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
        self.names = {os.path.relpath(name, path).replace(os.sep, "/") for name in found}

    def read(self, name: str) -> bytes:
        """See Files."""
        with open(os.path.join(self._path, *name.split("/")), "rb") as file:
            return file.read()


class Zip:
    """The files of a zip archive."""

    def __init__(self, path: str) -> None:
        self._zip = zipfile.ZipFile(path)
        self.names = {name for name in self._zip.namelist() if not name.endswith("/")}

    def read(self, name: str) -> bytes:
        """See Files."""
        return self._zip.read(name)


class Seal:
    """A seal as it was found. Raises ValueError when it is none."""

    def __init__(self, data: bytes) -> None:
        try:
            seal, is_canonical = parse(data)
            self.sequence, self.size, self.count = map(
                _integer, (seal["sequence"], seal["tree_size"], seal["leaves"]["count"])
            )
            self.root, self.sealed_at, self.leaves = (
                str(seal["root"]),
                str(seal["sealed_at"]),
                str(seal["leaves"]["name"]),
            )
            self.leaves_sha256, self.previous = str(seal["leaves"]["sha256"]), seal["previous"]
            self.peaks = [bytes.fromhex(peak) for peak in seal["peaks"]]
            if seal["schema"] != "closekeeper.evidence.seal/1" or not is_canonical:
                raise ValueError
        except _WRONG_FORM as error:
            raise ValueError("is no seal") from error
        self.sha256 = sha256(data)
        self.name = f"seals/{self.sequence:08}.json"

    def tree(self) -> Tree | None:
        """The sealed tree, None when the peaks do not make the root."""
        tree = Tree(self.size, self.peaks)
        return tree if len(self.peaks) == bin(self.size).count("1") and tree.root() == self.root else None


class Leaf:
    """One line of a leaf list: which record, its hash, in which seal, as which leaf of the tree."""

    __slots__ = ("digest", "index", "name", "seal")

    def __init__(self, name: str, digest: bytes, seal: int, index: int) -> None:
        self.name, self.digest, self.seal, self.index = name, digest, seal, index


class Manifest:
    """What a pack says of itself. Raises ValueError when it is none."""

    def __init__(self, data: bytes) -> None:
        try:
            manifest, _ = parse(data)
            self.first, self.last, self.newest = (
                _integer(manifest["seals"][key]) for key in ("first", "last", "newest")
            )
            self.start, self.end = str(manifest["from"]), str(manifest["to"])
            self.wanted = {key: manifest[key] for key in ("environment", "tenant") if manifest[key] is not None}
            self.files: dict[str, str] = dict(manifest["files"])
            if manifest["schema"] != "closekeeper.evidence.pack/1":
                raise ValueError
        except _WRONG_FORM as error:
            raise ValueError("is not the manifest of an evidence pack") from error

    def expects(self, name: str) -> bool:
        """Whether the pack must have this sealed record; of a filtered one only the manifest can tell."""
        stamp = name.split("/")[-1]
        time = f"{stamp[0:4]}-{stamp[4:6]}-{stamp[6:11]}:{stamp[11:13]}:{stamp[13:23]}"
        return name in self.files if self.wanted else self.start <= time < self.end


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not an integer")
    return value


def read_published(data: bytes) -> list[Seal]:
    """What a witness kept: one or more events, their data, or seals. Raises ValueError."""
    content, _ = parse(data)
    events = cast("list[Any]", content if type(content) is list else [content])
    try:
        seals = [event.get("data", event) for event in events]
        return [Seal(canonical(seal.get("seal", seal)).encode()) for seal in seals]
    except AttributeError as error:
        raise ValueError("is no seal") from error


# --- verification ----------------------------------------------------------------------------------------------------


class Verification:
    """Everything that is wrong, as (code, where, what) in `problems`, and what else is worth saying in `notes`."""

    def __init__(self, files: Files, published: Iterable[Seal] = ()) -> None:
        """Verify a pack or a whole log. Raises ValueError when there is neither."""
        self.problems: dict[tuple[str, str, str], None] = {}
        self.notes: list[str] = []
        self._files, self._published = files, list(published)
        self._pack: Manifest | None = None
        if "manifest.json" in files.names:
            try:
                self._pack = Manifest(files.read("manifest.json"))
            except ValueError as error:
                self._problem("manifest-wrong", "manifest.json", str(error))
        elif not any(name.startswith(("seals/", "records/")) for name in files.names):
            raise ValueError("there are neither a manifest.json nor seals/ and records/")
        self._seals = self._read_seals()
        first, last = (self._pack.first, self._pack.last) if self._pack else (1, max(self._seals, default=0))
        self._check_chain(first, last)
        self._leaves: dict[str, Leaf] = {}
        self._roots: dict[int, str] = {}
        self._size = self._grow(first, last)
        self._check_records()
        if self._pack:
            self._check_pack(self._pack)
        self._check_published()
        present = len(self._leaves.keys() & files.names)
        self.notes.append(
            f"{present} records, each as it was sealed, of {len(self._leaves)} in seals {first} to {last}"
        )
        if self._seals:
            newest = self._seals[max(self._seals)]
            self.notes.append(f"newest seal: {newest.sequence} of {newest.sealed_at}, SHA-256 {newest.sha256}")

    def _problem(self, code: str, where: str, what: str) -> None:
        self.problems[code, where, what] = None

    # Seals

    def _read_seals(self) -> dict[int, Seal]:
        seals: dict[int, Seal] = {}
        for name in sorted(
            (name for name in self._files.names if name.startswith("seals/")), key=lambda name: (len(name), name)
        ):
            try:
                seal = Seal(self._files.read(name))
            except ValueError as error:
                self._problem("seal-malformed", name, str(error))
                continue
            other = seals.get(seal.sequence)
            if other and other.sha256 != seal.sha256:
                self._problem("log-forked", name, f"is another seal {seal.sequence} than {other.name}")
            elif seal.name != name:
                self._problem("seal-misplaced", name, f"is seal {seal.sequence}")
            else:
                seals[seal.sequence] = seal
        return seals

    def _check_chain(self, first: int, last: int) -> None:
        published = {seal.sha256 for seal in self._published}
        continued = {seal.previous for seal in self._seals.values()} | published
        for sequence in range(first, last + 1):
            seal, before = self._seals.get(sequence), self._seals.get(sequence - 1)
            if seal is None:
                self._problem(
                    "seal-missing", f"seals/{sequence:08}.json", f"the seals up to {last} should all be there"
                )
            elif sequence == 1 and (seal.previous is not None or seal.size != seal.count):
                self._problem("seal-link-wrong", seal.name, "is not the beginning of a log")
            elif before and seal.previous != before.sha256:
                # What comes after a seal, or was published, vouches for it: then the seal before was changed.
                if before.sha256 not in published and seal.sha256 in continued:
                    self._problem("seal-altered", before.name, f"is not the seal that {seal.name} was made after")
                else:
                    self._problem("seal-link-wrong", seal.name, f"was not made after {before.name} as it is")
            elif before and (seal.sealed_at < before.sealed_at or seal.size != before.size + seal.count):
                self._problem("seal-link-wrong", seal.name, f"does not follow {before.name} in time or size")

    # Leaves

    def _grow(self, first: int, last: int) -> int:
        """Build the tree from the leaf lists and compare it with every seal; returns its size."""
        base = self._seals.get(first - 1)
        tree = Tree() if first == 1 else base.tree() if base else None
        if tree is None:
            self._problem("root-wrong", f"seals/{first - 1:08}.json", "the pack cannot continue the tree of this seal")
        sizes = {seal.size for seal in self._published}
        size = 0
        for seal in (self._seals[sequence] for sequence in range(first, last + 1) if sequence in self._seals):
            leaves = self._leaves_of(seal)
            if tree is not None and leaves is not None:
                for leaf in leaves:
                    tree.append(leaf.digest)
                    if tree.size in sizes:
                        self._roots[tree.size] = tree.root()
                if (tree.size, tree.root()) != (seal.size, seal.root):
                    self._problem("root-wrong", seal.name, "its size or root is not that of the leaves")
            for leaf in leaves or []:
                other = self._leaves.setdefault(leaf.name, leaf)
                if other is not leaf:
                    self._problem("record-sealed-twice", leaf.name, f"is in seals {other.seal} and {leaf.seal}")
            size = tree.size if tree else size
            tree = seal.tree()
            if tree is None:
                self._problem("root-wrong", seal.name, "its peaks do not make its root")
        return size

    def _leaves_of(self, seal: Seal) -> list[Leaf] | None:
        if seal.leaves not in self._files.names:
            self._problem("leaves-missing", seal.leaves, f"the leaf list of seal {seal.sequence} is not there")
            return None
        data = self._files.read(seal.leaves)
        try:
            content, _ = parse(data)
            first = _integer(content["first"])
            leaves = [
                Leaf(str(name), bytes.fromhex(digest), seal.sequence, first + offset)
                for offset, (name, digest) in enumerate(content["leaves"])
            ]
        except _WRONG_FORM:
            self._problem("leaves-altered", seal.leaves, f"is not the leaf list of seal {seal.sequence}")
            return None
        if sha256(data) == seal.leaves_sha256:
            return leaves
        names = [leaf.name for leaf in leaves]
        if names != sorted(names):
            self._problem(
                "leaves-reordered", seal.leaves, f"is in another order than seal {seal.sequence} was made from"
            )
        else:
            self._problem("leaves-altered", seal.leaves, f"is not what seal {seal.sequence} was made from")
        return None

    # Records

    def _check_records(self) -> None:
        names, pack = self._files.names, self._pack
        missing: dict[bytes, Leaf] = {}
        by_id: dict[str, str] = {}
        for leaf in self._leaves.values():
            by_id[leaf.name.rpartition("-")[2]] = leaf.name
            if leaf.name in names:
                self._check_sealed(leaf, self._files.read(leaf.name))
            elif pack is None or pack.expects(leaf.name):
                missing[leaf.digest] = leaf
        end = self._seals[max(self._seals)].sealed_at if self._seals else ""
        waiting = 0
        for name in sorted(name for name in names if name.startswith("records/") and name not in self._leaves):
            data = self._files.read(name)
            moved = missing.pop(leaf_hash(data), None)
            wrong, time, identity = _examine(name, data)
            twin = by_id.get(f"{identity}.json")
            if moved:
                self._problem("record-moved", name, f"was {moved.name} when seal {moved.seal} was made")
            elif twin:
                self._problem("record-duplicated", name, f"says that it is the sealed record {twin}")
            elif wrong:
                self._problem(wrong[0], name, f"{wrong[1]}, and no seal has it")
            elif time > end and pack is None:
                waiting += 1
            else:
                self._problem("record-unsealed", name, "is not newer than the last seal, and no seal has it")
        for leaf in missing.values():
            self._problem("record-missing", leaf.name, f"is leaf {leaf.index} of seal {leaf.seal}, and is not there")
        if waiting:
            self.notes.append(f"{waiting} records are newer than the last seal and wait for the next one")

    def _check_sealed(self, leaf: Leaf, data: bytes) -> None:
        wrong, _, _ = _examine(leaf.name, data)
        if leaf_hash(data) == leaf.digest:
            if wrong:
                self._problem(wrong[0], leaf.name, f"{wrong[1]}, and was so when seal {leaf.seal} took it in")
        elif (
            wrong
            and wrong[0] == "record-not-canonical"
            and leaf_hash(canonical(parse(data)[0]).encode()) == leaf.digest
        ):
            self._problem("record-rewritten", leaf.name, f"says what seal {leaf.seal} holds, but in other bytes")
        else:
            self._problem("record-altered", leaf.name, f"is not what seal {leaf.seal} holds as leaf {leaf.index}")

    # Packs

    def _check_pack(self, pack: Manifest) -> None:
        newest = self._seals.get(pack.newest)
        if newest is None:
            self._problem("seal-missing", f"seals/{pack.newest:08}.json", "the proofs lead to it")
        for leaf in self._leaves.values():
            if leaf.name in self._files.names:
                self._check_proof(leaf, newest)
                if not _fits(self._files.read(leaf.name), pack):
                    self._problem(
                        "manifest-wrong", leaf.name, "is not of the period, environment or tenant of the pack"
                    )
        last = self._seals.get(pack.last)
        if last and newest and last is not newest:
            try:
                path = [bytes.fromhex(step) for step in parse(self._files.read("consistency.json"))[0]["path"]]
            except (*_WRONG_FORM, OSError):
                path = [b""]
            if not consistency_holds(
                last.size, newest.size, bytes.fromhex(last.root), bytes.fromhex(newest.root), path
            ):
                self._problem("history-rewritten", newest.name, f"nothing shows that its tree grew from {last.name}")
        for name, digest in sorted(pack.files.items()):
            if name not in self._files.names:
                self._problem("file-missing", name, "the manifest lists it")
            elif sha256(self._files.read(name)) != digest:
                self._problem("file-altered", name, "is not the file that the manifest lists")
        for name in sorted(self._files.names - set(pack.files) - {"manifest.json"}):
            self._problem("file-unlisted", name, "the manifest does not list it")
        if pack.wanted:
            self.notes.append("the pack was filtered: only the whole log can show that nothing was left out")

    def _check_proof(self, leaf: Leaf, newest: Seal | None) -> None:
        name = "proofs/" + leaf.name[len("records/") :]
        if name not in self._files.names:
            self._problem("proof-missing", name, f"there is no proof of {leaf.name}")
            return
        try:
            proof, _ = parse(self._files.read(name))
            path = [bytes.fromhex(step) for step in proof["path"]]
            if proof["record"] != leaf.name:
                self._problem("proof-swapped", name, f"is the proof of {proof['record']}")
            elif newest and (
                (proof["seal"], proof["tree_size"], proof["index"]) != (newest.sequence, newest.size, leaf.index)
                or root_from_inclusion_proof(leaf.digest, leaf.index, newest.size, path) != bytes.fromhex(newest.root)
            ):
                self._problem("proof-wrong", name, f"does not lead from the record to the root of {newest.name}")
        except _WRONG_FORM:
            self._problem("proof-wrong", name, "is not a proof")

    # Witnesses

    def _check_published(self) -> None:
        newest = max(self._seals, default=0)
        kept: dict[int, Seal] = {}
        for seal in self._published:
            where = f"published seal {seal.sequence}"
            found = self._seals.get(seal.sequence)
            if kept.setdefault(seal.sequence, seal).sha256 != seal.sha256:
                self._problem("log-forked", where, "two different seals of this number were published")
            if found and found.sha256 == seal.sha256:
                self.notes.append(f"{where} is the one here")
            elif seal.sequence > newest and not self._pack:
                self._problem("tail-truncated", where, f"the log here ends with seal {newest}")
            elif found and self._roots.get(seal.size) == seal.root:
                self._problem("seal-altered", found.name, "is not the one that was published, over the same records")
            elif found:
                self._problem("history-rewritten", found.name, "is not the one that was published, over other records")
            elif self._pack:
                self.notes.append(f"{where} is not in this pack, which therefore says nothing about it")
            if self._roots.get(seal.size, seal.root) != seal.root:
                self._problem("history-rewritten", where, f"the first {seal.size} leaves are not those it was made of")


def _examine(name: str, data: bytes) -> tuple[tuple[str, str] | None, str, str]:
    """What is wrong with a record as such, as (code, what), its time and its id."""
    try:
        record, is_canonical = parse(data)
        occasion = [record[key] for key in ("automation", "kind", "subject", "environment", "tenant", "time")]
        identity = sha256(_compact(["closekeeper.evidence.record", *occasion]).encode())[:32]
        time, claimed = str(record["time"]), str(record["id"])
        if record["schema"] != "closekeeper.evidence.record/1":
            raise ValueError
    except _WRONG_FORM:
        return ("record-malformed", "is not an evidence record"), "", ""
    place = f"records/{time[:10].replace('-', '/')}/{time.replace('-', '').replace(':', '')}-{identity}.json"
    wrong = None
    if not is_canonical:
        wrong = "record-not-canonical", "is not canonical JSON (RFC 8785)"
    elif claimed != identity:
        wrong = "record-id-wrong", f"says id {claimed}, but what it is about has id {identity}"
    elif name != place:
        wrong = "record-misplaced", f"belongs at {place}"
    return wrong, time, claimed


def _fits(data: bytes, pack: Manifest) -> bool:
    try:
        record, _ = parse(data)
        return pack.start <= record["time"] < pack.end and all(
            record[key] == value for key, value in pack.wanted.items()
        )
    except _WRONG_FORM:
        return True  # its form was named before


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verify Closekeeper evidence offline.")
    parser.add_argument("path", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--published-seal", action="append", default=[], metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        published: list[Seal] = []
        for path in options.published_seal:
            with open(path, "rb") as file:
                published += read_published(file.read())
        result = Verification(Folder(options.path) if os.path.isdir(options.path) else Zip(options.path), published)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"cannot verify: {error}\n")
        return 2
    lines = [f"PROBLEM {code}: {where} {what}" for code, where, what in result.problems]
    lines += [*result.notes, f"{len(result.problems)} problems" if result.problems else "intact"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
