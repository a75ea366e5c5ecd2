"""YAML read into plain data with the place of every value. Never more than the text is worth, whatever the text.

PyYAML's own trees are not used: composing them recurses in C and ends the process on deep nesting, its duplicates win
silently, and YAML 1.1 takes 22:00 for a number and `on` for true. Read by the core schema of YAML 1.2, as editors do.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from shared.estate.problems import Path, shortened

MOST_TEXT = 16 * 1024 * 1024
MOST_VALUES = 1_000_000
DEEPEST = 40

type Scalar = str | int | float | bool | None
type Plain = Scalar | list[Plain] | dict[str, Plain]
type Found = tuple[int, int, str, str]
"""A problem before it has a source: line, column, what is wrong, what would be right."""

_WORDS: Mapping[str, Scalar] = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.title(), word.upper())
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,30}|[0-9]{1,30}(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,3})?")
_UNREADABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REMEDIES = {
    "found character that cannot start any token": "indent with spaces, and put text that begins with @ or % in quotes",
    "mapping values are not allowed in this context": "put text with a colon in quotes, and check the indentation",
    "could not find expected ':'": "write `name: value`, and check the indentation",
    "did not find expected key": "check the indentation; entries of one mapping begin in the same column",
    "did not find expected ',' or '}'": "put text with a colon or a comma in quotes, and close what { opened",
    "did not find expected ',' or ']'": "put text with a colon or a comma in quotes, and close what [ opened",
    "did not find expected '-' indicator": "check the indentation; items of one list begin in the same column",
}


@dataclass(slots=True)
class Node:
    """A value and where it is (line and column from 1). `weight` counts it with all in it, aliases in full."""

    line: int
    column: int
    value: "Scalar | list[Node] | dict[str, Entry]"
    weight: int = 1
    open: bool = False

    def plain(self) -> Plain:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a mapping: the place of its name, and its value."""

    line: int
    column: int
    node: Node


class _Stop(Exception):  # noqa: N818
    def __init__(self, line: int, column: int, what: str, remedy: str) -> None:
        self.found: Found = (line, column, what, remedy)


