"""Writing objects by the rules of the API: versions, generations, preconditions, finalizers, propagation."""

import base64
import json
import secrets
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.kubernetes import ownership, schema, validation
from local.kubernetes.clock import ClusterClock, written
from local.kubernetes.errors import ApiError, already_exists, bad_request, conflict, expired, invalid, not_found
from local.kubernetes.resources import DEPLOYMENTS, JOBS, NAMESPACES, PODS, RESOURCES, Resource
from local.kubernetes.store import Object, Store

CONTROLLERS = "kube-controller-manager"

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"
_KEPT_LISTS = 64


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes and how. `subresource` is empty, status or scale; `strict` refuses unknown fields."""

    manager: str = CONTROLLERS
    subresource: str = ""
    dry_run: bool = False
    strict: bool = False
    operation: str = "Update"
    patch: bool = False


class Registry:
    """The API's verbs on a store, each one atomic."""

    def __init__(self, store: Store, clock: ClusterClock) -> None:
        self.store = store
        self.clock = clock
        self.warnings: list[str] = []
        """What the last write wants to be warned of."""
        self.graceful: Callable[[Object], bool] = lambda pod: False
        """Whether a kubelet will end this pod, so that its deletion takes a while."""
        self._lists: OrderedDict[str, list[Object]] = OrderedDict()

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        found = self.store.find(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def list(
        self,
        resource: Resource,
        namespace: str,
        keep: Callable[[Object], bool] | None = None,
        limit: int = 0,
        token: str = "",
    ) -> tuple[list[Object], dict[str, Any]]:
        """One page and its list metadata. Further pages show the objects as they were at the first one."""
        with self.store.lock:
            if token:
                version, name, start = _read_token(token)
                objects = self._lists.get(name)
                if objects is None:
                    raise expired(
                        "The provided continue parameter is too old to display a consistent list result. You can start "
                        "a new list without the continue parameter."
                    )
            else:
                version, name, start = str(self.store.version), secrets.token_hex(8), 0
                objects = self.store.all(resource, namespace)
                if keep is not None:
                    objects = [obj for obj in objects if keep(obj)]
                if limit and limit < len(objects):
                    self._lists[name] = objects
                    if len(self._lists) > _KEPT_LISTS:
                        self._lists.popitem(last=False)
            end = start + limit if limit else len(objects)
            metadata: dict[str, Any] = {"resourceVersion": version}
            if end < len(objects):
                metadata["continue"] = _token(version, name, end)
                if keep is None:
                    metadata["remainingItemCount"] = len(objects) - end
            return objects[start:end], metadata

    def compact(self) -> None:
        """Forget former versions: old watches and continued lists are told to start again."""
        with self.store.lock:
            self.store.compact()
            self._lists.clear()

    def create(self, resource: Resource, namespace: str, obj: Object, writer: Writer) -> Object:
        with self.store.lock:
            obj = self._decoded(resource, obj, writer)
            metadata: dict[str, Any] = dict(obj.get("metadata") or {})
            if metadata.get("namespace", namespace) != namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            if metadata.get("resourceVersion"):
                raise bad_request("resourceVersion should not be set on objects to be created")
            if not metadata.get("name"):
                if not metadata.get("generateName"):
                    raise invalid(resource, "", [("metadata.name", "Required value: name or generateName is required")])
                metadata["name"] = metadata["generateName"] + suffix()
            name = metadata["name"]
            if namespace:
                home = self.get(NAMESPACES, "", namespace)
                if home["metadata"].get("deletionTimestamp"):
                    why = f"unable to create new content in namespace {namespace} because it is being terminated"
                    raise ApiError(403, "Forbidden", f'{resource.qualified} "{name}" is forbidden: {why}')
                metadata["namespace"] = namespace
            if self.store.find(resource, namespace, name) is not None:
                raise already_exists(resource, name)
            for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "generation", "selfLink"):
                metadata.pop(field, None)
            if resource is NAMESPACES:
                metadata["labels"] = {"kubernetes.io/metadata.name": name, **(metadata.get("labels") or {})}
            metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": written(self.clock.now())}
            if resource.generation:
                metadata["generation"] = 1
            obj = {"apiVersion": resource.group_version, "kind": resource.kind, **obj, "metadata": metadata}
            if resource is JOBS:
                obj = _labelled_job(obj)
            obj = validation.defaulted(resource, obj)
            validation.check(resource, obj)
            if resource.status:
                obj["status"] = _first_status(resource) if resource.plural != "nodes" else obj.get("status") or {}
            obj = self._claimed(None, obj, writer)
            if writer.dry_run:
                return obj
            return self.store.put(resource, obj)

    def update(self, resource: Resource, old: Object, new: Object, writer: Writer) -> Object:
        """Replace `old` by `new`, of which a subresource takes its part only. An equal object is not written."""
        with self.store.lock:
            before = old["metadata"]
            wanted = (new.get("metadata") or {}).get("resourceVersion")
            if wanted and wanted != before["resourceVersion"]:
                raise conflict(resource, before["name"])
            uid = (new.get("metadata") or {}).get("uid")
            if uid and uid != before["uid"]:
                why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
                raise conflict(resource, before["name"], why)
            new = self._decoded(resource, new, writer)
            if writer.subresource == "status":
                new = {**old, "status": new.get("status") or {}}
            elif resource.status:
                new = {**new, "status": old.get("status") or {}}
            fixed = ("name", "namespace", "uid", "creationTimestamp", "generation", "managedFields", "resourceVersion")
            fixed += ("deletionTimestamp", "deletionGracePeriodSeconds")
            metadata = {key: value for key, value in (new.get("metadata") or {}).items() if key not in fixed}
            metadata |= {key: before[key] for key in fixed if key in before}
            new = {**new, "apiVersion": old["apiVersion"], "kind": old["kind"], "metadata": _without_empty(metadata)}
            if writer.subresource != "status":
                new = validation.defaulted(resource, new)
                validation.check(resource, new, old)
            if "generation" in before and _wanted_state(resource, new) != _wanted_state(resource, old):
                new["metadata"]["generation"] = before["generation"] + 1
            new = self._claimed(old, new, writer)
            if new == old:
                return old
            if writer.dry_run:
                return new
            ended = (new.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            runs = resource is PODS and self.graceful(new) and not ended
            if before.get("deletionTimestamp") and not new["metadata"].get("finalizers") and not runs:
                return self._gone(resource, new)
            return self.store.put(resource, new)

    def write_status(self, resource: Resource, obj: Object, status: Mapping[str, Any]) -> Object:
        """A controller's write: to the object as it is now. An object that is gone stays gone."""
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        with self.store.lock:
            now = self.store.find(resource, namespace, name)
            if now is None or now["metadata"]["uid"] != obj["metadata"]["uid"] or now.get("status") == status:
                return now or obj
            new = self._claimed(now, {**now, "status": dict(status)}, Writer(subresource="status"))
            return self.store.put(resource, new)

    def delete(
        self, resource: Resource, obj: Object, options: Mapping[str, Any] | None = None, *, dry_run: bool = False
    ) -> Object:
        """Delete, or begin to: what has finalizers, or a kubelet that ends it first, is only marked.

        Without propagationPolicy a Job leaves its pods behind, and all other kinds take their dependents with them.
        """
        options = options or {}
        with self.store.lock:
            metadata = obj["metadata"]
            wanted = options.get("preconditions") or {}
            for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
                if wanted.get(field) and wanted[field] != metadata[field]:
                    raise conflict(
                        resource,
                        metadata["name"],
                        f"Precondition failed: {label} in precondition: {wanted[field]}, "
                        f"{label} in object meta: {metadata[field]}",
                    )
            if dry_run:
                return obj
            policy = options.get("propagationPolicy") or ("Orphan" if resource is JOBS else "Background")
            finalizers = [name for name in metadata.get("finalizers") or [] if name not in (_FOREGROUND, _ORPHAN)]
            if policy == "Orphan":
                self._orphan(obj)
            elif policy == "Foreground" and self.store.owned_by(obj):
                finalizers.append(_FOREGROUND)
            grace = options.get("gracePeriodSeconds")
            graceful = resource is PODS and grace != 0 and self.graceful(obj)
            if not finalizers and not graceful:
                return self._gone(resource, obj)
            if metadata.get("deletionTimestamp"):
                return obj
            mark = {**metadata, "deletionTimestamp": written(self.clock.now()), "deletionGracePeriodSeconds": 0}
            if graceful:
                default = obj["spec"].get("terminationGracePeriodSeconds", 30)
                mark["deletionGracePeriodSeconds"] = default if grace is None else grace
            if finalizers:
                mark["finalizers"] = finalizers
            if "generation" in mark:
                mark["generation"] += 1
            marked = self.store.put(resource, {**obj, "metadata": mark})
            if _FOREGROUND in finalizers:
                self._delete_dependents(marked, "Foreground")
                self._finish_foreground(resource, marked)
            return marked

    def _gone(self, resource: Resource, obj: Object) -> Object:
        gone = self.store.remove(resource, obj)
        if resource is NAMESPACES:
            for kind in RESOURCES:
                for inside in self.store.all(kind, gone["metadata"]["name"]) if kind.namespaced else ():
                    if self.store.find(kind, gone["metadata"]["name"], inside["metadata"]["name"]):
                        self._gone(kind, inside)
        self._delete_dependents(gone, "Background")
        for reference in gone["metadata"].get("ownerReferences") or []:
            self._look_at_owner(gone, reference)
        return gone

    def _delete_dependents(self, owner: Object, policy: str) -> None:
        uid = owner["metadata"]["uid"]
        for resource, (namespace, name) in self.store.owned_keys(uid):
            obj = self.store.find(resource, namespace, name)
            if obj is None:
                continue
            others = [ref for ref in obj["metadata"]["ownerReferences"] if ref["uid"] != uid]
            if others:
                self.store.put(resource, {**obj, "metadata": {**obj["metadata"], "ownerReferences": others}})
            else:
                self.delete(resource, obj, {"propagationPolicy": policy})

    def _orphan(self, owner: Object) -> None:
        uid = owner["metadata"]["uid"]
        for resource, (namespace, name) in self.store.owned_keys(uid):
            obj = self.get(resource, namespace, name)
            others = [ref for ref in obj["metadata"]["ownerReferences"] if ref["uid"] != uid]
            metadata = {key: value for key, value in obj["metadata"].items() if key != "ownerReferences"}
            self.store.put(resource, {**obj, "metadata": metadata | ({"ownerReferences": others} if others else {})})

    def _look_at_owner(self, dependent: Object, reference: Mapping[str, Any]) -> None:
        for resource in RESOURCES:
            if resource.kind == reference["kind"]:
                namespace = dependent["metadata"].get("namespace", "") if resource.namespaced else ""
                owner = self.store.find(resource, namespace, reference["name"])
                if owner is not None and owner["metadata"]["uid"] == reference["uid"]:
                    self._finish_foreground(resource, owner)

    def _finish_foreground(self, resource: Resource, owner: Object) -> None:
        finalizers = owner["metadata"].get("finalizers") or []
        if _FOREGROUND not in finalizers or self.store.owned_by(owner):
            return
        rest = [name for name in finalizers if name != _FOREGROUND]
        metadata = {**owner["metadata"], "finalizers": rest}
        if rest:
            self.store.put(resource, {**owner, "metadata": metadata})
        elif self.store.find(resource, metadata.get("namespace", ""), metadata["name"]):
            self._gone(resource, {**owner, "metadata": _without_empty(metadata)})

    def _decoded(self, resource: Resource, obj: Object, writer: Writer) -> Object:
        self.warnings = []
        if writer.manager == CONTROLLERS:
            return obj
        known, findings = schema.known(resource, obj)
        strict = [f'unknown field "{path}"' for path in findings.unknown]
        if findings.wrong or (strict and writer.strict):
            why = findings.wrong[0] if findings.wrong else f"strict decoding error: {', '.join(strict)}"
            if writer.patch:
                cause = {"reason": "FieldValueInvalid", "message": f"Invalid value: {why}", "field": "patch"}
                message = f' "" is invalid: patch: Invalid value: {json.dumps(obj)}: {why}'
                raise ApiError(422, "Invalid", message, {"causes": [cause]})
            kind = resource.kind
            raise bad_request(f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {why}')
        self.warnings = strict
        return known

    def _claimed(self, old: Object | None, new: Object, writer: Writer) -> Object:
        scaled = {"f:spec": {"f:replicas": {}}} if writer.subresource == "scale" else None
        fields = ownership.claimed(
            old,
            new,
            manager=writer.manager,
            operation=writer.operation,
            subresource=writer.subresource,
            time=written(self.clock.now()),
            also=scaled,
        )
        return {**new, "metadata": {**new["metadata"], "managedFields": fields}} if fields else new


def suffix() -> str:
    """Five characters, as generated names end with."""
    return "".join(secrets.choice(_SUFFIX) for _ in range(5))


def _first_status(resource: Resource) -> dict[str, Any]:
    match resource.plural:
        case "pods":
            return {"phase": "Pending", "qosClass": "BestEffort"}
        case "namespaces":
            return {"phase": "Active"}
        case "horizontalpodautoscalers":
            return {"currentMetrics": None, "desiredReplicas": 0}
        case "poddisruptionbudgets":
            return {"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0}
        case "deployments" | "cronjobs" | "jobs" | "scaledobjects":
            return {}
        case "daemonsets":
            numbers = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")
            return dict.fromkeys(numbers, 0)
        case _:
            return {"replicas": 0}


def _labelled_job(job: Object) -> Object:
    spec, uid, name = job.get("spec") or {}, job["metadata"]["uid"], job["metadata"]["name"]
    if spec.get("manualSelector"):
        return job
    if spec.get("selector"):
        raise invalid(JOBS, name, [("spec.selector", "Invalid value: `selector` not auto-generated")])
    template = spec.get("template") or {}
    metadata = template.get("metadata") or {}
    labels = {
        **(metadata.get("labels") or {}),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = {**template, "metadata": {**metadata, "labels": labels}}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    return {**job, "spec": {**spec, "template": template, "selector": selector}}


def _wanted_state(resource: Resource, obj: Object) -> Any:
    if resource.custom:
        return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
    annotations = obj["metadata"].get("annotations") if resource is DEPLOYMENTS else None
    return obj.get("spec"), annotations or None


def _without_empty(metadata: dict[str, Any]) -> dict[str, Any]:
    optional = ("annotations", "labels", "finalizers", "ownerReferences")
    return {key: value for key, value in metadata.items() if key not in optional or value}


def _token(version: str, name: str, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"rv": version, "list": name, "start": start}).encode()).decode()


def _read_token(token: str) -> tuple[str, str, int]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token))
        return content["rv"], content["list"], content["start"]
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request("continue key is not valid") from error
