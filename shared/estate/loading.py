"""From text to an estate, or to everything that is wrong with it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from shared.estate.estate import Estate
from shared.estate.explanations import explained
from shared.estate.literal_secrets import REMEDY, literal_secrets, looks_like, secrets_in_comments
from shared.estate.policy_references import broken_references
from shared.estate.problems import EstateInvalidError, Path, Problem, shortened, written_path
from shared.estate.yaml_tree import Found, Node, Plain, place, read


def load_estate(text: str | bytes, source: str = "estate.yaml") -> Estate:
    """The estate that the text (bytes: in UTF-8) declares. `source` is what problems call it, such as a file's path.

    Raises EstateInvalidError with every problem that there is.
    """
    return read_estate(text, source).estate


@dataclass(frozen=True, slots=True)
class EstateFile:
    """A valid estate with the places of what it says."""

    estate: Estate
    source: str
    root: Node

    def problem(self, path: Path, what: str, remedy: str) -> Problem:
        """A problem at the place where the file says what it is about."""
        return Problem(self.source, *place(self.root, path), written_path(path), what, remedy)


def read_estate(text: str | bytes, source: str = "estate.yaml") -> EstateFile:
    """As `load_estate`, with the places, for those who have more to say about the file."""
    if isinstance(text, bytes):
        text = _decoded(text, source)
    root, found = read(text)
    problems = [_of_form(source, line) for line in found]
    problems += [
        Problem(source, line, column, "", f"{looks} in a comment", REMEDY)
        for line, column, looks in secrets_in_comments(text)
    ]
    if root is None:
        raise EstateInvalidError(sorted(set(problems)))
    secret_places: set[Path] = set()
    for path, node, looks in literal_secrets(root):
        secret_places.add(path)
        problems.append(Problem(source, node.line, node.column, _shown(path), f"{looks} must not be here", REMEDY))
    document = root.plain()
    estate, said = _validated(document)
    for path, what, remedy, at_name in said:
        if path not in secret_places and not any(isinstance(step, str) and looks_like(step) for step in path):
            problems.append(Problem(source, *place(root, path, name=at_name), written_path(path), what, remedy))
    if estate is None or problems:
        raise EstateInvalidError(sorted(set(problems)))
    return EstateFile(estate, source, root)


def _decoded(data: bytes, source: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        problem = Problem(source, line, column, "", "is not in UTF-8 from here on", "save the file as UTF-8")
        raise EstateInvalidError([problem]) from None


def _of_form(source: str, found: Found) -> Problem:
    line, column, what, remedy = found
    return Problem(source, line, column, "", what, remedy)


def _shown(path: Path) -> str:
    return written_path(tuple(shortened(step) if isinstance(step, str) else step for step in path))


type _Said = tuple[Path, str, str, bool]


def _validated(document: Plain) -> tuple[Estate | None, list[_Said]]:
    if not isinstance(document, dict):
        return None, [((), "not a set of named entries", "begin with `estate: NAME`", False)]
    try:
        estate = Estate.model_validate(document)
    except ValidationError as error:
        said = [_said(detail, document) for detail in error.errors(include_url=False)]
        remains, gone = _without_errors(document, error)
        if remains is not None:
            said += [
                (path, what, remedy, False)
                for path, what, remedy, name in broken_references(remains)
                if name not in gone
            ]
        return None, said
    return estate, [(path, what, remedy, False) for path, what, remedy, _ in broken_references(estate)]


def _said(detail: Any, document: Plain) -> _Said:
    path, what, remedy = explained(detail, Estate, document)
    return path, what, remedy, detail["type"] in ("extra_forbidden", "missing") or detail["loc"][-1:] == ("[key]",)


def _without_errors(document: Plain, error: ValidationError) -> tuple[Estate | None, set[str]]:
    """What is left without the parts that are wrong, so that references in the rest are checked as well; and every
    name that was in those parts: a reference to one of them is no further problem.
    """
    rest: Any = json.loads(json.dumps(document))
    gone: set[str] = set()
    for _ in range(12):
        for path in sorted({_guilty(detail) for detail in error.errors(include_url=False)}, key=_last_first):
            gone.update(_cut(rest, path))
        try:
            return Estate.model_validate(rest), gone
        except ValidationError as again:
            error = again
    return None, gone


def _guilty(detail: Any) -> Path:
    path: Path = tuple(step for step in detail["loc"] if step != "[key]")
    return path[:-1] if detail["type"] == "missing" else path


def _last_first(path: Path) -> tuple[tuple[int, str], ...]:
    """Later items of a list before earlier ones, so that places stay true while parts are cut."""
    return tuple((-step, "") if isinstance(step, int) else (0, step) for step in path)


def _cut(document: Any, path: Path) -> Iterator[str]:
    here = document
    for depth, step in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(here, dict) and step in here:
            children = cast(dict[str, Any], here)
            inner = children[cast(str, step)]
            if last or not isinstance(inner, dict | list):
                del children[cast(str, step)]
                yield str(step)
                yield from _names(inner)
                return
            here = cast(Any, inner)
        elif isinstance(here, list) and isinstance(step, int) and step < len(cast(list[Any], here)):
            items = cast(list[Any], here)
            if last or not isinstance(items[step], dict | list):
                yield from _names(items.pop(step))
                return
            here = items[step]
        else:
            return


def _names(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in cast(dict[str, object], value).items():
            yield name
            yield from _names(inner)
    elif isinstance(value, list):
        for item in cast(list[object], value):
            yield from _names(item)
    else:
        yield str(value)
