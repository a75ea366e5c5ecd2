"""Deliveries through the app's real endpoints: a storm of them, signed ones, Event Grid's, and whatever comes.

In a storm there are as many remediations as faults, no action is done twice, and the gate holds.
"""

import hashlib
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.azure.event_delivery import Subscription
from local.azure.event_grid import Topic
from local.azure.events import EVENT_GRID
from local.embedded_estate import EmbeddedEstate
from local.kubernetes.simulator import KubernetesSimulator
from shared.job_remediation.intake.signature import signature
from tests.job_remediation.fuzzing import case
from tests.remediation.running import Team
from tests.remediation_storm.faults import (
    Fault,
    Kind,
    alert,
    beginnings,
    bring_about,
    faults,
    repetitions,
    state,
    storm,
)
from tests.remediation_storm.running import AT_ONCE, FAILURES, SPREAD, Watch, awaited, remediations, send, stormy
from tests.remediation_storm.sizes import SIZE

OVER = {
    Kind.PASSING: {"fixed"},
    Kind.DOOMED: {"escalated"},
    Kind.RESOLVED: {"resolved"},
    Kind.UNANSWERED: {"escalated"},
}


def test_a_storm_is_as_many_remediations_as_faults_and_no_action_twice(team: Team) -> None:
    cluster, cluster_id = cluster_of(team)
    told = faults(**SIZE.faults)
    bring_about(cluster, told)
    deliveries = list(storm(told, cluster_id, SIZE.alerts, random.Random("storm")))
    for beginning in beginnings(told, cluster_id):
        team.tell(beginning)
    with Watch(team.app) as watch:
        sent = send(team.api, "/api/signals", deliveries)
        awaited(lambda: all_over(team, len(told)), lambda: (unfinished(team), team.app.log()), seconds=600)
    assert set(sent.statuses) <= {202, 503}
    assert len(sent.told) == SIZE.alerts

    found = remediations(team)
    assert len(found) == len(told), "as many remediations as faults"
    assert all(one["occurrences"] == 1 for one in found)
    outcomes = {one["id"]: one["outcome"] for one in found}
    for fault in told:
        ((id, title),) = [(one["id"], one["title"]) for one in found if names(one, fault)]
        assert outcomes[id] in OVER[fault.kind], (title, fault, team.shown(id))

    made = repetitions(cluster)
    assert {cron: len(jobs) for cron, jobs in made.items() if len(jobs) > 1} == {}, "no action twice"
    ran = {fault.cron for fault in told if fault.kind is Kind.PASSING}
    assert {cron for cron in made if cron.startswith(Kind.PASSING)} == ran
    assert all(state(cluster, jobs[0]) == "complete" for cron, jobs in made.items() if cron in ran)
    assert not [cron for cron in made if cron.startswith(Kind.RESOLVED)], "what was resolved is left alone"
    doomed = [cron for cron in made if cron.startswith(Kind.DOOMED)]
    assert FAILURES <= len(doomed) < FAILURES + AT_ONCE, "the breaker opens; those at work by then may end"
    assert 1 <= watch.most <= AT_ONCE, "the blast radius holds"

    (event,) = events(team, "Storm")
    assert event["data"]["count"] >= 5
    assert event["data"]["environment"] == "production"


def test_a_common_cause_is_one_escalation_and_no_action(team: Team) -> None:
    cluster, cluster_id = cluster_of(team)
    told = faults(spread=len(SPREAD))
    bring_about(cluster, told)
    signals = [team.tell(alert(fault, cluster_id))["signals"][0] for fault in told]
    results = [team.outcome(signal["remediation"], 400) for signal in signals]
    assert {(one["outcome"], one["why"]) for one in results} == {("escalated", "common-cause")}
    assert not [cron for cron in repetitions(cluster) if cron in SPREAD], "nothing is done about them singly"
    (event,) = [one for one in events(team, "Escalated") if one["id"].startswith("common-cause:")]
    assert event["data"]["targets"] == [f"main/{name}" for name in SPREAD]
    assert event["data"]["root"] == cluster_id.casefold()
    assert {one["id"] for one in event["data"]["faults"]} == {signal["remediation"] for signal in signals}
    ids = {f"{signal['remediation']}:escalated" for signal in signals}
    assert not ids & {one["id"] for one in events(team, "Escalated")}, "one word, not three"

    for fault in told:
        team.tell(alert(fault, cluster_id, resolved=True))
    weather = json.loads(team.estate.state.download_blob("remediation/weather/production.json").readall())
    assert not [one for one in weather["faulty"].values() if one["member"]["kind"] == "workload"]


