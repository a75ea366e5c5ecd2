"""Key Vault's secrets: `https://HOST/VAULT/secrets`, data plane API 7.4; in Azure each vault has a host of its own.

Answers are shaped by the REST reference, "Get Secrets" and "Get Secret": a list never holds a value. `reads` remembers
whose value was read. A caller without a token gets the challenge that Key Vault sends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.azure import tokens
from local.azure.faults import FaultPlan, control_routes
from local.azure.identity import Tenant

AUDIENCE = "https://vault.azure.net"
PAGE = 25
"""Secrets on one page of a list, as Key Vault has it."""


@dataclass(slots=True)
class Secret:
    """The newest version of a secret."""

    value: str = field(repr=False)
    enabled: bool = True
    expires: datetime | None = None
    version: str = field(default_factory=lambda: uuid4().hex)

    @property
    def attributes(self) -> dict[str, object]:
        known: dict[str, object] = {"enabled": self.enabled, "created": 1700000000, "updated": 1700000000}
        return known | ({"exp": int(self.expires.timestamp())} if self.expires else {})


class KeyVaults:
    """All vaults by name. `app` is the ASGI application; `reads` the values that were read, as VAULT/SECRET."""

    def __init__(self, tenant: Tenant, plan: FaultPlan) -> None:
        self._tenant = tenant
        self.vaults: dict[str, dict[str, Secret]] = {}
        self.reads: list[str] = []
        self.app = Starlette(
            routes=[
                *control_routes(plan),
                Route("/{vault}/secrets", self._list, methods=["GET"]),
                Route("/{vault}/secrets/{name}", self._get, methods=["GET"]),
                Route("/{vault}/secrets/{name}/{version}", self._get, methods=["GET"]),
            ]
        )

    def put(self, vault: str, secrets: Mapping[str, str | Secret]) -> None:
        """Make the vault when it is new, and set these secrets in it."""
        kept = self.vaults.setdefault(vault, {})
        for name, secret in secrets.items():
            kept[name] = secret if isinstance(secret, Secret) else Secret(secret)

    async def _list(self, request: Request) -> Response:
        if refused := self._refuse(request):
            return refused
        kept = self.vaults[request.path_params["vault"]]
        names = sorted(kept)
        begin = int(request.query_params.get("$skiptoken", "0"))
        page = [
            {"id": f"{_base(request)}/secrets/{name}", "attributes": kept[name].attributes}
            for name in names[begin : begin + PAGE]
        ]
        more = begin + PAGE < len(names)
        link = f"{_base(request)}/secrets?api-version={request.query_params['api-version']}&$skiptoken={begin + PAGE}"
        return JSONResponse({"value": page, "nextLink": link if more else None})

    async def _get(self, request: Request) -> Response:
        if refused := self._refuse(request):
            return refused
        vault, name = request.path_params["vault"], request.path_params["name"]
        secret = self.vaults[vault].get(name)
        if secret is None:
            return _error(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
        if not secret.enabled:
            return _error(403, "Forbidden", "Operation get is not allowed on a disabled secret.")
        self.reads.append(f"{vault}/{name}")
        body = {
            "value": secret.value,
            "id": f"{_base(request)}/secrets/{name}/{secret.version}",
            "attributes": secret.attributes,
        }
        return JSONResponse(body)

    def _refuse(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            challenge = (
                f'Bearer authorization="https://login.microsoftonline.com/{self._tenant.id}", resource="{AUDIENCE}"'
            )
            answer = _error(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
            answer.headers["WWW-Authenticate"] = challenge
            return answer
        try:
            self._tenant.check(token.strip(), [AUDIENCE])
        except tokens.TokenRefusedError as error:
            return _error(401, "Unauthorized", str(error))
        if "api-version" not in request.query_params:
            return _error(400, "BadParameter", "api-version must be specified")
        if request.path_params["vault"] not in self.vaults:  # in Azure its host name does not exist
            return _error(404, "VaultNotFound", "there is no such vault")
        return None


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}/{request.path_params['vault']}"


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
