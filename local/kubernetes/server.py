"""The API over HTTP: paths, verbs, content types, and answers in the server's own shapes."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from local.azure.faults import FaultPlan, control_routes
from local.kubernetes import discovery, patches, selectors, views, watching
from local.kubernetes.access import Access, PriorityAndFairness, TooManyRequestsError
from local.kubernetes.errors import ApiError, bad_request, details, invalid, method_not_allowed, success
from local.kubernetes.registry import Registry, Writer
from local.kubernetes.resources import AUTOSCALERS, OLD_AUTOSCALERS, PODS, Resource, at_path
from local.kubernetes.store import Object

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_LONGEST_WATCH_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request, taken apart."""

    request: Request
    method: str
    resource: Resource
    namespace: str
    name: str
    subresource: str
    body: Any
    content_type: str

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "")

    @property
    def watching(self) -> bool:
        return self.method == "GET" and self.query("watch").lower() in ("1", "true")

    @property
    def verb(self) -> str:
        if self.watching:
            return "watch"
        match self.method:
            case "GET":
                return "get" if self.name else "list"
            case "DELETE":
                return "delete" if self.name else "deletecollection"
            case other:
                return {"POST": "create", "PUT": "update"}.get(other, "patch")

    def writer(self, subresource: str = "") -> Writer:
        agent = self.request.headers.get("user-agent", "").partition("/")[0]
        return Writer(
            manager=self.query("fieldManager") or agent or "unknown",
            subresource=subresource,
            dry_run=self.query("dryRun") == "All",
            strict=self.query("fieldValidation") == "Strict",
            operation="Apply" if self.content_type == patches.APPLY else "Update",
            patch=self.method == "PATCH",
        )