def test_what_two_senders_tell_of_or_what_comes_back_is_done_once(team: Team) -> None:
    cluster, cluster_id = cluster_of(team)
    fault, back = [replace(one, number=one.number + 900, sender="plain") for one in faults(passing=2)]
    bring_about(cluster, [fault, back])
    words = [{}, {"resolved": True}, {"later": timedelta(seconds=55)}]
    occurrences = [team.tell(alert(back, cluster_id, **word))["signals"][0]["remediation"] for word in words]
    assert occurrences[0] == occurrences[1] != occurrences[2]
    both = [alert(replace(fault, sender=sender), cluster_id) for sender in ("azure", "alertmanager")]
    ids = {team.tell(one)["signals"][0]["remediation"] for one in both}
    assert len(ids) == 2
    for id in ids:
        team.outcome(id, 400)
    (made,) = repetitions(cluster)[fault.cron]
    assert state(cluster, made) == "complete"
    assert team.outcome(occurrences[0], 400)["outcome"] == "resolved"
    assert team.outcome(occurrences[2], 400)["outcome"] == "fixed"
    assert len(repetitions(cluster)[back.cron]) == 1


# --- signed webhooks -------------------------------------------------------------------------------------------------


def signed(team: Team, body: bytes, *, key: bytes = b"a-key", at: datetime | None = None, **changed: str) -> Any:
    stamp = str(int((at or datetime.now(UTC)).timestamp()))
    headers = {"x-closekeeper-timestamp": stamp, "x-closekeeper-signature": signature(key, stamp, body), **changed}
    headers = {name: value for name, value in headers.items() if value}
    return team.api.post("/api/signals/alertmanager", content=body, headers=headers)


