"""metadata.managedFields: which manager set which fields, and when.

Lists are owned as a whole here, where a real server tracks the items of some of them.
"""

from typing import Any

type _Fields = dict[str, Any]

_NOT_TRACKED = {
    "uid",
    "name",
    "namespace",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
}


def claimed(
    old: dict[str, Any] | None,
    new: dict[str, Any],
    *,
    manager: str,
    operation: str,
    subresource: str,
    time: str,
    also: _Fields | None = None,
) -> list[dict[str, Any]]:
    """The entries after a write: what it changed belongs to the writer, and `also` these fields."""
    changed = _changes(_tracked(old or {}), _tracked(new))
    taken = _union(changed, also or {})
    entries: list[dict[str, Any]] = list((old or {}).get("metadata", {}).get("managedFields") or [])
    result: list[dict[str, Any]] = []
    mine: _Fields = {}
    for entry in entries:
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, operation, subresource):
            mine = entry["fieldsV1"]
        elif rest := _difference(entry["fieldsV1"], taken):
            result.append({**entry, "fieldsV1": rest})
    held = _union(mine, taken)
    if not changed and held == mine:
        return entries
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": new["apiVersion"],
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": held,
    }
    return [*result, {**entry, "subresource": subresource} if subresource else entry]


def _tracked(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key not in _NOT_TRACKED}
    return {**{key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}, "metadata": metadata}


def _changes(old: Any, new: dict[str, Any]) -> _Fields:
    fields: _Fields = {}
    before = old if isinstance(old, dict) else {}
    for name, value in new.items():
        if name in before and before[name] == value:
            continue
        if isinstance(value, dict):
            inner = _changes(before.get(name), value)
            if inner or (not value and name not in before):
                fields[f"f:{name}"] = inner
        else:
            fields[f"f:{name}"] = {}
    return fields


def _union(one: _Fields, other: _Fields) -> _Fields:
    result = dict(one)
    for name, inner in other.items():
        result[name] = _union(result.get(name, {}), inner)
    return result


def _difference(one: _Fields, taken: _Fields) -> _Fields:
    result: _Fields = {}
    for name, inner in one.items():
        if name not in taken:
            result[name] = inner
        elif inner and (rest := _difference(inner, taken[name])):
            result[name] = rest
    return result