class ApiServer:
    """`evict` and `read_log` are what controllers know how to do; `settle` lets them work after a write."""

    def __init__(
        self,
        registry: Registry,
        access: Access,
        flow: PriorityAndFairness,
        faults: FaultPlan,
        *,
        evict: Callable[[Object, bool], None],
        read_log: Callable[[Object, str, bool, int | None], str],
        settle: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._access = access
        self._flow = flow
        self._evict = evict
        self._read_log = read_log
        self._settle = settle
        self.calls: list[tuple[str, str]] = []
        """Method and path of every call of the API, for tests and benchmarks to count."""
        rest = "/{rest:path}"
        self.app = Starlette(
            routes=[
                *control_routes(faults),
                Route("/version", self._discovered(lambda _: discovery.version())),
                Route("/version/", self._discovered(lambda _: discovery.version())),
                *(Route(path, self._healthy) for path in ("/healthz", "/livez", "/readyz")),
                *(Route(path, self._discovered(lambda _: discovery.api_versions())) for path in ("/api", "/api/")),
                *(Route(path, self._discovered(lambda _: discovery.groups())) for path in ("/apis", "/apis/")),
                *(
                    Route(path, self._discovered(lambda _: discovery.resources("v1")))
                    for path in ("/api/v1", "/api/v1/")
                ),
                *(
                    Route(path, self._discovered(lambda call: discovery.group(call.path_params["group"])))
                    for path in ("/apis/{group}", "/apis/{group}/")
                ),
                *(
                    Route(path, self._discovered(lambda call: discovery.resources(_group_version(call))))
                    for path in ("/apis/{group}/{version}", "/apis/{group}/{version}/")
                ),
                Route("/api/v1" + rest, self._guarded(self._serve), methods=_METHODS),
                Route("/apis/{group}/{version}" + rest, self._guarded(self._serve), methods=_METHODS),
            ]
        )

    async def _healthy(self, _: Request) -> Response:
        return PlainTextResponse("ok")

    def _discovered(self, answer: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            self._access.user(request.headers.get("authorization", ""))
            found = answer(request)
            return _reply(found) if found is not None else _no_such_path()

        return self._guarded(handle)

    def _guarded(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except ApiError as error:
                return _reply(error.status, error.code, error.headers)
            except TooManyRequestsError as error:
                return PlainTextResponse(f"{error}\n", 429, {"Retry-After": str(error.retry_after)})

        return guarded

    async def _serve(self, request: Request) -> Response:
        self.calls.append((request.method, request.url.path))
        user = self._access.user(request.headers.get("authorization", ""))
        self._flow.take(user)
        call = await _parse(request)
        if call is None:
            return _no_such_path()
        self._access.authorize(user, call.verb, call.resource, call.subresource, call.name, call.namespace)
        if call.query("dryRun") not in ("", "All"):
            raise bad_request(f'invalid dryRun: Unsupported value: "{call.query("dryRun")}": supported values: "All"')
        if call.resource is OLD_AUTOSCALERS and call.method != "GET":
            raise method_not_allowed()
        if call.watching:
            return self._watch(call)
        try:
            with self._registry.store.lock:
                if not call.name:
                    return self._collection(call)
                return self._subresource(call) if call.subresource else self._object(call)
        finally:
            self._settle()

    def _collection(self, call: Call) -> Response:
        if call.method == "GET":
            keep = _kept(call)
            limit = call.query("limit") or "0"
            if not limit.isdecimal():
                raise bad_request(f"limit: Invalid value: {limit}")
            stored = _stored(call.resource)
            objects, metadata = self._registry.list(stored, call.namespace, keep, int(limit), call.query("continue"))
            return _reply(
                {
                    "kind": f"{call.resource.kind}List",
                    "apiVersion": call.resource.group_version,
                    "metadata": metadata,
                    "items": [_listed(call.resource, obj) for obj in objects],
                }
            )
        if call.method == "POST":
            if not isinstance(call.body, dict):
                raise bad_request("the object provided is unrecognized (must be of type Object)")
            made = self._registry.create(call.resource, call.namespace, call.body, call.writer())
            return self._written(made, 201)
        if call.method == "DELETE":
            objects, metadata = self._registry.list(call.resource, call.namespace, _kept(call))
            for obj in objects:
                self._registry.delete(call.resource, obj, _options(call), dry_run=call.writer().dry_run)
            kind = f"{call.resource.kind}List"
            listed = {"kind": kind, "apiVersion": call.resource.group_version, "metadata": metadata, "items": objects}
            return _reply(listed)
        raise method_not_allowed()

    def _object(self, call: Call) -> Response:
        resource = call.resource
        if call.method == "PATCH" and call.content_type == patches.APPLY:
            return self._apply(call)
        old = self._registry.get(_stored(resource), call.namespace, call.name)
        match call.method:
            case "GET":
                return _reply(_shown(resource)(old))
            case "PUT":
                return self._written(self._registry.update(resource, old, _replacement(call, old), call.writer()))
            case "PATCH":
                new = patches.patched(resource, call.content_type, old, call.body)
                _check_patched_name(call, new)
                return self._written(self._registry.update(resource, old, _versioned(call, new), call.writer()))
            case "DELETE":
                gone = self._registry.delete(resource, old, _options(call), dry_run=call.writer().dry_run)
                if resource is PODS or gone["metadata"].get("deletionTimestamp"):
                    return _reply(gone)
                uid = {"uid": old["metadata"]["uid"]}
                return _reply({**success(details(resource, call.name) | uid)})
            case _:
                raise method_not_allowed()

    def _apply(self, call: Call) -> Response:
        """Server-side apply as far as one manager goes: fields of others are taken over as with force."""
        if not call.query("fieldManager"):
            raise bad_request(
                "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required for apply patch"
            )
        old = self._registry.store.find(call.resource, call.namespace, call.name)
        if old is None:
            body = {**call.body, "metadata": {**(call.body.get("metadata") or {}), "name": call.name}}
            return self._written(self._registry.create(call.resource, call.namespace, body, call.writer()), 201)
        new = patches.strategically_merged(old, call.body)
        return self._written(self._registry.update(call.resource, old, _versioned(call, new), call.writer()))

    def _subresource(self, call: Call) -> Response:
        resource, method = call.resource, call.method
        old = self._registry.get(resource, call.namespace, call.name)
        match call.subresource:
            case "eviction" if resource is PODS and method == "POST":
                self._evict(old, call.writer().dry_run or (call.body or {}).get("dryRun") == ["All"])
                return _reply(success(code=201), 201)
            case "binding" if resource is PODS and method == "POST":
                spec = {**old["spec"], "nodeName": call.body["target"]["name"]}
                self._registry.update(resource, old, {**old, "spec": spec}, call.writer())
                return _reply(success(code=201), 201)
            case "log" if resource is PODS and method == "GET":
                tail = call.query("tailLines")
                if tail and not tail.isdecimal():
                    raise bad_request(f"tailLines: Invalid value: {tail}")
                previous = call.query("previous").lower() in ("1", "true")
                return PlainTextResponse(
                    self._read_log(old, call.query("container"), previous, int(tail) if tail else None)
                )
            case "scale" if resource.scale:
                return self._scale(call, old)
            case "status" if resource.status:
                writer = call.writer("status")
                if method == "GET":
                    return _reply(old)
                if method == "PUT":
                    return self._written(self._registry.update(resource, old, _replacement(call, old), writer))
                if method == "PATCH":
                    new = patches.patched(resource, call.content_type, old, call.body)
                    return self._written(self._registry.update(resource, old, _versioned(call, new), writer))
                raise method_not_allowed()
            case _:
                return _no_such_path()

    def _scale(self, call: Call, old: Object) -> Response:
        if call.method == "GET":
            return _reply(views.scale(old))
        if call.method not in ("PUT", "PATCH"):
            raise method_not_allowed()
        if call.method == "PUT":
            wanted = call.body
        else:
            wanted = _versioned(call, patches.patched(call.resource, call.content_type, views.scale(old), call.body))
        replicas = ((wanted or {}).get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or isinstance(replicas, bool):
            raise bad_request(
                'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal '
                f"{type(replicas).__name__} into Go struct field ScaleSpec.spec.replicas of type int32"
            )
        if replicas < 0:
            why = f"Invalid value: {replicas}: must be greater than or equal to 0"
            raise invalid(Resource("autoscaling", "v1", "scales", "Scale"), call.name, [("spec.replicas", why)])
        new = self._registry.update(call.resource, old, views.scaled(old, wanted), call.writer("scale"))
        return self._written(views.scale(new))

    def _written(self, obj: Object, code: int = 200) -> Response:
        headers = {"Warning": ", ".join(f"299 - {json.dumps(text)}" for text in self._registry.warnings)}
        return _reply(obj, code, headers if self._registry.warnings else None)

    def _watch(self, call: Call) -> Response:
        seconds = float(call.query("timeoutSeconds") or _LONGEST_WATCH_SECONDS)
        kept = _kept(call)

        def keep(obj: Object) -> bool:
            metadata = obj["metadata"]
            return (
                (not call.namespace or metadata.get("namespace") == call.namespace)
                and (not call.name or metadata["name"] == call.name)
                and (kept is None or kept(obj))
            )

        since = call.query("resourceVersion")
        if since and not since.isdecimal():
            raise bad_request(f'Invalid value: "{since}": invalid resource version')
        events = watching.watch(
            self._registry.store,
            _stored(call.resource),
            since=since,
            seconds=seconds,
            keep=keep,
            shown=_shown(call.resource),
            bookmarks=call.query("allowWatchBookmarks").lower() in ("1", "true"),
        )
        return StreamingResponse(events, media_type="application/json")


async def _parse(request: Request) -> Call | None:
    parts = [part for part in request.path_params["rest"].split("/") if part]
    if not parts:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    resource = at_path(_group_version(request), parts[0])
    if resource is None or len(parts) > 3 or (namespace and not resource.namespaced):
        return None
    content_type = request.headers.get("content-type", "").partition(";")[0]
    return Call(
        request=request,
        method=request.method,
        resource=resource,
        namespace=namespace,
        name=parts[1] if len(parts) > 1 else "",
        subresource=parts[2] if len(parts) > 2 else "",
        body=_decode(await request.body(), content_type),
        content_type=content_type,
    )


def _decode(body: bytes, content_type: str) -> Any:
    if not body:
        return None
    if content_type == "application/vnd.kubernetes.protobuf":
        raise ApiError(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, "
            "application/yaml",
        )
    try:
        return yaml.safe_load(body) if content_type.endswith("yaml") else json.loads(body)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def _group_version(request: Request) -> str:
    group = request.path_params.get("group")
    return f"{group}/{request.path_params['version']}" if group else "v1"


def _stored(resource: Resource) -> Resource:
    return AUTOSCALERS if resource is OLD_AUTOSCALERS else resource


def _shown(resource: Resource) -> Callable[[Object], Object]:
    return views.autoscaler_v1 if resource is OLD_AUTOSCALERS else lambda obj: obj


def _listed(resource: Resource, obj: Object) -> Object:
    """As an item: the list says kind and version for all of them, except for those of custom kinds."""
    shown = _shown(resource)(obj)
    return shown if resource.custom else {key: shown[key] for key in shown if key not in ("kind", "apiVersion")}


def _kept(call: Call) -> Callable[[Object], bool] | None:
    labels, fields = call.query("labelSelector"), call.query("fieldSelector")
    if not labels and not fields:
        return None
    by_label, by_field = selectors.of_labels(labels), selectors.of_fields(fields)
    return lambda obj: by_label(obj["metadata"].get("labels") or {}) and by_field(obj)


def _options(call: Call) -> dict[str, Any]:
    options = dict(call.body) if isinstance(call.body, dict) else {}
    if policy := call.query("propagationPolicy"):
        options["propagationPolicy"] = policy
    if grace := call.query("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = int(grace)
    return options


def _replacement(call: Call, old: Object) -> Object:
    if not isinstance(call.body, dict):
        raise bad_request("the object provided is unrecognized (must be of type Object)")
    metadata = call.body.get("metadata") or {}
    if metadata.get("name") != old["metadata"]["name"]:
        raise bad_request("the name of the object does not match the name on the URL")
    if call.resource.custom and not metadata.get("resourceVersion"):
        why = "Invalid value: 0x0: must be specified for an update"
        raise invalid(call.resource, call.name, [("metadata.resourceVersion", why)])
    return call.body


def _versioned(call: Call, new: Object) -> Object:
    """The patched object with the version that the patch itself asked for, if any."""
    given = (call.body.get("metadata") or {}) if isinstance(call.body, dict) else new.get("metadata") or {}
    return {**new, "metadata": {**(new.get("metadata") or {}), "resourceVersion": given.get("resourceVersion")}}


def _check_patched_name(call: Call, new: Object) -> None:
    if not isinstance(new, dict) or (new.get("metadata") or {}).get("name") != call.name:
        raise bad_request("the name of the object does not match the name on the URL")


def _reply(obj: Any, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(obj, separators=(",", ":")), code, headers, media_type="application/json")


def _no_such_path() -> Response:
    return PlainTextResponse("404 page not found\n", 404)
