"""What is wrong with an estate, said so that its author can put it right."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

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
            text += f".{step}" if text else step
        else:
            text += f'["{shortened(step)}"]'
    return text


def shortened(text: str) -> str:
    """At most 60 characters of one line, printable."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text[:61])
    return line if len(line) <= 60 else f"{line[:57]}..."


def did_you_mean(name: str, known: Collection[str], title: str = "declared") -> str:
    """The remedy for an unknown name: the nearest known one, or what is known."""
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    names = sorted(known)
    if not names:
        return f"nothing is {title}"
    return f"{title}: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"
