"""Route templates of HTTP triggers: literals, {name}, constraints, defaults, optional and catch-all parameters."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote
from uuid import UUID

type Constraint = Callable[[str], bool]

_PARAMETER = re.compile(r"\{((?:[^{}]|\{[^{}]*\})+)\}")
_INSIDE = re.compile(r"(\*{0,2})([^*:=?]+)((?::[a-zA-Z]+(?:\(.*?\))?(?=[:=?]|$))*)(?:=([^?]*))?(\??)")
_CONSTRAINT = re.compile(r":([a-zA-Z]+)(?:\((.*?)\))?(?=:[a-zA-Z]|$)")


class RouteError(ValueError):
    """A template that cannot be used."""


@dataclass(frozen=True)
class Route:
    """A compiled template. Literals match without regard to case and a trailing slash is ignored, as in Azure."""

    template: str
    pattern: re.Pattern[str]
    names: Mapping[str, str]
    defaults: Mapping[str, str]
    constraints: tuple[tuple[str, Constraint], ...]
    precedence: tuple[int, ...]

    @classmethod
    def parse(cls, template: str) -> "Route":
        """Compile a template. Raises RouteError that names it."""
        return _Parser(template.strip("/")).route()

    def match(self, raw_path: str) -> dict[str, str] | None:
        """The parameters of a percent-encoded path without its leading slash, or None."""
        # An encoded slash belongs to its segment, so the server leaves it encoded.
        found = self.pattern.fullmatch(unquote(re.sub("%2[fF]", "%252F", raw_path.rstrip("/"))))
        if found is None:
            return None
        given = {name: found[group] for group, name in self.names.items() if found[group]}
        values = dict(self.defaults) | given
        if all(accepts(values[name]) for name, accepts in self.constraints if name in values):
            return values
        return None


class _Parser:
    def __init__(self, template: str) -> None:
        self.template = template
        self.names: dict[str, str] = {}
        self.defaults: dict[str, str] = {}
        self.constraints: list[tuple[str, Constraint]] = []

    def route(self) -> Route:
        segments = self.template.split("/") if self.template else []
        if any(segment.startswith("{*") for segment in segments[:-1]):
            raise self._error("a catch-all parameter must be the last segment")
        pattern, precedence = "", list[int]()
        for index, segment in enumerate(segments):
            segment_pattern, optional, order = self._segment(segment)
            slash = "/" if index else ""
            pattern += f"(?:{slash}{segment_pattern})?" if optional else slash + segment_pattern
            precedence.append(order)
        compiled = re.compile(pattern, re.DOTALL)
        return Route(self.template, compiled, self.names, self.defaults, tuple(self.constraints), tuple(precedence))

    def _segment(self, segment: str) -> tuple[str, bool, int]:
        parameters = list(_PARAMETER.finditer(segment))
        literals = _PARAMETER.split(segment)[::2]
        if any(brace in literal for literal in literals for brace in "{}"):
            raise self._error(f"unbalanced braces in {segment!r}")
        if not parameters:
            return f"(?i:{re.escape(segment)})", False, 1
        alone = literals == ["", ""]
        pattern, optional, order = f"(?i:{re.escape(literals[0])})", False, 3
        for parameter, literal in zip(parameters, literals[1:], strict=True):
            inside, optional, order = self._parameter(parameter[1])
            pattern += inside + f"(?i:{re.escape(literal)})"
        return pattern, optional and alone, order if alone else 2

    def _parameter(self, text: str) -> tuple[str, bool, int]:
        match = _INSIDE.fullmatch(text)
        if match is None:
            raise self._error(f"cannot read the parameter {{{text}}}")
        stars, name, constraints, default, question_mark = match.groups()
        if name.lower() in (known.lower() for known in self.names.values()):
            raise self._error(f"the parameter {name!r} appears twice")
        group = f"p{len(self.names)}"
        self.names[group] = name
        for constraint, arguments in _CONSTRAINT.findall(constraints):
            self.constraints.append((name, self._constraint(constraint, arguments)))
        if default is not None:
            self.defaults[name] = default
        optional = bool(question_mark or stars) or default is not None
        order = (5 if stars else 3) - bool(constraints)
        return f"(?P<{group}>{'.*' if stars else '[^/]+'})", optional, order

    def _constraint(self, name: str, arguments: str) -> Constraint:
        if name == "regex":
            try:
                return lambda value, expression=re.compile(arguments): expression.search(value) is not None
            except re.error as error:
                raise self._error(f"the pattern {arguments!r}: {error}") from None
        try:
            return _constraint(name, [int(number) for number in arguments.split(",")] if arguments else [])
        except ValueError:
            raise self._error(f"unknown constraint {name!r} with {arguments!r}") from None

    def _error(self, reason: str) -> RouteError:
        return RouteError(f"The route template '{self.template}' is invalid: {reason}.")


def _constraint(name: str, numbers: list[int]) -> Constraint:
    match name, numbers:
        case "int", []:
            return _integer(-(2**31), 2**31 - 1)
        case "long", []:
            return _integer(-(2**63), 2**63 - 1)
        case "min", [low]:
            return _integer(low, 2**63 - 1)
        case "max", [high]:
            return _integer(-(2**63), high)
        case "range", [low, high]:
            return _integer(low, high)
        case "length", [exact]:
            return lambda value: len(value) == exact
        case "length", [low, high]:
            return lambda value: low <= len(value) <= high
        case "minlength", [low]:
            return lambda value: len(value) >= low
        case "maxlength", [high]:
            return lambda value: len(value) <= high
        case "alpha", []:
            return lambda value: re.fullmatch("[A-Za-z]*", value) is not None
        case "bool", []:
            return lambda value: value.lower() in ("true", "false")
        case "decimal" | "double" | "float", []:
            return _converts(float)
        case "guid", []:
            return _converts(UUID)
        case "datetime", []:
            return _converts(datetime.fromisoformat)
        case "required", []:
            return bool
        case _:
            raise ValueError(name)


def _integer(low: int, high: int) -> Constraint:
    return lambda value: re.fullmatch(r"[+-]?[0-9]{1,19}", value) is not None and low <= int(value) <= high


def _converts(convert: Callable[[str], object]) -> Constraint:
    def accepts(value: str) -> bool:
        try:
            convert(value)
        except ValueError:
            return False
        return True

    return accepts
