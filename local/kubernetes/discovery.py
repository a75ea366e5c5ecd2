"""What the server says of itself: version, groups, resources."""

from typing import Any

from local.kubernetes.resources import OLD_AUTOSCALERS, RESOURCES, Resource

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def version() -> dict[str, Any]:
    return {
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "gitVersion": "v1.36.2-closekeeper",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "2026-06-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    }


def api_versions() -> dict[str, Any]:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> dict[str, Any]:
    names = sorted({resource.group for resource in RESOURCES if resource.group})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in names]}


def group(name: str) -> dict[str, Any] | None:
    if name not in {resource.group for resource in RESOURCES if resource.group}:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)}


def resources(group_version: str) -> dict[str, Any] | None:
    listed: list[dict[str, Any]] = []
    for resource in (*RESOURCES, OLD_AUTOSCALERS):
        if resource.group_version == group_version:
            listed += _resource(resource)
    if not listed:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _group(name: str) -> dict[str, Any]:
    # the current version of each group comes first in RESOURCES, so it is the preferred one
    versions = [
        {"groupVersion": resource.group_version, "version": resource.version}
        for resource in (*RESOURCES, OLD_AUTOSCALERS)
        if resource.group == name
    ]
    distinct = list({version["version"]: version for version in versions}.values())
    return {"name": name, "versions": distinct, "preferredVersion": distinct[0]}


def _resource(resource: Resource) -> list[dict[str, Any]]:
    base = {"namespaced": resource.namespaced, "kind": resource.kind}
    main: dict[str, Any] = {"name": resource.plural, "singularName": resource.kind.lower(), **base, "verbs": _VERBS}
    if resource is OLD_AUTOSCALERS:
        return [{**main, "verbs": ["get", "list", "watch"]}]
    if resource.short:
        main["shortNames"] = [resource.short]
    listed = [main]
    edits = ["get", "patch", "update"]
    if resource.status:
        listed.append({"name": f"{resource.plural}/status", "singularName": "", **base, "verbs": edits})
    if resource.scale:
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale", "namespaced": True}
        listed.append({"name": f"{resource.plural}/scale", "singularName": "", **scale, "verbs": edits})
    if resource.plural == "pods":
        evict = {"group": "policy", "version": "v1", "kind": "Eviction", "namespaced": True}
        listed.append({"name": "pods/eviction", "singularName": "", **evict, "verbs": ["create"]})
        listed.append({"name": "pods/log", "singularName": "", "namespaced": True, "kind": "Pod", "verbs": ["get"]})
    return listed
