"""Literals that look like secrets. They are named by their place; what they are is never repeated."""

import re
from collections.abc import Iterator
from itertools import pairwise
from math import log2

from shared.estate.problems import Path
from shared.estate.yaml_tree import Node, scalars

REMEDY = "keep it in an app setting or in Key Vault, write @setting:NAME or @keyvault:VAULT/SECRET here, and replace it"

# Shapes that are secrets wherever they stand, comments included.
_SHAPES = (
    ("a connection string with its key", r"(?:account|sharedaccess|access)key\s*=\s*[^\s;]{8,}"),
    ("a shared access signature", r"(?:[?&]sig=|sharedaccesssignature\s*=?\s*)[A-Za-z0-9%+/=_-]{8,}"),
    ("a password in a connection string", r"\b(?:password|passwd|pwd)\s*=\s*(?![%$@:?])[^\s;,'\"<>{}]{3,}"),
    ("a password in an address", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}:[^\s/@]{1,200}@"),
    ("a key in an address", r"[?&](?:code|key|token|api[_-]?key|secret|password|access_token)=[^\s&]{6,}"),
    ("a private key", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY"),
    ("a token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    ("a token", r"\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{16,}"),
    ("a token", r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,})"),
    ("an access key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("a client secret", r"[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}"),
)
_SHAPE = re.compile("|".join(f"(?P<s{number}>{shape})" for number, (_, shape) in enumerate(_SHAPES)), re.IGNORECASE)
# A cheap look first: every shape contains one of these.
_HINT = re.compile(r"[=@]|eyJ|KEY|bearer|basic|gh[pousr]_|github_pat|glpat|xox|AKIA|ASIA|Q~", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:passwords?|passwd|pwd|passphrase|secret|token|credentials?|sas|connection[_-]?string"
    r"|(?:api|access|account|private|shared|signing|function|host)[_-]?key)$",
    re.IGNORECASE,
)
_RUN = re.compile(r"[A-Za-z0-9]{20,}")
_BASE64 = re.compile(r"(?=[^/])[A-Za-z0-9+/]{32,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-f]{32,}|[0-9A-F]{32,})")
_COMMENT = re.compile(r"(?:^|\s)#(.*)")


def literal_secrets(root: Node) -> Iterator[tuple[Path, Node, str]]:
    """Every literal that looks like a secret: its path, its node, and what it looks like."""
    names: set[str] = set()
    for path, name, node in scalars(root):
        for depth, step in enumerate(path):
            if isinstance(step, str) and step not in names:
                names.add(step)
                if looks := looks_like(step):
                    yield path[:depth], node, f"{looks} as a name"
        if isinstance(node.value, str) and (looks := looks_like(node.value)):
            yield path, node, looks
        elif (
            _SECRET_NAME.search(name)
            and node.value not in (None, "")
            and not isinstance(node.value, bool)
            and not str(node.value).startswith(("@setting:", "@keyvault:"))
        ):
            yield path, node, f"a literal in `{name}`"


def secrets_in_comments(text: str) -> Iterator[tuple[int, int, str]]:
    """Line, column and look of what has the shape of a secret in a comment, or in a text that cannot be read at all."""
    for number, line in enumerate(text.split("\n"), 1):
        if "#" in line and (comment := _COMMENT.search(line)) and (looks := _shape(comment[1])):
            yield number, comment.start() + 1, looks


def looks_like(text: str) -> str | None:
    """What kind of secret the text looks like, or None."""
    if len(text) < 8:
        return None
    return _shape(text) or (_random(text) if len(text) >= 20 else None)


def _shape(text: str) -> str | None:
    if not _HINT.search(text):
        return None
    found = _SHAPE.search(text)
    return _SHAPES[int(found.lastgroup[1:])][0] if found and found.lastgroup else None


def _random(text: str) -> str | None:
    """Keys and tokens are evenly mixed; names and words are not."""
    runs = _RUN.findall(text)
    if _BASE64.fullmatch(text):
        runs.append(text)
    joined = re.sub("[_-]", "", text)
    if len(text) >= 32 and joined.isalnum() and joined.isascii() and len(text) - len(joined) <= len(text) / 8:
        # The alphabet of addresses; with letters of one case it is rather a name with hyphens.
        runs += [joined] if not (joined.islower() or joined.isupper()) else []
    return "a key or a token" if any(_mixed(run) for run in runs) else None


def _mixed(run: str) -> bool:
    if _HEX.fullmatch(run):
        return _entropy(run) > 2.9
    kinds = ["d" if letter.isdigit() else "u" if letter.isupper() else "l" for letter in run if letter.isalnum()]
    changes = sum(one != other for one, other in pairwise(kinds)) / len(kinds)
    if len(set(kinds)) == 3:
        return changes > 0.3 and _entropy(run) > 3.4
    return len(run) >= 32 and len(set(kinds)) == 2 and "d" in kinds and changes > 0.25 and _entropy(run) > 3.6


def _entropy(text: str) -> float:
    """Bits per character."""
    shares = [text.count(letter) / len(text) for letter in set(text)]
    return -sum(share * log2(share) for share in shares)
