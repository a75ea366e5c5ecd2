"""What people who log in ask of environments over HTTP, and every refusal with the field that it is about."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.shutdown_schedules.declared import CLUSTER
from tests.shutdown_schedules.running import Declaration, Running

KEEP_AWAKE, WAKE, POSTPONE = (f"environments/staging/{each}" for each in ("keep-awake", "wake", "postpone"))


def hence(**more: float) -> str:
    return (datetime.now(UTC) + timedelta(**more)).isoformat()


@pytest.fixture(scope="module")
def awake(running: Running) -> Running:
    """Within its hours, looked at once."""
    running.declared.hours(Declaration.day(8))
    running.tick()
    running.await_that(lambda: running.environment()["state"] == "awake")
    return running


@pytest.fixture
def olga(awake: Running) -> Iterator[httpx.Client]:
    with awake.as_person("olga@example.org", "operator") as client:
        yield client


def fields(answer: httpx.Response) -> list[str]:
    """What the problem names."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    return [each["field"] for each in problem.get("errors", [])]


def test_the_list_says_of_each_environment_what_is_awake_why_and_what_comes_next(olga: httpx.Client) -> None:
    listed = {each["name"]: each for each in olga.get("environments").json()["value"]}
    assert set(listed) == {"staging", "sandbox"}
    staging, sandbox = listed["staging"], listed["sandbox"]
    assert (staging["state"], staging["schedules"], staging["next"]["to"]) == ("awake", ["nights"], "asleep")
    assert staging["why"] == [f"working hours {Declaration.day(8)}"]
    assert staging["savings"]["month"] == f"{datetime.now(UTC):%Y-%m}"
    assert (sandbox["state"], sandbox["why"]) == ("awake", ["no shutdown schedule covers it"])
    assert "resources" not in staging, "which are asked for one environment"


