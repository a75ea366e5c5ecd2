"""Odoo's external API: XML-RPC for versions 16 to 18, JSON-2 for 19, as the app's own user.

Sources: Odoo 16 to 18 documentation, "External API"; Odoo 19, "External JSON-2 API"; fault codes of
`odoo/addons/base/controllers/rpc.py`. Nothing here tries again: who calls decides, by the errors.
"""

import json
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_TIMEOUT_SECONDS = 30
_ACCESS_FAULTS = {3, 4}
_USER_FAULT = 2


class OdooError(Exception):
    """Odoo did not do what was asked."""


class OdooUnavailableError(OdooError):
    """Odoo was not reached, and nothing was asked of it."""


class OdooSilentError(OdooError):
    """Odoo was asked and did not answer: whether it did it is not known."""


class OdooRefusedError(OdooError):
    """No right to it (AccessError, AccessDenied), or there is no such thing."""


class OdooUserError(OdooError):
    """The model itself refuses (UserError, ValidationError): perhaps only for now, as when a cron is running."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an Odoo is, and as whom it is spoken to. `key` is the user's API key, and is never shown."""

    url: str
    version: int
    database: str
    user: str
    key: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"Endpoint({self.url}, {self.version}, {self.database}, {self.user})"


class Odoo:
    """One database of an Odoo. All methods raise OdooError, in the kinds above."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._at = endpoint

    def call(self, model: str, method: str, ids: Sequence[int], **arguments: Any) -> Any:
        """Call a public method on records, or on the model when `ids` is empty."""
        if self._at.version >= 19:
            return self._json(model, method, ids, arguments)
        positional: list[Any] = [list(ids)] if ids else []
        return self._object("execute_kw", model, method, positional, arguments)

    def read(self, model: str, ids: Sequence[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Fields of records; a record that is no longer there is left out."""
        found: list[dict[str, Any]] = self.call(
            model, "search_read", (), domain=[["id", "in", list(ids)]], fields=list(fields), context=_EVERYTHING
        )
        return found

    def create(self, model: str, values: Mapping[str, Any]) -> int:
        """Make a record."""
        if self._at.version >= 19:
            made: Any = self._json(model, "create", (), {"vals_list": [dict(values)]})
            return int(made[0])
        return int(self._object("execute_kw", model, "create", [dict(values)], {}))

    def write(self, model: str, ids: Sequence[int], values: Mapping[str, Any]) -> None:
        """Change records."""
        if self._at.version >= 19:
            self._json(model, "write", ids, {"vals": dict(values)})
        else:
            self._object("execute_kw", model, "write", [list(ids), dict(values)], {})

    def _object(
        self, service: str, model: str, method: str, positional: list[Any], arguments: Mapping[str, Any]
    ) -> Any:
        at = self._at
        user = _user_id(at)
        asked = (at.database, user, at.key, model, method, positional, dict(arguments))
        return _xml_rpc(at.url, "object", service, asked)

    def _json(self, model: str, method: str, ids: Sequence[int], arguments: Mapping[str, Any]) -> Any:
        body: dict[str, Any] = {**arguments, **({"ids": list(ids)} if ids else {})}
        request = Request(  # noqa: S310 - the estate takes https addresses only
            f"{self._at.url}/json/2/{model}/{method}",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"bearer {self._at.key}",
                "X-Odoo-Database": self._at.database,
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": "closekeeper",
            },
            method="POST",
        )
        what = f"{model}.{method}"
        try:
            with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.loads(answer.read())
        except HTTPError as error:
            raise _said(what, error) from error
        except URLError as error:
            raise _unreached(what, error.reason) from error
        except OSError as error:
            raise OdooSilentError(f"{what}: no answer: {error}") from error


_EVERYTHING = {"active_test": False}


@cache
def _user_id(at: Endpoint) -> int:
    """The user's id; authenticating writes a login into Odoo's log, so it is done once."""
    user: Any = _xml_rpc(at.url, "common", "authenticate", (at.database, at.user, at.key, {}))
    if not user:
        raise OdooRefusedError(f"{at.url}: {at.user} is not let into {at.database}: check the user and its API key")
    return int(user)


def _xml_rpc(url: str, service: str, method: str, arguments: tuple[Any, ...]) -> Any:
    transport = _SafeTransport() if url.startswith("https") else _Transport()
    what = f"{arguments[3]}.{arguments[4]}" if service == "object" else method
    with xmlrpc.client.ServerProxy(f"{url}/xmlrpc/2/{service}", transport=transport, allow_none=True) as server:
        try:
            return getattr(server, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise _fault(what, fault) from fault
        except xmlrpc.client.ProtocolError as error:
            raise OdooSilentError(f"{what}: {error.errcode} {error.errmsg}") from error
        except OSError as error:
            raise _unreached(what, error) from error


class _Transport(xmlrpc.client.Transport):
    def make_connection(self, host: Any) -> Any:
        connection: Any = super().make_connection(host)
        connection.timeout = _TIMEOUT_SECONDS
        return connection

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        """Ask once: the library would ask again when a connection is lost, and that could be a second payment."""
        return self.single_request(host, handler, request_body, verbose)


class _SafeTransport(_Transport, xmlrpc.client.SafeTransport):
    pass


def _fault(what: str, fault: xmlrpc.client.Fault) -> OdooError:
    said = f"{what}: {str(fault.faultString).strip().splitlines()[-1] if fault.faultString else fault.faultCode}"
    if fault.faultCode in _ACCESS_FAULTS:
        return OdooRefusedError(said)
    return OdooUserError(said) if fault.faultCode == _USER_FAULT else OdooError(said)


def _said(what: str, error: HTTPError) -> OdooError:
    try:
        told: Any = json.loads(error.read())
        message = str(told.get("message") or error.reason)
    except ValueError:
        message = str(error.reason)
    said = f"{what}: {message}"
    if error.code in (401, 403, 404):
        return OdooRefusedError(said)
    if error.code in (502, 504):
        return OdooSilentError(said)
    if error.code in (429, 503):
        return OdooUnavailableError(said)
    return OdooUserError(said) if error.code == 422 else OdooError(said)


def _unreached(what: str, reason: object) -> OdooError:
    if isinstance(reason, ConnectionRefusedError) or "Name or service not known" in str(reason):
        return OdooUnavailableError(f"{what}: {reason}")
    return OdooSilentError(f"{what}: {reason}")
