"""The App Service managed identity endpoint (api-version 2019-08-01) and the tenant behind it.

Documented by "How to use managed identities for App Service and Azure Functions": `GET $IDENTITY_ENDPOINT` with the
secret in X-IDENTITY-HEADER, `resource` and, for a user-assigned identity, `client_id`, `principal_id` or
`mi_res_id`. The endpoint keeps a token until it is about to expire and hands the same one out until then.
"""

import asyncio
import secrets
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.azure import tokens
from local.azure.faults import FaultPlan, control_routes

API_VERSION = "2019-08-01"
PATH = "/msi/token"

_RENEW_BEFORE = timedelta(minutes=5)

type Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """An identity of the app. `name` is its display name, which is also its role's name in PostgreSQL."""

    name: str
    client_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    object_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    resource_id: str = ""


type Listener = Callable[[ManagedIdentity, tokens.AccessToken], None]


class Tenant:
    """The directory: the app's identities (the first is the system-assigned one), and people for tests.

    Those who `listen` hear of every new token before its asker gets it.
    """

    def __init__(
        self,
        identities: Sequence[ManagedIdentity],
        *,
        tenant_id: str = "11111111-2222-4333-8444-555555555555",
        clock: Clock = utc_now,
        lifetime: timedelta = timedelta(hours=24),
    ) -> None:
        self.id = tenant_id
        self.identities = list(identities)
        self.lifetime = lifetime
        self._clock = clock
        self._kept: dict[tuple[str, str], tokens.AccessToken] = {}
        self._listeners: list[Listener] = []
        self._lock = threading.RLock()

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def find(self, *, client_id: str = "", object_id: str = "", resource_id: str = "") -> ManagedIdentity | None:
        """The identity that was asked for; with no argument the system-assigned one."""
        if not (client_id or object_id or resource_id):
            return self.identities[0]
        for identity in self.identities:
            if identity.client_id == client_id or identity.object_id == object_id:
                return identity
            if resource_id and identity.resource_id.lower() == resource_id.lower():
                return identity
        return None

    def token(self, identity: ManagedIdentity, audience: str) -> tokens.AccessToken:
        """The identity's token for an audience: the kept one until it is about to expire, then a new one."""
        key = (identity.client_id, audience.rstrip("/"))
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.expires - self._clock() > min(_RENEW_BEFORE, self.lifetime / 2):
                return kept
            new = tokens.mint(
                self.id,
                audience.rstrip("/"),
                {"appid": identity.client_id, "oid": identity.object_id, "sub": identity.object_id, "idtyp": "app"},
                now=self._clock(),
                lifetime=self.lifetime,
            )
            self._kept[key] = new
            for listener in self._listeners:
                listener(identity, new)
            return new

    def forget(self, identity: ManagedIdentity) -> None:
        """Keep no token of the identity any longer: whoever asks next gets a new one."""
        with self._lock:
            self._kept = {key: token for key, token in self._kept.items() if key[0] != identity.client_id}

    def for_each_kept(self, audience: str, listener: Listener) -> None:
        """Tell of the tokens that are held now; none is issued meanwhile, so nobody ends with an older one."""
        with self._lock:
            for identity in self.identities:
                kept = self._kept.get((identity.client_id, audience.rstrip("/")))
                if kept is not None and kept.expires > self._clock():
                    listener(identity, kept)

    def user_token(
        self,
        name: str,
        audience: str,
        *,
        roles: Sequence[str] = (),
        object_id: str | None = None,
        lifetime: timedelta = timedelta(hours=1),
    ) -> tokens.AccessToken:
        """A person's token with app roles, as App Service authentication would validate it."""
        oid = object_id or str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        return tokens.mint(
            self.id,
            audience,
            {"name": name, "upn": name, "oid": oid, "sub": oid, "idtyp": "user", "roles": list(roles)},
            now=self._clock(),
            lifetime=lifetime,
        )

    def check(self, token: str, audiences: Sequence[str]) -> tokens.Claims:
        """The token's claims; raises TokenRefusedError."""
        return tokens.check(token, tenant_id=self.id, audiences=audiences, now=self._clock())


class IdentityEndpoint:
    """The endpoint as an ASGI application, and the secret that App Service would put in IDENTITY_HEADER."""

    def __init__(self, tenant: Tenant, plan: FaultPlan) -> None:
        self._tenant = tenant
        self.header = secrets.token_hex(16).upper()
        self.app = Starlette(routes=[Route(PATH, self._answer, methods=["GET"]), *control_routes(plan)])

    async def _answer(self, request: Request) -> Response:
        query = request.query_params
        given = request.headers.get("x-identity-header")
        if given is None:
            return _refuse(400, "The X-IDENTITY-HEADER header is missing.")
        if not secrets.compare_digest(given, self.header):
            return _refuse(401, "The X-IDENTITY-HEADER header does not have the expected value.")
        if query.get("api-version") != API_VERSION:
            return _refuse(400, f"The api-version '{query.get('api-version')}' is not supported; use {API_VERSION}.")
        resource = query.get("resource")
        if not resource:
            return _refuse(400, "The query parameter 'resource' is required.")
        identity = self._tenant.find(
            client_id=query.get("client_id", ""),
            object_id=query.get("principal_id", query.get("object_id", "")),
            resource_id=query.get("mi_res_id", ""),
        )
        if identity is None:
            return _refuse(
                400,
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
            )
        # listeners talk to databases, so not on the event loop
        token = await asyncio.to_thread(self._tenant.token, identity, resource)
        return JSONResponse(
            {
                "access_token": token.value,
                "expires_on": str(int(token.expires.timestamp())),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": identity.client_id,
            }
        )


def _refuse(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "message": message}, status)
