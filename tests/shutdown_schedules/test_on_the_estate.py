"""A whole environment on the functions host: real PostgreSQL, AKS and Kubernetes with an API of their own.

The app's clock is the machine's, so the week is compressed by its declaration: what is declared says that it is day,
then that it is night. Everything else is as it is: ticks, plans, state in blobs, stops and starts.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.shutdown_schedules.running import Declaration, Running


def test_a_compressed_week_converges_loses_no_original_and_does_each_thing_once(running: Running) -> None:
    """Monday to Sunday with a worker that dies, ticks that are lost, an edit by hand, and Azure's maintenance.

    Cloud Custodian acts on the edge and loses the day with its tick; kube-green saves after it acted.
    """
    running.declared.hours(Declaration.night(0))
    found = running.worker()
    books = running.rows("SELECT count(*) FROM account_move")
    running.until(lambda: "queue jobs run in contoso" in running.environment()["why"][0])
    assert set(running.states().values()) == {"awake"}, "what Odoo works on puts sleep off"
    running.rows("UPDATE queue_job SET state = 'done' WHERE state = 'started'")
    running.night(0)

    running.day(1)
    assert running.worker() == found
    running.night(1)

    running.day(2)
    running.scale_by_hand(4)
    edited = {**found, "replicas": 4}
    stops = running.transitions()["power Running > Stopped"]
    running.estate.azure.clusters.behaviour.seconds["pool"] = 4
    running.declared.hours(Declaration.night(2))
    running.until(lambda: running.transitions()["power Running > Stopped"] > stops)  # not before the new pod is ready
    restarts = running.host.worker_restarts
    running.host.kill_worker()
    assert running.server.state == "Ready", "the server waits for the nodes"
    running.night(2)
    assert running.host.worker_restarts > restarts
    running.estate.azure.clusters.behaviour.reset()

    before = running.transitions()
    running.declared.hours(Declaration.day(3))  # and no tick comes all day
    running.declared.hours(Declaration.night(3))
    running.night(3)
    assert running.transitions() == before, "nothing is needed, nothing is done"

    running.day(4)
    assert running.worker() == edited, "a person's edit is what comes back"
    running.night(4)

    running.day(5)
    running.night(5)

    override = _wake(running, "main/work", "demo for the auditors")
    running.until(lambda: running.states()["main/work"] == "awake" and not running.plans_under_way())
    assert running.environment()["why"][0].endswith("demo for the auditors")
    assert "demo for the auditors" in running.api.get("/api/status").text
    assert running.states() == {"main/worker": "asleep", "main/work": "awake", "erp": "asleep"}
    assert running.api.delete(f"/api/overrides/{override}").status_code < 300
    running.until(lambda: running.all_are("asleep"))

    running.server.maintenance.append(_MAINTENANCE)
    running.estate.azure.start_by_itself(str(running.estate.environments["staging"].postgres["erp"].id))
    running.until(
        lambda: (
            ("awake", "maintenance")
            in [(each["state"], each["rule"]) for each in running.environment()["resources"] if each["name"] == "erp"]
        )
    )
    running.server.maintenance.clear()
    running.until(lambda: running.all_are("asleep"))
    (woken,) = running.evidence_of("woken_by_azure")
    assert woken["body"]["maintenance"] is True

    running.day(7)
    assert running.worker() == edited
    assert running.server.state == "Ready"
    assert running.rows("SELECT count(*) FROM account_move") == books
    assert running.transitions() == Counter(
        {
            "replicas 3 > 0": 2,
            "replicas 0 > 3": 2,
            "replicas 4 > 0": 3,
            "replicas 0 > 4": 3,
            "power Running > Stopped": 6,
            "power Stopped > Running": 6,
            "power Ready > Stopped": 6,
            "power Stopped > Ready": 5,
        }
    ), f"each transition once; the nodes were woken, and the server put back, once more\n{running.story()}"
    accepted = [call.path for call in running.estate.azure.arm.calls if call.status == 202]
    asked = Counter(path.rpartition("/")[2] for path in accepted if "/pg-staging/" in path)
    assert asked == {"stop": 6, "start": 5}, "Azure was asked as often"
    for kind in ("plan_failed", "failed", "drift", "woken_by_person"):
        assert running.evidence_of(kind) == [], kind


_MAINTENANCE = {
    "maintenanceEventId": "YL1T-HFG",
    "maintenanceType": "PlannedMaintenance",
    "status": "InProgress",
}


def _wake(running: Running, target: str, reason: str) -> str:
    until = (datetime.now(UTC) + timedelta(hours=8)).isoformat()
    answer = running.api.post(
        "/api/environments/staging/wake", json={"reason": reason, "until": until, "target": target}
    )
    assert answer.status_code == 202, answer.text
    override: dict[str, Any] = answer.json()["override"]
    return override["id"]
