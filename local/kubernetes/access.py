"""Who may call: Entra tokens for AKS, rights, and the server's own protection from too many requests."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from local.azure.identity import Tenant
from local.azure.throttling import Bucket
from local.azure.tokens import TokenRefusedError
from local.kubernetes.errors import forbidden, unauthorized
from local.kubernetes.resources import Resource

AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
"""The application id of "Azure Kubernetes Service AAD Server", the same in every tenant: the tokens' audience."""


@dataclass(frozen=True, slots=True)
class Denial:
    """A right that is missing. Empty means any: verb, resource (plural, with /subresource), namespace, user."""

    verb: str = ""
    resource: str = ""
    namespace: str = ""
    user: str = ""

    def covers(self, user: str, verb: str, resource: str, namespace: str) -> bool:
        return (
            self.verb in ("", verb)
            and self.resource in ("", resource)
            and self.namespace in ("", namespace)
            and self.user in ("", user)
        )


class Access:
    """All identities of the tenant are administrators, except for what is `denied`. Without a tenant all is open."""

    def __init__(self, tenant: Tenant | None) -> None:
        self._tenant = tenant
        self.denied: list[Denial] = []

    def user(self, authorization: str) -> str:
        """The object id that the bearer token names; raises ApiError 401."""
        if self._tenant is None:
            return "system:admin"
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized()
        try:
            return str(self._tenant.check(token, [AKS_SERVER]).get("oid", ""))
        except TokenRefusedError as error:
            raise unauthorized() from error

    def authorize(self, user: str, verb: str, resource: Resource, subresource: str, name: str, namespace: str) -> None:
        """Raises ApiError 403."""
        path = f"{resource.plural}/{subresource}" if subresource else resource.plural
        if any(denial.covers(user, verb, path, namespace) for denial in self.denied):
            raise forbidden(user, verb, resource, name, namespace)


class TooManyRequestsError(Exception):
    """Priority and fairness refuses a request, in plain text and with Retry-After."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many requests, please try again later.")
        self.retry_after = retry_after


class PriorityAndFairness:
    """Off until `bucket` says how many requests are served at once and how many more each second, per user."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.bucket: Bucket | None = None
        self.retry_after = 1
        self._monotonic = monotonic
        self._levels: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def switch_off(self) -> None:
        with self._lock:
            self.bucket, self.retry_after = None, 1
            self._levels.clear()

    def take(self, user: str) -> None:
        """Raises TooManyRequestsError."""
        with self._lock:
            if self.bucket is None:
                return
            now = self._monotonic()
            level, at = self._levels.get(user, (self.bucket.size, now))
            level = min(self.bucket.size, level + (now - at) * self.bucket.refill)
            self._levels[user] = (level - 1 if level >= 1 else level, now)
            if level < 1:
                raise TooManyRequestsError(self.retry_after)