def test_who_keeps_it_awake_until_when_and_why_is_shown_and_asked_twice_is_once(
    awake: Running, olga: httpx.Client
) -> None:
    body = {"reason": "upgrade rehearsal", "until": hence(hours=40), "target": "main/worker"}
    first, second = (olga.post(KEEP_AWAKE, json=body, headers={"Idempotency-Key": "rehearsal"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    override = first.json()["override"]
    assert override == second.json()["override"]
    assert first.headers["location"] == f"/api/overrides/{override['id']}"
    assert (override["set_by"], override["target"]) == ("olga@example.org", f"{CLUSTER}//deployment/odoo/worker")
    shown = olga.get("environments/staging").json()
    assert [each["id"] for each in shown["kept_awake"]] == [override["id"]]
    mine = [each for each in awake.evidence_of("override_set") if each["subject"] == f"override:{override['id']}"]
    assert len(mine) == 1
    assert olga.delete(f"overrides/{override['id']}").status_code < 300
    assert olga.get("environments/staging").json()["kept_awake"] == []


def test_postponed_it_sleeps_so_much_later_than_it_would_have(olga: httpx.Client) -> None:
    sleeps_at = datetime.fromisoformat(olga.get("environments/staging").json()["next"]["at"])
    answer = olga.post(POSTPONE, json={"reason": "still testing", "minutes": 90})
    assert answer.status_code == 202, answer.text
    override = answer.json()["override"]
    assert datetime.fromisoformat(override["end"]) == sleeps_at + timedelta(minutes=90)
    later = olga.get("environments/staging").json()["next"]
    assert (datetime.fromisoformat(later["at"]), later["to"]) == (sleeps_at + timedelta(minutes=90), "asleep")
    assert olga.delete(f"overrides/{override['id']}").status_code < 300


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        (KEEP_AWAKE, {"reason": "long", "until": hence(days=4)}, 422, "/until"),
        (WAKE, {"reason": "long", "until": hence(days=4)}, 422, "/until"),
        (KEEP_AWAKE, {"reason": "late", "until": hence(days=-1)}, 422, "/until"),
        (KEEP_AWAKE, {"reason": "no zone", "until": "2026-11-30T12:00:00"}, 400, "/until"),
        (KEEP_AWAKE, {"until": hence(hours=1)}, 400, "/reason"),
        (KEEP_AWAKE, {"reason": " ", "until": hence(hours=1)}, 422, "/reason"),
        (KEEP_AWAKE, {"reason": "what?", "until": hence(hours=1), "target": "main/web"}, 422, "/target"),
        (KEEP_AWAKE, {"reason": "typo", "until": hence(hours=1), "targets": "main/worker"}, 400, "/targets"),
        (POSTPONE, {"minutes": 30}, 400, "/reason"),
        (POSTPONE, {"reason": "a moment", "minutes": 1}, 400, "/minutes"),
        (POSTPONE, {"reason": "a week", "minutes": 7 * 24 * 60}, 422, "/minutes"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_field_is_named(
    olga: httpx.Client, path: str, body: dict[str, Any], status: int, field: str
) -> None:
    answer = olga.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert fields(answer) == [field]
    assert olga.get("environments/staging").json()["kept_awake"] == []


def test_the_cap_and_what_sleeps_are_told_to_who_asks_beyond_them(olga: httpx.Client) -> None:
    beyond = olga.post(KEEP_AWAKE, json={"reason": "long", "until": hence(days=4)}).json()
    assert "may last 3 d" in beyond["detail"]
    unknown = olga.post(KEEP_AWAKE, json={"reason": "x", "until": hence(hours=1), "target": "main/web"}).json()
    assert "main/worker" in unknown["detail"]


@pytest.mark.parametrize("what", ["keep-awake", "wake", "postpone"])
def test_an_environment_that_is_not_declared_or_never_sleeps_is_not_found(olga: httpx.Client, what: str) -> None:
    body = {"reason": "x", "minutes": 30} if what == "postpone" else {"reason": "x", "until": hence(hours=1)}
    for name in ("nowhere", "sandbox"):
        answer = olga.post(f"environments/{name}/{what}", json=body)
        assert answer.status_code == 404, answer.text
        assert name in answer.json()["detail"]
    assert olga.get("environments/nowhere").status_code == 404


def test_who_only_reads_may_look_but_not_keep_it_awake_and_the_refusal_is_on_record(awake: Running) -> None:
    with awake.as_person("rita@example.org") as rita:
        assert rita.get("environments/staging").status_code == 200
        asked = [
            rita.post(KEEP_AWAKE, json={"reason": "please", "until": hence(hours=1)}),
            rita.post(WAKE, json={"reason": "please", "until": hence(hours=1)}),
            rita.post(POSTPONE, json={"reason": "please"}),
        ]
    assert [answer.status_code for answer in asked] == [403, 403, 403], [answer.text for answer in asked]
    assert all("operator" in answer.json()["detail"] for answer in asked)
    refused = [each for each in awake.evidence_of("access_refused") if "rita@example.org" in str(each)]
    assert len(refused) == 3


SAME_SITE = {"sec-fetch-site": "same-origin"}


def form_of(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """What the browser would send for staging's form, and where to: the page's own address, key and all."""
    forms = re.findall(r'<form method="post">(.*?)</form>', page.text, re.S)
    (found,) = [form for form in forms if 'value="staging"' in form]
    fields = dict(re.findall(r'<input[^>]*name="(\w+)"(?:[^>]*value="([^"]*)")?', found))
    assert sorted(fields) == ["environment", "hours", "key", "reason"]
    return str(page.url), fields


def test_a_person_keeps_it_awake_at_the_status_page_once_however_often_the_button_is_pressed(
    awake: Running, olga: httpx.Client
) -> None:
    address, fields = form_of(olga.get("status"))
    filled = fields | {"act": "wake", "reason": "demo <b>", "hours": "3"}
    answers = [olga.post(address, data=filled, headers=SAME_SITE) for _ in range(2)]
    assert [each.status_code for each in answers] == [303, 303]
    back = olga.get(answers[0].headers["location"].partition("#")[0])
    assert back.status_code == 200
    assert "demo &lt;b&gt;" in back.text
    (kept,) = olga.get("environments/staging").json()["kept_awake"]
    assert (kept["set_by"], kept["reason"]) == ("olga@example.org", "demo <b>")
    assert olga.delete(f"overrides/{kept['id']}").status_code < 300


def test_a_person_lets_it_sleep_later_at_the_status_page(olga: httpx.Client) -> None:
    sleeps_at = datetime.fromisoformat(olga.get("environments/staging").json()["next"]["at"])
    address, fields = form_of(olga.get("status"))
    asked = fields | {"act": "later", "reason": "still testing", "hours": "2"}
    assert olga.post(address, data=asked, headers=SAME_SITE).status_code == 303
    (kept,) = olga.get("environments/staging").json()["kept_awake"]
    assert datetime.fromisoformat(kept["end"]) == sleeps_at + timedelta(hours=2)
    assert olga.delete(f"overrides/{kept['id']}").status_code < 300


@pytest.mark.parametrize(
    ("changed", "headers", "status", "says"),
    [
        ({"environment": "nowhere"}, SAME_SITE, 404, "nowhere"),
        ({"reason": ""}, SAME_SITE, 400, "reason"),
        ({"hours": "many"}, SAME_SITE, 400, "hours"),
        ({"hours": "100"}, SAME_SITE, 422, "may last 3 d"),
        ({"act": "delete"}, SAME_SITE, 400, "act"),
        ({}, {"sec-fetch-site": "cross-site"}, 403, "not sent by this page"),
        ({}, {}, 403, "not sent by this page"),
    ],
)
def test_a_form_that_does_not_fit_or_comes_from_elsewhere_changes_nothing_and_the_page_says_so(
    olga: httpx.Client, changed: dict[str, str], headers: dict[str, str], status: int, says: str
) -> None:
    address, fields = form_of(olga.get("status"))
    answer = olga.post(address, data=fields | {"act": "wake", "reason": "please"} | changed, headers=headers)
    assert answer.status_code == status
    assert "Nothing was changed." in answer.text
    assert says in answer.text
    assert form_of(answer)[0] == address, "the form can be sent again from there"
    assert olga.get("environments/staging").json()["kept_awake"] == []


def test_the_page_does_not_show_the_key_that_opened_it(awake: Running, olga: httpx.Client) -> None:
    page = olga.get("status", params={"code": awake.host.function_key})
    assert form_of(page)
    assert awake.host.function_key not in page.text


def test_a_key_does_not_say_who_asks(awake: Running, olga: httpx.Client) -> None:
    assert "<form" not in awake.api.get("/api/status").text
    address, fields = form_of(olga.get("status"))
    filled = fields | {"act": "wake", "reason": "please"}
    answer = awake.api.post(address, data=filled, headers=SAME_SITE)
    assert answer.status_code == 403
    assert "log in" in answer.text
    with awake.as_person("rita@example.org") as rita:
        assert rita.post(address, data=filled, headers=SAME_SITE).status_code == 403
    assert olga.get("environments/staging").json()["kept_awake"] == []
