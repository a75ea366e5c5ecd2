"""The validator's errors in words: what is wrong, and what would be right."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from shared.estate.declared import HiddenValueError
from shared.estate.models import field_words, model_at, names_of
from shared.estate.problems import Path, did_you_mean, nearest, shortened

_SIMPLE = {
    "int": ("is no whole number", "write one such as 3"),
    "float": ("is no number", "write one such as 0.5"),
    "finite": ("is no number", "write one such as 0.5"),
    "bool": ("is neither true nor false", "write true or false"),
    "date": ("is no date", "write it as 2026-12-31"),
    "tuple": ("is no list", "write [a, b], or one item a line with - before it"),
    "list": ("is no list", "write [a, b], or one item a line with - before it"),
    "dict": ("is not a set of named entries", "write `name: value`, one a line, indented"),
    "mapping": ("is not a set of named entries", "write `name: value`, one a line, indented"),
    "model": ("is not a set of named entries", "write `name: value`, one a line, indented"),
    "string": ("is not text", "write text, in quotes where it looks like a number"),
}


def explained(error: ErrorDetails, root: type[BaseModel], document: object) -> tuple[Path, str, str]:
    """Path, what is wrong, and the remedy, of one error about that document.

    The path of an unknown or a misnamed entry is the entry's.
    """
    kind, context = error["type"], error.get("ctx", {})
    path: Path = tuple(step for step in error["loc"] if step != "[key]")
    if kind == "missing":
        return path[:-1], *_missing(root, path)
    if kind == "extra_forbidden":
        return path, f"`{shortened(str(path[-1]))}` is not known here", _known(root, path, document)
    value = path[-1] if error["loc"][-1:] == ("[key]",) else error["input"]
    if value is None and kind.split("_")[0] in (*_SIMPLE, "literal", "enum"):
        return path, "has no value", "write one, or leave the line out"
    hidden = isinstance(context.get("error"), HiddenValueError)
    what, remedy = _wrong(kind, error["msg"], context)
    return path, shortened(what if hidden else _with_value(what, value), 400), shortened(remedy, 400)


def _missing(root: type[BaseModel], path: Path) -> tuple[str, str]:
    model, name = model_at(root, path[:-1]), str(path[-1])
    words = field_words(model).get(name, "") if model else ""
    meaning = words.split(". ")[0].rstrip(".")
    return f"`{name}` is missing", f"add `{name}`: {meaning}" if meaning else f"add `{name}`"


def _known(root: type[BaseModel], path: Path, document: object) -> str:
    model, name = model_at(root, path[:-1]), str(path[-1])
    if model is None:
        return "remove it"
    written = _entries_at(document, path[:-1])
    meant = nearest(name, names_of(model), cutoff=0.8)
    if meant in written:
        return f"remove it, `{meant}` is here already"
    return did_you_mean(name, [known for known in names_of(model) if known not in written], "known here")


def _wrong(kind: str, message: str, context: Mapping[str, Any]) -> tuple[str, str]:
    match kind:
        case "literal_error" | "enum":
            expected = (
                str(context.get("expected", "")).replace("'", "").replace("True", "true").replace("False", "false")
            )
            return "is none of the values that are known here", f"write {expected}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            words = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}
            side, bound = next((words[name], context[name]) for name in words if name in context)
            return "is out of range", f"write {side} {bound:g}"
        case "too_short" | "string_too_short":
            return "is too short", f"give at least {context.get('min_length')}"
        case "too_long" | "string_too_long":
            return "is too long", f"at most {context.get('max_length')}"
        case "string_pattern_mismatch":
            # The one pattern that is not of this package: the name of the finance calendar.
            return "is no name", "use lower case letters, digits and hyphens inside, at most 63"
        case _ if (simple := _SIMPLE.get(kind.split("_")[0])) and kind != "value_error":
            return simple
        case _:
            what, _, remedy = message.removeprefix("Value error, ").partition("; ")
            return what, remedy


def _with_value(what: str, value: object) -> str:
    """The value is said first, unless it was said, or is too much to be said."""
    if isinstance(value, bool):
        return f"{str(value).lower()} {what}"
    if not isinstance(value, str | int | float):
        kind = "a list" if isinstance(value, list | tuple) else "a mapping" if isinstance(value, Mapping) else ""
        return f"{kind} {what}" if kind and what.startswith("is ") else what
    return what if str(value) in what else f'"{shortened(str(value))}" {what}'


def _entries_at(document: Any, path: Path) -> Collection[str]:
    """The names of the mapping at that path, if it is one; a short form may stand there instead."""
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return ()
    return cast(dict[str, object], document) if isinstance(document, dict) else ()