def test_a_webhook_is_let_in_by_its_signature_only(team: Team) -> None:
    _, cluster_id = cluster_of(team)
    fault = replace(faults(unanswered=1)[0], number=910)
    body = json.dumps(alert(replace(fault, kind=Kind.PASSING, sender="alertmanager"), cluster_id)).encode()
    refused = {
        "the signature does not fit": signed(team, body, key=b"another"),
        "the timestamp is missing": signed(team, body, **{"x-closekeeper-timestamp": ""}),
        "the signature is missing": signed(team, body, **{"x-closekeeper-signature": ""}),
        "more than 5 minutes away": signed(team, body, at=datetime.now(UTC) - timedelta(minutes=6)),
    }
    for why, answer in refused.items():
        assert answer.status_code == 401, why
        assert why in answer.json()["detail"]
    unknown = team.api.post("/api/signals/nobody", content=body)
    assert (unknown.status_code, unknown.json()["detail"]) == (401, "no key is declared for this webhook")
    assert not list(team.estate.state.list_blobs(name_starts_with=raw_of(body))), "what is refused is not kept"

    now = datetime.now(UTC)
    answers = [signed(team, body, at=now) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    (first,), (copy,) = (answer.json()["signals"] for answer in answers)
    assert (first["verdict"], copy["verdict"]) == ("begins", "continues"), "sent again in time it does nothing"
    forged = json.dumps({"condition": "resolved", "fault": "x", "title": "over"}).encode()
    other = signed(team, forged)
    assert (other.status_code, other.json()["signals"]) == (202, [])
    assert "declared to send alertmanager" in other.json()["unrecognised"][0]["reason"]
    stolen = {"x-closekeeper-timestamp": str(int(now.timestamp()) + 1)}
    assert signed(team, body, at=now, **stolen).status_code == 401, "a copy under another time"
    assert (
        signed(team, body + b" ", at=now, **{"x-closekeeper-signature": signature(b"a-key", "0", body)}).status_code
        == 401
    )


# --- Event Grid ------------------------------------------------------------------------------------------------------


def availability(cluster_id: str, name: str, state: str, at: datetime) -> dict[str, Any]:
    """Azure Resource Notifications' word on a resource's health."""
    target = f"{cluster_id}/agentPools/{name}"
    return {
        "id": f"{name}-{state}-{at.timestamp()}",
        "subject": target,
        "eventType": "Microsoft.ResourceNotifications.HealthResources.AvailabilityStatusChanged",
        "eventTime": at.isoformat(),
        "dataVersion": "1",
        "data": {
            "resourceInfo": {
                "id": f"{target}/providers/Microsoft.ResourceHealth/availabilityStatuses/1",
                "name": "1",
                "type": "Microsoft.ResourceHealth/availabilityStatuses",
                "properties": {
                    "targetResourceId": target,
                    "targetResourceType": "Microsoft.ContainerService/managedClusters/agentPools",
                    "occurredTime": at.isoformat(),
                    "availabilityState": state,
                },
            },
            "operationalInfo": {"resourceEventTime": at.isoformat()},
        },
    }


def test_event_grid_delivers_twice_out_of_order_and_while_the_worker_is_dead(team: Team) -> None:
    _, cluster_id = cluster_of(team)
    grid = team.estate.azure.events
    grid.topics["health"] = Topic("health", EVENT_GRID, resource_id="/subscriptions/s")
    grid.subscribe(
        Subscription(
            name="remediation",
            topic="health",
            endpoint=team.app.host.event_grid_url("remediation_events"),
            schema=EVENT_GRID,
        )
    )
    began = datetime.now(UTC) - timedelta(minutes=10)
    ended = began + timedelta(minutes=5)
    down = availability(cluster_id, "twice", "Unavailable", began)
    overtaken = [
        availability(cluster_id, "overtaken", "Available", ended),
        availability(cluster_id, "overtaken", "Unavailable", began),
    ]
    team.app.host.kill_worker()
    for event in (down, down, overtaken[0]):
        grid.publish("health", [event])
    awaited(lambda: len(health(team)) == 2, lambda: (health(team), team.app.log()))
    grid.publish("health", [overtaken[1], overtaken[1]])
    awaited(lambda: health(team)["overtaken"]["fault"]["fired_until"], lambda: health(team))
    known = health(team)
    assert known["twice"]["fault"]["occurrences"] == 1
    assert known["overtaken"]["fault"]["occurrences"] == 0, "what is over by then is not begun"
    assert team.shown(f"remediation:{known['twice']['fault']['fingerprint']}:1")["status"] in {"running", "completed"}
    assert grid.dead_letters == []


def health(team: Team) -> dict[str, Any]:
    """What the register knows of the health of resources, by their name."""
    found: dict[str, Any] = {}
    for blob in team.estate.state.list_blobs(name_starts_with="remediation/faults/"):
        known = json.loads(team.estate.state.download_blob(blob.name).readall())
        if known["signal"]["symptom"] == "resource-unhealthy":
            found[known["signal"]["target"]["resource"].rpartition("/")[2]] = known
    return found


# --- whatever comes --------------------------------------------------------------------------------------------------


def test_nothing_that_is_sent_is_lost_or_answered_with_an_error(estate: EmbeddedEstate, tmp_path: Path) -> None:
    """On a host of its own, whose remediations wait: what becomes of hundreds of odd faults is not the question."""
    dice = random.Random("over http")
    bodies = [case(dice) for _ in range(SIZE.fuzzed)]
    unread = 0
    with stormy(estate, tmp_path, "1s", REMEDIATION_SETTLE_SECONDS="3600") as team:
        for body in bodies:
            answer = team.app.patiently(lambda body=body: team.api.post("/api/signals", content=body))
            assert answer.status_code in (200, 202), (answer.text, body[:2000])
            told = answer.json()
            if answer.status_code == 202:
                assert told["kept"].rpartition("/")[2] == hashlib.sha256(body).hexdigest()
                assert team.estate.state.download_blob(told["kept"]).readall() == body
                assert told["signals"] or told["unrecognised"]
                unread += len(told["unrecognised"])
            else:
                assert told["validationResponse"]
        assert unread > SIZE.fuzzed // 10

        def told_of() -> bool:
            team.app.fire("remediation_tick")
            return not list(team.estate.state.list_blobs(name_starts_with="remediation/unrecognised/"))

        awaited(told_of, team.app.log)
        assert sum(one["data"]["count"] for one in events(team, "SignalsUnrecognised")) > SIZE.fuzzed // 10


def test_deliveries_are_purged_after_their_time_and_no_sooner(team: Team) -> None:
    state = team.estate.state
    today = datetime.now(UTC).date()
    days = {age: f"remediation/raw/{(today - timedelta(days=age)).isoformat()}/{age:064}" for age in (88, 89, 91, 400)}
    for name in days.values():
        state.upload_blob(name, b"{}")

    def purged() -> bool:
        team.app.fire("remediation_tick")
        return not state.get_blob_client(days[91]).exists()

    awaited(purged, team.app.log)
    team.app.fire("remediation_tick")
    team.app.await_idle()
    left = {age for age, name in days.items() if state.get_blob_client(name).exists()}
    assert left == {88, 89}


# --- looking ---------------------------------------------------------------------------------------------------------


def cluster_of(team: Team) -> tuple[KubernetesSimulator, str]:
    return team.estate.clusters["production", "main"], str(team.estate.environments["production"].clusters["main"].id)


def raw_of(body: bytes) -> str:
    return f"remediation/raw/{datetime.now(UTC).date().isoformat()}/{hashlib.sha256(body).hexdigest()}"


def names(one: dict[str, Any], fault: Fault) -> bool:
    return fault.job in (one["title"], one["target"].rpartition("/")[2]) or fault.job in one["title"]


def all_over(team: Team, count: int) -> bool:
    found = remediations(team)
    return len(found) >= count and all(one["outcome"] for one in found)


def unfinished(team: Team) -> list[dict[str, Any]]:
    return [{**team.shown(one["id"]), **one} for one in remediations(team) if not one["outcome"]]


def events(team: Team, word: str) -> list[dict[str, Any]]:
    """What was told of that kind, without copies."""
    received = (kept.event for kept in team.estate.azure.events.received)
    wanted = f"Closekeeper.JobRemediation.{word}"
    return list({event.id: dict(event.body) for event in received if event.type == wanted}.values())
