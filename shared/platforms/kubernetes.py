"""Kubernetes clusters through the official `kubernetes` client, objects as plain dictionaries.

Only `ApiClient` is used: the client's typed interfaces cost most of a second to import, and refuse objects that a newer
server extends. Nothing here waits or tries again: who calls decides, by the errors below.

Source: Kubernetes API concepts, v1.36 (paging, preconditions, field validation, eviction, priority and fairness).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from urllib.parse import quote

from shared.platforms.credentials import credential

type Object = dict[str, Any]

AKS_SCOPE = "6dae42f8-4368-4678-94ff-3960e28e3630/.default"
"""The application "Azure Kubernetes Service AAD Server", which is the same in every tenant."""

FIELD_MANAGER = "closekeeper"
"""What metadata.managedFields names as the author of our writes."""

_MERGE_PATCH = "application/merge-patch+json"
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 30.0
_LONGEST_LOG_BYTES = 1024 * 1024


class ClusterError(Exception):
    """The cluster did not do what was asked. `status` is the HTTP status, 0 when there was no answer."""

    def __init__(self, what: str, status: int, reason: str, message: str) -> None:
        super().__init__(f"{what}: {status} {reason}: {message}" if status else f"{what}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFoundError(ClusterError):
    """The object, its namespace, or its kind is not there (404)."""


class ConflictError(ClusterError):
    """The object is not at the version, or not the object, that the write was meant for (409): read it again."""


class AlreadyExistsError(ConflictError):
    """An object of that name is there already (409)."""


class ExpiredError(ClusterError):
    """The rest of a long list is no longer known (410): list again from the beginning."""


class RefusedError(ClusterError):
    """Asking again will not help: no right to it, or the request is invalid (400, 401, 403, 405, 415, 422)."""


class ThrottledError(ClusterError):
    """Too many requests (429). `retry_after` is in seconds, None when the server names no time."""

    retry_after: float | None = None


class DisruptionBudgetError(ThrottledError):
    """A PodDisruptionBudget does not allow the eviction now."""


class UnavailableError(ClusterError):
    """No answer, or the server failed (5xx). Whether a write took effect is unknown: look before asking again."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object by its place in the API."""

    api_version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Where the object is, or the kind's list when no name is given."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        place = f"/namespaces/{quote(namespace, safe='')}" if namespace and self.namespaced else ""
        parts = [self.plural, *(quote(part, safe="") for part in (name, subresource) if part)]
        return f"{root}{place}/{'/'.join(parts)}"


NAMESPACES = Kind("v1", "namespaces", namespaced=False)
NODES = Kind("v1", "nodes", namespaced=False)
PODS = Kind("v1", "pods")
EVENTS = Kind("v1", "events")
DEPLOYMENTS = Kind("apps/v1", "deployments")
STATEFUL_SETS = Kind("apps/v1", "statefulsets")
REPLICA_SETS = Kind("apps/v1", "replicasets")
DAEMON_SETS = Kind("apps/v1", "daemonsets")
CRON_JOBS = Kind("batch/v1", "cronjobs")
JOBS = Kind("batch/v1", "jobs")
AUTOSCALERS = Kind("autoscaling/v2", "horizontalpodautoscalers")
DISRUPTION_BUDGETS = Kind("policy/v1", "poddisruptionbudgets")
SCALED_OBJECTS = Kind("keda.sh/v1alpha1", "scaledobjects")


@dataclass(frozen=True, slots=True)
class ClusterEndpoint:
    """Where a cluster's API is. An empty authority means those that the machine trusts."""

    server: str
    """https://HOST:PORT"""

    certificate_authority: str = ""
    """PEM"""


