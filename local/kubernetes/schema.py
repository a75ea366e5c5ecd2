"""Which fields the built-in kinds have, learned from the official client's models.

A real server drops fields it does not know and warns, or refuses them under fieldValidation=Strict; wrong types it
always refuses.
"""

import importlib
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from local.kubernetes.resources import EVENTS, Resource

_LIST = re.compile(r"[Ll]ist\[(.+)\]")
_MAP = re.compile(r"[Dd]ict\[str, (.+)\]")
_SCALARS: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
_GO = {"str": "string", "int": "int32", "float": "float64", "bool": "bool"}
_QUANTITIES = {"limits", "requests", "capacity", "allocatable", "hard", "used", "value", "averageValue", "sizeLimit"}
"""Strings in the schema that may be written as numbers too."""


@dataclass
class Findings:
    """What is wrong with an object: paths of unknown fields, and what has the wrong type."""

    unknown: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])


def known(resource: Resource, obj: dict[str, Any]) -> tuple[dict[str, Any], Findings]:
    """The object without unknown and null fields, and what was found. Custom kinds are taken as they are."""
    findings = Findings()
    if resource.custom:
        return obj, findings
    model = "CoreV1Event" if resource is EVENTS else f"V{resource.version.removeprefix('v')}{resource.kind}"
    return _object(model, obj, "", findings), findings


def _object(model: str, value: dict[str, Any], path: str, findings: Findings) -> dict[str, Any]:
    fields = _fields(model)
    result: dict[str, Any] = {}
    for name, item in value.items():
        kind = fields.get(name)
        if kind is None:
            findings.unknown.append(path + name)
        elif item is not None:
            result[name] = _value(kind, item, path + name, findings, lenient=name in _QUANTITIES)
    return result


def _value(kind: str, value: Any, path: str, findings: Findings, *, lenient: bool) -> Any:
    if found := _LIST.fullmatch(kind):
        if not isinstance(value, list):
            return _wrong(value, path, "[]" + found[1], findings)
        return [_value(found[1], item, f"{path}[{i}]", findings, lenient=False) for i, item in enumerate(value)]
    if found := _MAP.fullmatch(kind):
        if not isinstance(value, dict):
            return _wrong(value, path, "map[string]" + found[1], findings)
        return {
            key: _value(found[1], item, f"{path}.{key}", findings, lenient=lenient)
            for key, item in value.items()
            if item is not None
        }
    if types := _SCALARS.get(kind):
        fits = isinstance(value, types) and isinstance(value, bool) == (kind == "bool")
        if not fits and not (lenient and isinstance(value, int | float)):
            return _wrong(value, path, _GO[kind], findings)
        return str(value) if lenient and kind == "str" else value
    if kind in ("object", "datetime", "date", "V1MicroTime"):
        return value
    if not isinstance(value, dict):
        return _wrong(value, path, kind, findings)
    return _object(kind, value, path + ".", findings)


def _wrong(value: Any, path: str, kind: str, findings: Findings) -> Any:
    given = {bool: "bool", str: "string", int: "number", float: "number", list: "array"}.get(type(value), "object")
    findings.wrong.append(f"json: cannot unmarshal {given} into Go struct field {path} of type {kind}")
    return value


@cache
def _fields(model: str) -> dict[str, str]:
    cls = getattr(importlib.import_module("kubernetes.client"), model)
    return {cls.attribute_map[name]: kind for name, kind in cls.openapi_types.items()}
