"""Who may do what through the real host: people by their login, machines by key, and every refusal on record."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.azure.identity import ManagedIdentity, Tenant
from local.functions_host import FunctionsHost, HostConfig
from local.functions_host.easy_auth import EasyAuth
from shared.changes.policy import OverrideKind
from tests.changes.conftest import Running, until
from tests.changes.world import FAST, World, a_change

APP = Path(__file__).parent / "app"
AUDIENCE = "api://closekeeper"


@dataclass(frozen=True)
class Api:
    """A host with login switched on, its world, and callers."""

    host: FunctionsHost
    world: World
    tenant: Tenant

    def by_key(self) -> httpx.Client:
        return httpx.Client(base_url=f"{self.host.url}/api/", headers={"x-functions-key": self.host.function_key})

    def as_person(self, name: str, *roles: str) -> httpx.Client:
        client = self.by_key()
        token = self.tenant.user_token(name, AUDIENCE, roles=["reader", *roles]).value
        client.headers["authorization"] = f"Bearer {token}"
        return client

    def refusals(self) -> list[dict[str, Any]]:
        return [record for record in self.world.records() if record["kind"] == "access_refused"]

    def approval_asked_for_by(self, name: str, target: str) -> tuple[Running, str, dict[str, Any]]:
        """A change that waits for approval, its plan's instance and the request."""
        running = Running(self.host, self.world)
        change = a_change(target, requires_approval=True)
        running.start(f"plan-{target}", change, requested_by=name)
        with self.as_person("reader@example.org") as reader:
            waiting = until(
                lambda: [a for a in reader.get("approvals").json()["value"] if change.id in a["change_ids"]]
            )
        return running, f"plan-{target}", waiting[0]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    world = World(folder / "world")
    world.set_rules(FAST)
    config = HostConfig(
        app=APP, data=folder / "data", settings={"WORLD": str(world.folder)}, easy_auth=EasyAuth(AUDIENCE)
    )
    with FunctionsHost(config) as host:
        host.wait_ready()
        yield Api(host, world, Tenant([ManagedIdentity("closekeeper")]))


def principal(name: str, *roles: str) -> dict[str, str]:
    """The headers that App Service adds after a login, as an attacker would forge them."""
    claims = [{"typ": "preferred_username", "val": name}, *({"typ": "roles", "val": role} for role in roles)]
    content = {"auth_typ": "aad", "name_typ": "name", "role_typ": "roles", "claims": claims}
    return {
        "x-ms-client-principal": base64.b64encode(json.dumps(content).encode()).decode(),
        "x-ms-client-principal-name": name,
    }


def test_an_approval_shows_what_will_be_done_and_another_person_grants_it_once(api: Api) -> None:
    running, plan, asked = api.approval_asked_for_by("olga@example.org", "granted")
    with api.as_person("bert@example.org", "approver") as bert:
        shown = bert.get(f"approvals/{asked['id']}").json()
        assert [change["target"] for change in shown["covered"]] == ["granted"]
        assert running.world.effects("granted") == []
        body = {"plan_hash": asked["plan_hash"], "granted": True, "note": "checked"}
        first, second = (bert.post(f"approvals/{asked['id']}/answer", json=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["answer"] == second.json()["answer"]
    assert running.finished(plan)["runtimeStatus"] == "Completed"
    assert len(running.world.effects("granted")) == 1
    assert running.world.kinds().count("approval_granted") == 1


def test_who_asked_a_key_a_reader_and_a_forged_login_cannot_approve(api: Api) -> None:
    running, _, asked = api.approval_asked_for_by("olga@example.org", "refused")
    where, body = f"approvals/{asked['id']}/answer", {"plan_hash": asked["plan_hash"], "granted": True, "note": ""}
    before = len(api.refusals())
    callers = {
        "the requester": (api.as_person("Olga@Example.org", "approver"), {}),
        "a key": (api.by_key(), {}),
        "a reader": (api.as_person("rita@example.org"), {}),
        "a forged login": (api.by_key(), principal("mallory@example.org", "reader", "approver")),
    }
    for who, (client, forged) in callers.items():
        with client:
            answer = client.post(where, json=body, headers=forged)
        assert answer.status_code == 403, (who, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    with httpx.Client() as nobody:
        for headers in ({}, {"x-functions-key": "wrong"}, principal("mallory@example.org", "approver")):
            assert nobody.post(f"{api.host.url}/api/{where}", json=body, headers=headers).status_code == 401
    recorded = api.refusals()[before:]
    assert sorted(record["actor"] for record in recorded) == [
        "function-key",
        "function-key",
        "olga@example.org",
        "rita@example.org",
    ]
    assert running.world.effects("refused") == []
    with api.as_person("bert@example.org", "approver") as bert:
        stale = bert.post(where, json={**body, "plan_hash": "of-another-plan"})
        assert stale.status_code == 409
        assert bert.post(where, json={**body, "granted": False}).status_code == 200
        assert bert.post(where, json=body).status_code == 409, "an answer is final"
    assert running.world.effects("refused") == []


def test_an_approval_that_expired_is_no_approval(api: Api) -> None:
    from dataclasses import replace

    api.world.set_rules(replace(FAST, approval_lifetime=timedelta(seconds=1)))
    try:
        running, plan, asked = api.approval_asked_for_by("olga@example.org", "expired")
        ended = running.finished(plan)
        assert ended["output"] is not None
        with api.as_person("bert@example.org", "approver") as bert:
            body = {"plan_hash": asked["plan_hash"], "granted": True, "note": "late"}
            answer = bert.post(f"approvals/{asked['id']}/answer", json=body)
        assert answer.status_code == 409
        assert running.world.effects("expired") == []
    finally:
        api.world.set_rules(FAST)


def test_an_exception_needs_a_second_person_and_can_be_taken_back(api: Api) -> None:
    now = datetime.now(UTC)
    wish = {
        "environment": "production",
        "ticket": "CHG-1",
        "reason": "bank file is stuck",
        "start": now.isoformat(),
        "end": (now + timedelta(hours=1)).isoformat(),
    }
    with (
        api.as_person("olga@example.org", "operator", "approver") as olga,
        api.as_person("bert@example.org", "approver") as bert,
        api.by_key() as key,
    ):
        made = olga.post("exceptions", json=wish, headers={"Idempotency-Key": "one"})
        again = olga.post("exceptions", json=wish, headers={"Idempotency-Key": "one"})
        assert (made.status_code, made.json()["id"]) == (201, again.json()["id"])
        where = made.headers["location"].removeprefix("/api/")
        assert olga.post(f"{where}/ruling", json={"granted": True}).status_code == 403
        assert key.post(f"{where}/ruling", json={"granted": True}).status_code == 403
        granted = bert.post(f"{where}/ruling", json={"granted": True, "note": "ok"})
        assert (granted.status_code, granted.json()["granted"]["by"]) == (200, "bert@example.org")
        assert bert.post(f"{where}/revoke", json={"note": "done"}).json()["revoked"]["by"] == "bert@example.org"
        assert bert.post("exceptions/none/revoke", json={}).status_code == 404
        too_long = olga.post("exceptions", json={**wish, "end": (now + timedelta(days=90)).isoformat()})
        assert too_long.status_code == 422
        assert too_long.json()["errors"][0]["field"] == "/end"


def test_overrides_and_the_stop_switch_are_set_seen_and_revoked(api: Api) -> None:
    until_then = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    with (
        api.as_person("otto@example.org", "operator") as otto,
        api.as_person("rita@example.org") as rita,
    ):
        wish = {"kind": OverrideKind.KEEP_AWAKE, "environment": "staging", "reason": "release test", "end": until_then}
        assert rita.post("overrides", json=wish).status_code == 403
        made = otto.post("overrides", json=wish)
        assert made.status_code == 201, made.text
        listed = rita.get("overrides").json()["value"]
        assert [(one["id"], one["set_by"]) for one in listed] == [(made.json()["id"], "otto@example.org")]
        assert otto.delete(f"overrides/{made.json()['id']}").json()["revoked_by"] == "otto@example.org"

        assert rita.get("stop-switch").json()["pulled"] is False
        assert rita.put("stop-switch", json={"pulled": True, "reason": "panic"}).status_code == 403
        assert otto.put("stop-switch", json={"pulled": True, "reason": "odd postings"}).json()["pulled"] is True
        running = Running(api.host, api.world)
        ended = running.run("plan-stopped", a_change("stopped"))
        assert ended["stopped"].result == "refused"
        assert api.world.effects("stopped") == []
        assert otto.put("stop-switch", json={"pulled": False, "reason": "found"}).json()["pulled"] is False
        missing = otto.put("stop-switch", json={"pulled": True})
        assert (missing.status_code, missing.json()["errors"][0]["field"]) == (400, "/reason")
