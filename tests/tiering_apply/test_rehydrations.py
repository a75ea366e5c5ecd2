"""Documents brought back from archive: asked for, awaited, held, given back. The proxy plays the archive's slowness."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.tiering_apply.running import DATA, App, app
from tests.tiering_apply.test_account_events import LIFECYCLE
from tests.tiering_apply.world import Documents, Service


@pytest.fixture(scope="module")
def documents(running: Service) -> Documents:
    return running.container("archived")


@pytest.fixture(scope="module")
def _module_app(running: Service, documents: Documents, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with app(running, tmp_path_factory.mktemp("app"), "archived") as started:
        yield started


@pytest.fixture
def running_app(_module_app: App, documents: Documents) -> Iterator[App]:
    documents.empty()
    _module_app.service.reset()
    yield _module_app
    _module_app.service.reset()


def request(**changed: Any) -> dict[str, Any]:
    until = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    body = {"environment": "production", "account": "docs", "container": "archived", "prefix": "2025/"}
    return body | {"purpose": "audit of 2025", "until": until} | changed


def ask(running_app: App, key: str, **changed: Any) -> str:
    answer = running_app.api.post("/rehydrations", json=request(**changed), headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def archive(running_app: App, documents: Documents, names: list[str]) -> None:
    """Blobs that were archived through the proxy, which then knows that they come back slowly."""
    documents.fill(names, data=DATA)
    documents.run(documents.work(documents.steps("Archive", names.__contains__), f"archived-{uuid4()}"))
    documents.await_age(1)


def test_documents_come_back_stay_at_hand_and_are_given_back(running_app: App, documents: Documents) -> None:
    wanted = [f"2025/{number:03}.pdf" for number in range(300)]
    archive(running_app, documents, [*wanted, "2024/other.pdf"])
    running_app.proxy.forget()
    one = ask(running_app, "audit")
    assert ask(running_app, "audit") == one
    path = f"/rehydrations/{one}"
    coming = running_app.until(path, lambda seen: seen["stage"] == "coming")
    assert coming["wanted"]["blobs"] == coming["pending"]["blobs"] == 300
    assert sorted(running_app.proxy.moved()) == wanted

    running_app.proxy.finish_rehydrations(wanted[:299])
    running_app.until(path, lambda seen: seen["pending"]["blobs"] == 1)
    running_app.proxy.finish_rehydrations()
    running_app.until(path, lambda seen: seen["stage"] == "ready")
    assert [record["kind"] for record in running_app.records(one)] == ["verified"]

    held = running_app.run("while-needed")
    assert held["changes"] == []
    plan = running_app.api.get("/tiering/accounts/production/docs").json()
    assert {row["reason"]: row["blobs"] for row in plan["blocked"]}["kept at hand on request"] == 300

    assert running_app.api.post(f"{path}/release").status_code == 202
    running_app.until(path, lambda seen: seen["stage"] == "over")
    assert [record["kind"] for record in running_app.records(one)] == ["verified", "rehydration_over"]
    after = running_app.run("after")
    assert [change["action"] for change in after["changes"]] == ["tier"]
    assert documents.tiers() == {**dict.fromkeys(wanted, "Cool"), "2024/other.pdf": "Archive"}
    assert running_app.proxy.moved() == dict.fromkeys(wanted, 2), "to hot when asked for, to cool when given back"


def test_what_costs_more_than_its_budget_waits_for_an_approval(running_app: App, documents: Documents) -> None:
    archive(running_app, documents, [f"2025/{number:03}.pdf" for number in range(30)])
    running_app.proxy.forget()
    one = ask(running_app, "dear", budget=0.01)
    waiting = running_app.until("/approvals", lambda found: bool(found["value"]))["value"][0]
    shown = str(running_app.api.get(f"/approvals/{waiting['id']}").json())
    assert "over the budget of 0.01" in shown
    assert "audit of 2025" in shown
    assert running_app.proxy.moved() == {}
    assert running_app.api.get(f"/rehydrations/{one}").json()["stage"] == "requested"


def test_what_cannot_be_asked_for_is_said_by_field(running_app: App) -> None:
    late = (datetime.now(UTC) + timedelta(days=60)).isoformat()
    for changed, field in (
        ({"environment": "none"}, "/environment"),
        ({"account": "none"}, "/account"),
        ({"container": "none"}, "/container"),
        ({"until": late}, "/until"),
        ({"until": "2020-01-01T00:00:00Z"}, "/until"),
        ({"fiscal_year": 2025}, ""),
        ({"prefix": None, "tags": {}}, ""),
    ):
        answer = running_app.api.post("/rehydrations", json=request(**changed))
        assert answer.status_code == 400, changed
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert running_app.api.get("/rehydrations/none").status_code == 404


def test_an_event_of_a_changed_tier_makes_it_look_at_once(running_app: App, documents: Documents) -> None:
    archive(running_app, documents, ["2025/event.pdf"])
    one = ask(running_app, "event")
    running_app.until(f"/rehydrations/{one}", lambda seen: seen["stage"] == "coming")
    running_app.proxy.finish_rehydrations()
    subject = "/blobServices/default/containers/archived/blobs/2025/event.pdf"
    for _ in range(2):
        told = running_app.tell("Microsoft.Storage.BlobTierChanged", {"accessTier": "Hot"}, subject=subject)
        assert told == 202
    running_app.until(f"/rehydrations/{one}", lambda seen: seen["stage"] == "ready")


def test_what_the_accounts_own_rules_did_is_on_record_once(running_app: App) -> None:
    for _ in range(2):
        assert running_app.tell("Microsoft.Storage.LifecyclePolicyCompleted", LIFECYCLE, event="own-rules") == 202
    deadline = time.monotonic() + 60
    while not (records := running_app.records("lifecycle:own-rules")) and time.monotonic() < deadline:
        time.sleep(0.1)
    (record,) = records
    assert (record["kind"], record["environment"]) == ("finding", "production")
    assert record["time"].startswith("2022-05-24T22:57:29")
    (deleted, *_) = record["body"]["actions"]
    assert deleted == {"action": "delete", "total": 16, "succeeded": 14, "errors": []}
