"""HTTP triggers: routes, methods, bodies, keys, failures; the headers that only the platform may set."""

import asyncio
import base64
import json
import threading
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from local.functions_host import EasyAuth, Keys

from .conftest import Running, Start, until


class TestRequests:
    def test_everything_reaches_the_function(self, app: Running) -> None:
        response = app.client.post(
            "/api/echo?a=1&b=two%20words&a=3&empty=", content=b"\x00\xffraw", headers={"X-Mine": "yes"}
        )
        seen = response.json()
        assert response.status_code == 201
        assert seen["method"] == "POST"
        assert seen["url"] == f"{app.host.url}/api/echo?a=1&b=two%20words&a=3&empty="
        assert seen["params"] == {"a": "3", "b": "two words", "empty": ""}
        assert seen["headers"]["x-mine"] == "yes"
        assert seen["body"].encode("latin-1") == b"\x00\xffraw"

    def test_repeated_headers_are_joined(self, app: Running) -> None:
        headers = [("X-Mine", "a"), ("X-Mine", "b")]
        assert app.client.get("/api/echo", headers=headers).json()["headers"]["x-mine"] == "a,b"

    @pytest.mark.parametrize(
        ("path", "route"),
        [
            ("items/12", {"id": "12"}),
            ("items/twelve", {"name": "twelve"}),
            ("ITEMS/Twelve", {"name": "Twelve"}),
            ("items/a%20b", {"name": "a b"}),
            ("items/a%2Fb", {"name": "a%2Fb"}),
            ("files/a/b.txt", {"rest": "a/b.txt"}),
            ("files", {}),
            ("pages", {}),
            ("pages/", {}),
            ("pages/2", {"page": "2"}),
        ],
    )
    def test_routes(self, app: Running, path: str, route: dict[str, str]) -> None:
        assert app.client.get(f"/api/{path}").json()["route"] == route

    @pytest.mark.parametrize("path", ["", "/", "/api", "/api/nowhere", "/nothing", "/api/items", "/api/items/1/2"])
    def test_unknown_routes(self, app: Running, path: str) -> None:
        response = app.client.get(path)
        if path in ("", "/"):
            assert response.status_code == 200  # the home page
        else:
            assert (response.status_code, response.content) == (404, b"")

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("PUT", "items/1", 201),
            ("PUT", "items/one", 404),
            ("POST", "items/1", 404),
            ("DELETE", "echo", 201),
            ("OPTIONS", "echo", 201),
            ("OPTIONS", "nothing", 404),
            ("HEAD", "nothing", 200),
            ("HEAD", "items/1", 404),
        ],
    )
    def test_methods(self, app: Running, method: str, path: str, status: int) -> None:
        response = app.client.request(method, f"/api/{path}")
        assert response.status_code == status
        if method == "HEAD":
            assert response.content == b""

    def test_a_disabled_function_is_not_there(self, app: Running) -> None:
        assert app.client.get("/api/disabled").status_code == 404

    def test_a_body_in_many_parts(self, app: Running) -> None:
        parts = [bytes([number]) * 70_000 for number in range(40)]
        response = app.client.post("/api/bytes", content=iter(parts))
        assert response.content == b"".join(parts)

    def test_a_body_that_is_too_long(self, app: Running, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("local.functions_host.web.MAX_BODY_BYTES", 100)
        assert app.client.post("/api/bytes", content=b"x" * 101).status_code == 413
        assert app.client.post("/api/bytes", content=iter([b"x" * 60, b"x" * 60])).status_code == 413
        assert app.client.post("/api/bytes", content=b"x" * 100).status_code == 200


class TestResponses:
    def test_bytes_headers_and_cookies(self, app: Running) -> None:
        response = app.client.post("/api/bytes", content=b"\x00\x01")
        assert response.content == b"\x00\x01"
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["x-twice"] == "a"
        assert response.headers["set-cookie"] == "flavour=oat; max-age=60; path=/; samesite=lax; httponly"

    def test_a_string(self, app: Running) -> None:
        response = app.client.get("/api/text")
        assert (response.status_code, response.text) == (200, "plain ä")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"

    def test_custom_headers_of_host_json(self, app: Running) -> None:
        assert app.client.get("/api/nowhere").headers["x-content-type-options"] == "nosniff"

    def test_a_failure_shows_nothing_of_the_inside(self, app: Running) -> None:
        response = app.client.get("/api/fails")
        assert (response.status_code, response.content) == (500, b"")

    def test_the_worker_runs_in_the_apps_folder(self, app: Running) -> None:
        folder, hostname = app.client.get("/api/out").text.split()
        assert folder.endswith("/tests/local/functions_host/app")
        assert f"http://{hostname}" == app.host.url


class TestKeys:
    def test_who_may_call_what(self, start_host: Start) -> None:
        keys = Keys("master-key-1", {"default": "host-key-1"}, {"keyed": {"bot": "keyed-key"}}, {})
        url = start_host(keys=keys).host.url
        expected = {
            ("nothing", None): 200,
            ("nothing", "wrong"): 200,
            ("keyed", None): 401,
            ("keyed", ""): 401,
            ("keyed", "wrong"): 401,
            ("keyed", "host-key-"): 401,
            ("keyed", "ä"): 401,
            ("keyed", "host-key-1"): 200,
            ("keyed", "keyed-key"): 200,
            ("keyed", "master-key-1"): 200,
            ("guarded", "host-key-1"): 401,
            ("guarded", "keyed-key"): 401,
            ("guarded", "master-key-1"): 200,
            ("orchestrations/x/y", "master-key-1"): 404,  # GET is not among its methods
        }
        with httpx.Client(base_url=url) as client:
            for (path, key), status in expected.items():
                by_query = client.get(f"/api/{path}", params={"code": key} if key is not None else {})
                assert by_query.status_code == status, (path, key, "code")
                if key and key.isascii():
                    by_header = client.get(f"/api/{path}", headers={"x-functions-key": key})
                    assert by_header.status_code == status, (path, key, "header")
                if status == 401:
                    assert by_query.content == b""
            both = client.get("/api/keyed?code=host-key-1", headers={"x-functions-key": "wrong"})
            assert both.status_code == 401  # the header counts


def token(**claims: Any) -> str:
    now = datetime.now(UTC).timestamp()
    content = {"aud": "api://ops", "exp": now + 60, "nbf": now - 60, "oid": "o-1", **claims}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in ({}, content)]
    return f"Bearer {'.'.join(parts)}."


class TestEasyAuth:
    def headers_seen(self, app: Running, **headers: str) -> dict[str, str]:
        seen = app.client.get("/api/echo", headers=headers).json()["headers"]
        return {name: value for name, value in seen.items() if name.startswith("x-ms-")}

    def test_off_nobody_can_pretend(self, app: Running) -> None:
        assert self.headers_seen(app, **{"X-MS-CLIENT-PRINCIPAL-ID": "boss", "X-MS-TOKEN-AAD-ID-TOKEN": "t"}) == {}
        assert self.headers_seen(app, Authorization=token()) == {}

    def test_on(self, start_host: Start) -> None:
        app = start_host(easy_auth=EasyAuth("api://ops"))
        assert self.headers_seen(app) == {}
        assert self.headers_seen(app, **{"X-MS-CLIENT-PRINCIPAL": "forged"}) == {}
        bearer = token(preferred_username="ann@example.org", roles=["approver", "reader"], sub="s-1")
        seen = self.headers_seen(app, Authorization=bearer, **{"X-MS-CLIENT-PRINCIPAL-ID": "boss"})
        principal = json.loads(base64.b64decode(seen["x-ms-client-principal"]))
        claims = [(claim["typ"], claim["val"]) for claim in principal["claims"]]
        assert seen["x-ms-client-principal-id"] == "o-1"
        assert seen["x-ms-client-principal-name"] == "ann@example.org"
        assert seen["x-ms-client-principal-idp"] == "aad"
        assert principal["auth_typ"] == "aad"
        assert [value for kind, value in claims if kind == "roles"] == ["approver", "reader"]
        assert ("http://schemas.microsoft.com/identity/claims/objectidentifier", "o-1") in claims
        assert ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "s-1") in claims
        for refused in (token(aud="api://other"), token(exp=1), token(nbf=9e9), "Bearer x", "Bearer a.!.c", "Basic x"):
            assert app.client.get("/api/echo", headers={"Authorization": refused}).status_code == 401, refused
        assert app.client.get("/api/keyed", headers={"Authorization": token()}).status_code == 200
        assert httpx.get(f"{app.host.url}/api/keyed", headers={"Authorization": token()}).status_code == 401

    def test_required(self, start_host: Start) -> None:
        app = start_host(easy_auth=EasyAuth("api://ops", issuer="https://sts.local", allow_anonymous=False))
        assert app.client.get("/api/echo").status_code == 401
        assert app.client.get("/api/echo", headers={"Authorization": token()}).status_code == 401
        accepted = token(iss="https://sts.local", aud=["x", "api://ops"])
        assert app.client.get("/api/echo", headers={"Authorization": accepted}).status_code == 201


def test_two_hundred_connections_at_once(app: Running) -> None:
    async def call(number: int) -> list[int]:
        """Two requests over one connection (httpx itself is the bottleneck with so many)."""
        reader, writer = await asyncio.open_connection(app.host.config.address, app.host.port)
        found: list[int] = []
        for item in (number, number + 1000):
            writer.write(f"GET /api/items/{item} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = next(line for line in head.split("\r\n") if line.startswith("content-length:"))
            body = json.loads(await reader.readexactly(int(length.split(":")[1])))
            found.append(int(body["route"]["id"]))
        writer.close()
        return found

    async def call_all() -> list[list[int]]:
        return await asyncio.gather(*(call(number) for number in range(200)))

    assert asyncio.run(call_all()) == [[number, number + 1000] for number in range(200)]


def test_limits_of_host_json(start_host: Start) -> None:
    settings = {"AzureFunctionsJobHost__extensions__http__maxOutstandingRequests": "2"}
    app = start_host(settings={**settings, "AzureFunctionsJobHost__extensions__http__routePrefix": ""})
    statuses: list[int] = []
    callers = [
        threading.Thread(target=lambda: statuses.append(app.client.get("/held/x").status_code)) for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    until(app.effects, lambda effects: effects.count("held x") == 2)
    assert app.client.get("/nothing").status_code == 429
    app.let_go("x")
    for caller in callers:
        caller.join()
    assert statuses == [200, 200]
    assert app.client.get("/nothing").status_code == 200


def test_no_more_run_at_once_than_host_json_says(start_host: Start) -> None:
    app = start_host(settings={"AzureFunctionsJobHost__extensions__http__maxConcurrentRequests": "1"})
    first = threading.Thread(target=lambda: app.client.get("/api/held/y"))
    first.start()
    until(app.effects, lambda effects: "held y" in effects)
    second = threading.Thread(target=lambda: app.client.get("/api/held/z"))
    second.start()
    app.let_go("z")
    second.join(0.2)
    assert "held z" not in app.effects()
    app.let_go("y")
    first.join()
    second.join()
    assert "held z" in app.effects()
