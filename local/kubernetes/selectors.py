"""Label and field selectors, as queries carry them and as objects hold them."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from local.kubernetes.errors import bad_request

type Matcher = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"(\S+)\s+(in|notin)\s*\(([^)]*)\)")
_EQUALITY = re.compile(r"([^=!\s]+)\s*(==|=|!=)\s*([^=!\s]*)")
_EXISTENCE = re.compile(r"(!?)\s*([^=!\s()]+)")


def of_labels(text: str) -> Matcher:
    """Whether labels fit a selector such as `tier=web,role in (cron, worker),!retired`; raises ApiError 400."""
    tests = [_requirement(part.strip(), text) for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _requirement(part: str, text: str) -> Matcher:
    if found := _SET.fullmatch(part):
        key, values = found[1], {value.strip() for value in found[3].split(",")}
        wanted = found[2] == "in"
        return lambda labels: (labels.get(key) in values) == wanted
    if found := _EQUALITY.fullmatch(part):
        key, value, wanted = found[1], found[3], found[2] != "!="
        return lambda labels: (labels.get(key) == value) == wanted
    if found := _EXISTENCE.fullmatch(part):
        key, wanted = found[2], not found[1]
        return lambda labels: (key in labels) == wanted
    raise bad_request(f"unable to parse requirement: found {part!r} in {text!r}, expected a label requirement")


def of_fields(text: str) -> Matcher:
    """Whether an object fits a selector such as `status.phase=Running,spec.nodeName!=a`; raises ApiError 400."""
    tests: list[Matcher] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"([^=!]+)(!=|==?)(.*)", part)
        if found is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        path, value, wanted = found[1].split("."), found[3], found[2] != "!="
        tests.append(lambda obj, path=path, value=value, wanted=wanted: (_field(obj, path) == value) == wanted)
    return lambda obj: all(test(obj) for test in tests)


def _field(obj: Any, path: list[str]) -> str:
    for name in path:
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    if isinstance(obj, bool):
        return str(obj).lower()
    return "" if obj is None else str(obj)


def of_object(selector: Mapping[str, Any] | None) -> Matcher:
    """Whether labels fit a LabelSelector object; an empty one fits all, none fits nothing."""
    if selector is None:
        return lambda labels: False
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    expressions: list[Mapping[str, Any]] = selector.get("matchExpressions") or []

    def fits(labels: Mapping[str, Any]) -> bool:
        return all(labels.get(key) == value for key, value in wanted.items()) and all(
            _expression(expression, labels) for expression in expressions
        )

    return fits


def _expression(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels
