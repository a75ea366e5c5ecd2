"""The four kinds of PATCH. None of these functions changes its arguments."""

import copy
from collections.abc import Mapping
from typing import Any

from local.kubernetes.errors import ApiError, invalid_patch, unsupported_media_type
from local.kubernetes.resources import Resource

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"

# the patchMergeKey of the lists in our kinds (OpenAPI x-kubernetes-patch-merge-key); all others are replaced whole
_MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "conditions": "type",
    "taints": "key",
    "ownerReferences": "uid",
    "addresses": "type",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
_MERGED_SETS = {"finalizers"}


def patched(resource: Resource, content_type: str, old: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The object after the patch; raises ApiError 400, 415 or 422."""
    accepted = [JSON, MERGE, APPLY] if resource.custom else [JSON, MERGE, STRATEGIC, APPLY]
    if content_type not in accepted:
        raise unsupported_media_type(accepted)
    if content_type == JSON:
        if not isinstance(patch, list):
            raise ApiError(400, "BadRequest", "json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        return json_patched(old, patch)
    if not isinstance(patch, dict):
        raise ApiError(400, "BadRequest", "error decoding patch: json: cannot unmarshal array into Go value")
    return merged(old, patch) if content_type == MERGE else strategically_merged(old, patch)


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def strategically_merged(old: Any, patch: Any) -> Any:
    """Kubernetes' own merge: lists with a merge key are merged by it, and directives ($patch) are obeyed."""
    if not isinstance(patch, Mapping):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    result = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, list) and key in _MERGE_KEYS and all(isinstance(item, Mapping) for item in value):
            result[key] = _merged_list(result.get(key) or [], value, _MERGE_KEYS[key])
        elif isinstance(value, list) and key in _MERGED_SETS:
            present = result.get(key) or []
            result[key] = [*present, *(item for item in value if item not in present)]
        else:
            result[key] = strategically_merged(result.get(key), value)
    return result


def _merged_list(old: list[Any], patch: list[Any], key: str) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    result = list(old)
    for item in patch:
        index = next((i for i, present in enumerate(result) if present.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if index is not None:
                result.pop(index)
        elif index is None:
            result.append(item)
        else:
            result[index] = strategically_merged(result[index], item)
    return result


def json_patched(old: dict[str, Any], operations: list[Any]) -> dict[str, Any]:
    """RFC 6902."""
    document: Any = copy.deepcopy(old)
    for operation in operations:
        try:
            document = _operate(document, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise invalid_patch(
                f"the server rejected our request due to an error in our request: {operation}: {error}"
            ) from error
    return document


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    path = _tokens(operation["path"])
    match operation["op"]:
        case "add":
            return _add(document, path, operation["value"])
        case "remove":
            return _remove(document, path)
        case "replace":
            _find(document, path)
            return _add(_remove(document, path), path, operation["value"])
        case "test":
            if _find(document, path) != operation["value"]:
                raise ValueError(f"testing value {operation['path']} failed")
            return document
        case "copy":
            return _add(document, path, copy.deepcopy(_find(document, _tokens(operation["from"]))))
        case "move":
            start = _tokens(operation["from"])
            value = _find(document, start)
            return _add(_remove(document, start), path, value)
        case other:
            raise ValueError(f"Unexpected kind: {other}")


def _tokens(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"not a JSON pointer: {pointer}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _find(document: Any, path: list[str]) -> Any:
    for token in path:
        document = document[int(token)] if isinstance(document, list) else document[token]
    return document


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _find(document, path[:-1])
    if isinstance(parent, list):
        parent.insert(len(parent) if path[-1] == "-" else int(path[-1]), value)
    else:
        parent[path[-1]] = value
    return document


def _remove(document: Any, path: list[str]) -> Any:
    if not path:
        return None
    parent = _find(document, path[:-1])
    if isinstance(parent, list):
        parent.pop(int(path[-1]))
    else:
        del parent[path[-1]]
    return document