def read(text: str) -> tuple[Node | None, list[Found]]:
    """The tree, unless the text cannot be read at all, and everything that is wrong with its form."""
    import yaml

    reader = _Reader()
    if len(text) > MOST_TEXT:
        return None, [(1, 1, f"longer than {MOST_TEXT // 1024**2} MiB", "declare less in one file")]
    if unreadable := _UNREADABLE.search(text.removeprefix("\ufeff")):
        line = text.count("\n", 0, unreadable.start()) + 1
        column = unreadable.start() - (text.rfind("\n", 0, unreadable.start()) + 1) + 1
        return None, [(line, column, "a character that YAML does not allow", "remove it, and save the file as UTF-8")]
    try:
        for event in cast(Iterable[object], yaml.parse(text, Loader=yaml.CSafeLoader)):  # pyright: ignore[reportUnknownMemberType]
            reader.take(event)
    except _Stop as stop:
        return None, [*reader.found, stop.found]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = error.problem or "not YAML"
        return None, [*reader.found, (line, column, f"not YAML: {problem}", _REMEDIES.get(problem, "check the line"))]
    if reader.root is None:
        return None, [*reader.found, (1, 1, "the file is empty", "begin with `estate: NAME`")]
    return reader.root, reader.found


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read; `key` is the name whose value comes next."""

    node: Node
    key: tuple[str, int, int] | None = None
    merged: list[Node] = field(default_factory=list["Node"])


class _Reader:
    """Takes the parser's events one by one; keeps its own stack."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self.found: list[Found] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0

    def take(self, event: Any) -> None:
        """One event of `yaml.parse`."""
        kind = type(event).__name__
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        match kind:
            case "ScalarEvent":
                self._anchor(event, self._add(Node(line, column, self._scalar(event, line, column)), event))
            case "MappingStartEvent" | "SequenceStartEvent":
                if len(self._stack) >= DEEPEST:
                    raise _Stop(line, column, f"nested more than {DEEPEST} deep", "write it flatter")
                self._tag(event, line, column)
                node = Node(line, column, {} if kind == "MappingStartEvent" else [], open=True)
                if self._awaits_key():
                    raise _Stop(line, column, "a list or mapping where a name is expected", "write `name: value`")
                self._anchor(event, node)
                self._stack.append(_Open(node))
            case "MappingEndEvent" | "SequenceEndEvent":
                done = self._stack.pop()
                _merge(done)
                done.node.open = False
                self._add(done.node, None)
            case "AliasEvent":
                node = self._anchors.get(event.anchor)
                if node is None:
                    raise _Stop(line, column, "an alias without an anchor before it", "define it first, with &")
                if node.open:
                    raise _Stop(line, column, "an alias inside of what it stands for", "write it out")
                if self._awaits_key():
                    raise _Stop(line, column, "an alias where a name is expected", "write the name")
                self._add(node, None)
            case "DocumentStartEvent":
                self._documents += 1
                if self._documents > 1:
                    raise _Stop(line, column, "a second document", "one file declares one estate; remove the ---")
            case _:
                pass

    def _awaits_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].node.value, dict) and self._stack[-1].key is None

    def _anchor(self, event: Any, node: Node) -> None:
        if event.anchor:
            self._anchors[event.anchor] = node

    def _tag(self, event: Any, line: int, column: int) -> bool:
        """Whether the value is marked as text. Other marks are refused: they stand for objects, not for data."""
        if event.tag in (None, "!", "tag:yaml.org,2002:str"):
            return event.tag is not None
        self.found.append((line, column, "a YAML tag", f"remove {shortened(event.tag)}; plain values are enough"))
        return False

    def _scalar(self, event: Any, line: int, column: int) -> Scalar:
        if self._tag(event, line, column) or event.style or self._awaits_key():
            return event.value
        return _resolved(event.value)

    def _add(self, node: Node, event: Any) -> Node:
        if not self._stack:
            self.root = node
            return node
        top = self._stack[-1]
        if isinstance(top.node.value, list):
            top.node.value.append(node)
        elif isinstance(top.node.value, dict):
            if top.key is None:
                top.key = ("<<" if node.value == "<<" and not event.style else str(node.value), node.line, node.column)
                return node
            (name, line, column), top.key = top.key, None
            if name == "<<":
                top.merged.extend(self._mergeable(node, line, column))
            elif before := top.node.value.get(name):
                self.found.append(
                    (
                        line,
                        column,
                        f"`{shortened(name)}` is here twice",
                        f"remove one; the first is in line {before.line}",
                    )
                )
            else:
                top.node.value[name] = Entry(line, column, node)
        top.node.weight += node.weight
        if top.node.weight > MOST_VALUES:
            raise _Stop(node.line, node.column, f"more than {MOST_VALUES} values, aliases counted", "declare less")
        return node

    def _mergeable(self, node: Node, line: int, column: int) -> Iterator[Node]:
        for part in node.value if isinstance(node.value, list) else [node]:
            if isinstance(part.value, dict):
                yield part
            else:
                self.found.append((line, column, "<< merges mappings only", "refer to the anchor of a mapping"))


def _merge(done: _Open) -> None:
    """What is merged in yields to what is written out, and to what was merged before it."""
    if isinstance(done.node.value, dict):
        for part in done.merged:
            if isinstance(part.value, dict):
                for name, entry in part.value.items():
                    done.node.value.setdefault(name, entry)


def _resolved(text: str) -> Scalar:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if abs(number) < 1e300 else text
    return text


def place(root: Node, path: Path, *, name: bool = False) -> tuple[int, int]:
    """Line and column of the value at that path, or of its name; of the nearest value around it when there is none."""
    node, where = root, (root.line, root.column)
    for depth, step in enumerate(path, 1):
        if isinstance(node.value, dict) and isinstance(step, str) and step in node.value:
            entry = node.value[step]
            node = entry.node
            at_name = name or isinstance(node.value, dict | list) or node.value is None
            where = (entry.line, entry.column) if depth < len(path) or at_name else (node.line, node.column)
        elif isinstance(node.value, list) and isinstance(step, int) and 0 <= step < len(node.value):
            node = node.value[step]
            where = (node.line, node.column)
        else:
            break
    return where


def scalars(root: Node) -> Iterator[tuple[Path, str, Node]]:
    """Every scalar with its path and the name of the entry that it is in. Aliases are visited once."""
    stack: list[tuple[Path, str, Node]] = [((), "", root)]
    seen: set[int] = set()
    while stack:
        path, name, node = stack.pop()
        if isinstance(node.value, dict | list):
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node.value, dict):
                stack.extend(((*path, key), key, entry.node) for key, entry in node.value.items())
            else:
                stack.extend(((*path, index), name, item) for index, item in enumerate(node.value))
        else:
            yield path, name, node