class Cluster:
    """One cluster. All methods raise ClusterError, in the kinds above; instances may be used by several threads."""

    def __init__(self, client: Any) -> None:
        """`client` is a configured kubernetes.client.ApiClient; see `cluster` for the app's own."""
        self._client = client

    def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "", page_size: int = 500
    ) -> Iterator[Object]:
        """Every object of a kind, in all namespaces when none is given; one page in memory at a time.

        `labels` and `fields` are selectors. Built-in objects carry neither kind nor apiVersion in a list.
        All pages show the cluster at one instant, unless that takes minutes: then ExpiredError.
        """
        query = {"limit": str(page_size), "labelSelector": labels, "fieldSelector": fields}
        while True:
            page = self._json("GET", kind.path(namespace), query)
            yield from page.get("items") or []
            metadata: Object = page.get("metadata") or {}
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object as it is now."""
        return self._json("GET", kind.path(namespace, name))

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        changes: Mapping[str, Any],
        *,
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Merge `changes` into the object (RFC 7386: null removes, lists are replaced) and return it.

        With `resource_version`, ConflictError unless the object is still at it. Misspelt fields raise RefusedError.
        """
        body = _at_version(changes, resource_version)
        return self._write("PATCH", kind.path(namespace, name), body, dry_run, _MERGE_PATCH)

    def scale(
        self, kind: Kind, namespace: str, name: str, replicas: int, *, resource_version: str = "", dry_run: bool = False
    ) -> Object:
        """Set the replicas of a Deployment, StatefulSet or ReplicaSet through its scale subresource; returns the Scale.

        It is a patch: a replacement would collide with the controllers' own writes.
        """
        body = _at_version({"spec": {"replicas": replicas}}, resource_version)
        return self._write("PATCH", kind.path(namespace, name, "scale"), body, dry_run, _MERGE_PATCH)

    def create(self, kind: Kind, namespace: str, obj: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Make an object. With a name that follows from the intent, AlreadyExistsError means done before."""
        return self._write("POST", kind.path(namespace), obj, dry_run)

    def create_job(self, namespace: str, job: Mapping[str, Any], *, dry_run: bool = False) -> Object:
        """Make a Job; see `create`."""
        return self.create(JOBS, namespace, {"apiVersion": "batch/v1", "kind": "Job", **job}, dry_run=dry_run)

    def delete(self, kind: Kind, namespace: str, name: str, *, uid: str = "", dry_run: bool = False) -> None:
        """Delete the object and, afterwards, what it owns. With `uid`, ConflictError when it is another one by now.

        The policy is always said: a Job deleted without one leaves its pods behind.
        """
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if dry_run:
            options["dryRun"] = ["All"]
        self._json("DELETE", kind.path(namespace, name), {"dryRun": "All" if dry_run else ""}, options)

    def evict(self, namespace: str, pod: str, *, uid: str = "", dry_run: bool = False) -> None:
        """Ask the pod to leave, as budgets allow: DisruptionBudgetError when they do not.

        Success means that the pod was told, not that it is gone.
        """
        body: Object = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        }
        options: Object = {"preconditions": {"uid": uid}} if uid else {}
        if options:
            body["deleteOptions"] = options
        self._json("POST", PODS.path(namespace, pod, "eviction"), {"dryRun": "All" if dry_run else ""}, body)

    def log_tail(
        self, namespace: str, pod: str, *, container: str = "", lines: int = 100, previous: bool = False
    ) -> tuple[str, ...]:
        """The last lines of a container's log, or of its `previous` life; a pod with several needs `container`.

        RefusedError while the container has not started. At most 1 MiB is read.
        """
        query = {
            "tailLines": str(lines),
            "limitBytes": str(_LONGEST_LOG_BYTES),
            "container": container,
            "previous": "true" if previous else "",
        }
        text = self._send("GET", PODS.path(namespace, pod, "log"), query).decode("utf-8", "replace")
        return tuple(text.splitlines())

    def version(self) -> str:
        """The server's version, such as v1.36.2: the cheapest question that shows that it answers."""
        return str(self._json("GET", "/version")["gitVersion"])

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _write(
        self, method: str, path: str, body: Mapping[str, Any], dry_run: bool, content_type: str = "application/json"
    ) -> Object:
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "dryRun": "All" if dry_run else ""}
        return self._json(method, path, query, body, content_type)

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        return cast(Object, json.loads(self._send(method, path, query or {}, body, content_type)))

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = content_type
        asked = [(name, value) for name, value in query.items() if value]
        what = f"{method} {path}"
        try:
            request: Any = self._client.param_serialize(
                method, path, query_params=asked, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            answer: Any = self._client.call_api(*request, _request_timeout=(_CONNECT_SECONDS, _READ_SECONDS))
            content: bytes = answer.read()
        except ApiException as error:  # only for what TLS refuses: statuses are ours to read
            why = cast(object, error.reason)  # pyright: ignore[reportUnknownMemberType] - the client leaves it open
            raise UnavailableError(what, 0, "", str(why)) from error
        except HTTPError as error:
            raise UnavailableError(what, 0, "", f"{type(error).__name__}: {error}") from error
        if not 200 <= answer.status < 300:
            raise _error(what, int(answer.status), content, answer.headers)
        return content


@cache
def cluster(endpoint: ClusterEndpoint) -> Cluster:
    """The cluster at that endpoint, with the app's own identity; one client each, which keeps its connections."""
    identity = credential()
    return Cluster(api_client(endpoint, lambda: identity.get_token(AKS_SCOPE).token))


def api_client(endpoint: ClusterEndpoint, token: Callable[[], str]) -> Any:
    """A kubernetes.client.ApiClient that asks `token` (a bearer token, kept by its giver) before each request."""
    from kubernetes.client.api_client import ApiClient
    from kubernetes.client.configuration import Configuration
    from urllib3.util.retry import Retry

    # The client would otherwise sleep through Retry-After by itself, and repeat writes whose answer was lost.
    once_more = Retry(
        total=None,
        connect=1,
        read=1,
        redirect=0,
        other=0,
        respect_retry_after_header=False,
        allowed_methods=["GET"],
    )
    configuration: Any = Configuration(
        host=endpoint.server.rstrip("/"), ca_cert_data=endpoint.certificate_authority or None, retries=once_more
    )

    def renew(to: Any) -> None:
        # `access_token` of the client's configuration sends no header; the scheme belongs into the key
        to.api_key["BearerToken"] = f"Bearer {token()}"

    configuration.api_key = {"BearerToken": ""}
    configuration.refresh_api_key_hook = renew
    return ApiClient(configuration)


def status(obj: Object) -> Object:
    """What the object's controller says of it; empty when it has not said anything yet."""
    return cast(Object, obj.get("status") or {})


def selects(obj: Object, labels: Mapping[str, str]) -> bool:
    """Whether the object's selector fits the labels, as far as it names labels; one that names none fits nothing."""
    selector: Object = obj["spec"].get("selector") or {}
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return bool(wanted) and wanted.items() <= labels.items()


def _at_version(changes: Mapping[str, Any], resource_version: str) -> Object:
    if not resource_version:
        return dict(changes)
    return {**changes, "metadata": {**(changes.get("metadata") or {}), "resourceVersion": resource_version}}


def _error(what: str, status: int, content: bytes, headers: Mapping[str, str]) -> ClusterError:
    said = _status_object(content)
    reason, message = (
        str(said.get("reason") or ""),
        str(said.get("message") or content[:500].decode("utf-8", "replace")),
    )
    details: Object = said.get("details") or {}
    wait = _seconds(headers.get("Retry-After") or details.get("retryAfterSeconds"))
    kind: type[ClusterError] = RefusedError
    match status:
        case 404:
            kind = NotFoundError
        case 409:
            kind = AlreadyExistsError if reason == "AlreadyExists" else ConflictError
        case 410:
            kind = ExpiredError
        case 429:
            causes: list[Object] = details.get("causes") or []
            budget = any(cause.get("reason") == "DisruptionBudget" for cause in causes)
            kind = DisruptionBudgetError if budget else ThrottledError
        case _ if status >= 500:
            kind = UnavailableError
        case _:
            pass
    error = kind(what, status, reason, message.strip())
    if isinstance(error, ThrottledError | UnavailableError):
        error.retry_after = wait
    return error


def _status_object(content: bytes) -> Object:
    """The Status that the server explains itself by; priority and fairness, and proxies, answer in plain text."""
    try:
        said: Any = json.loads(content)
    except ValueError:
        return {}
    return cast(Object, said) if isinstance(said, dict) else {}


def _seconds(text: Any) -> float | None:
    try:
        return max(0.0, float(text))
    except (TypeError, ValueError):
        return None
