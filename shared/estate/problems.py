"""What is wrong with an estate, said so that its author can put it right."""

import re
from bisect import bisect
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

type Path = tuple[str | int, ...]
"""The way to a value: names of mappings, and places in lists from 0."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong, or unwise. `line` and `column` begin at 1; `path` is empty for the file as a whole."""

    source: str
    line: int
    column: int
    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return self.located()

    def located(self, label: str = "") -> str:
        """`file:line:column: path: what is wrong; what would be right`, with a label before the path."""
        where = f"{self.path}: " if self.path else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{self.source}:{self.line}:{self.column}: {label}{where}{self.what}{remedy}"


class EstateInvalidError(Exception):
    """The estate cannot be used. `problems` are all that were found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def written_path(path: Path) -> str:
    """The path as people write it: `environments.production.postgres.erp.databases[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{shortened(step)}" if text else shortened(step)
        else:
            text += f'["{shortened(step)}"]'
    return text


def shortened(text: str, most: int = 60) -> str:
    """At most so many characters, on one line, printable."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text[: most + 1])
    return line if len(line) <= most else f"{line[: most - 3]}..."


def did_you_mean(name: str, known: Collection[str], title: str = "declared") -> str:
    """The remedy for an unknown name: the nearest known one, or what is known."""
    if close := nearest(name, known):
        return f"did you mean `{close}`?"
    if not known:
        return f"nothing is {title}"
    names = sorted(known)
    return f"{title}: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"


def nearest(name: str, known: Collection[str], cutoff: float = 0.6) -> str | None:
    """The known name that is most like this one, or None when none is (`cutoff` as in difflib)."""
    name = name.lower()[:200]
    candidates = known if len(known) <= 100 else _neighbours(name, frozenset(known))
    close = get_close_matches(name, candidates, n=1, cutoff=cutoff)
    return close[0] if close else None


def _neighbours(name: str, known: frozenset[str]) -> set[str]:
    """Those among many that could be meant: comparing with all of them takes minutes when a whole section is wrong.

    A slip leaves the beginning or the end of a name as it was.
    """
    forwards, backwards = _in_order(known)
    begin, end = bisect(forwards, name), bisect(backwards, name[::-1])
    return {
        *forwards[max(begin - 10, 0) : begin + 10],
        *(each[::-1] for each in backwards[max(end - 10, 0) : end + 10]),
    }


@lru_cache(maxsize=16)
def _in_order(known: frozenset[str]) -> tuple[list[str], list[str]]:
    return sorted(known), sorted(name[::-1] for name in known)
