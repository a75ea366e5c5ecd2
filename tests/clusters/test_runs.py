"""Whole runs on the functions host, against clusters that refuse, and in workers that die."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from local.azure.faults import Fault
from local.azure.simulator import AzureSimulator
from local.functions_host import FunctionsHost, HostConfig
from shared.changes import claims
from shared.changes.change import Change, Originals
from shared.changes.execution import Result
from shared.changes.originals import Originals as Saved
from shared.changes.policy import RetryRule
from shared.platforms.kubernetes_workloads import NOTE
from tests.changes.conftest import Running
from tests.changes.world import FAST, World
from tests.clusters.places import Place, change

APP = Path(__file__).parent / "app"
COUNT = 50


@pytest.fixture
def app(azure: AzureSimulator, tmp_path: Path) -> Iterator[Running]:
    world = World(tmp_path / "world")
    world.set_rules(replace(FAST, retry=RetryRule(timedelta(seconds=0.1), timedelta(seconds=0.5), 3)))
    settings = {**azure.settings(), "AKS_SETTLE_SECONDS": "0", "WORLD": str(tmp_path / "world")}
    with FunctionsHost(HostConfig(app=APP, data=tmp_path / "data", port=0, settings=settings)) as host:
        host.wait_ready()
        yield Running(host, world)


def sleep(target: str, **more: object) -> Change:
    return change("kubernetes-workload", target, "sleep", {"replicas": 0, "autoscaling": "off"}, **more)


def wake(target: str) -> Change:
    return change(
        *("kubernetes-workload", target, "wake", {"replicas": 3, "autoscaling": "on"}),
        occasion="morning",
        originals=Originals.GIVE_BACK,
    )


def originals(app: Running, asleep: Change) -> Saved | None:
    return claims.get_originals(app.world.services().store, asleep)


def test_ten_of_fifty_that_are_refused_are_tried_again_as_told_and_the_rest_is_done(app: Running, place: Place) -> None:
    """Acceptance probe 6. Cloud Custodian and py-kube-downscaler end with exit status 0 after such a run.

    Five workloads are refused for good and told as failures, five twice with 409 or 429 and then let through: nothing
    is lost, nothing is told as done that is not.
    """
    targets = {f"web-{number:02}": place.deploy(f"web-{number:02}", 1 + number % 3) for number in range(COUNT)}
    replicas = {name: place.replicas(name) for name in targets}
    faults = place.kubernetes.faults
    refused = []
    for number in range(10):
        name = f"web-{number:02}"
        status = 409 if number % 2 else 429
        lasting = number < 5
        given = {"status": status, "retry_after": None if status == 409 else 1, "times": None if lasting else 2}
        refused.append(faults.add(Fault(service="kubernetes", method="PATCH", path=f"/{name}$", **given)))
    patience = [timedelta(seconds=6 if number < 5 else 90) for number in range(COUNT)]
    changes = [sleep(target, apply_within=within) for target, within in zip(targets.values(), patience, strict=True)]
    app.start("fifty", *changes, fails=True)
    over = app.finished("fifty", 120)
    assert over["runtimeStatus"] == "Failed", "a run with failures is a failed run"
    for number in range(5):
        assert f"web-{number:02}" in json.dumps(over), "which names each"
    asleep = [name for name in targets if place.replicas(name) == 0]
    assert asleep == [f"web-{number:02}" for number in range(5, COUNT)]
    assert all(one.applied == 2 for one in refused[5:])
    for one, each in zip(changes, targets, strict=True):
        saved = originals(app, one)
        assert saved is not None
        assert saved.layers["replicas"][-1].found == replicas[each], "no original is lost"
    waited = [
        _seconds_between(app, one, "gate_decision", "applied")
        for one, fault in zip(changes, refused, strict=False)
        if fault.retry_after and fault.times
    ]
    assert min(waited) >= 2, "Retry-After is obeyed, twice a second"

    faults.clear()
    some = list(targets)[:12]
    app.start("morning", *(wake(targets[name]) for name in some))
    ended = app.ended("morning", 120)
    assert {one.result for one in ended.values()} <= {Result.SUCCEEDED, Result.LEFT_ALONE}
    assert [place.replicas(name) for name in some] == [replicas[name] for name in some]


def test_a_crash_between_saving_and_scaling_loses_nothing(app: Running, place: Place) -> None:
    """Acceptance probe 7. kube-green writes what it needs for waking after it has put things to sleep."""
    target = place.deploy("web", 3)
    (app.world.folder / "die-before-apply").touch()
    restarts = app.host.worker_restarts
    asleep = sleep(target)
    assert app.run("night", asleep)[target].result is Result.SUCCEEDED
    assert app.host.worker_restarts == restarts + 1
    assert place.replicas("web") == 0
    saved = originals(app, asleep)
    assert saved is not None
    assert saved.layers["replicas"][-1].found == 3
    note = place.get("Deployment", "web")["metadata"]["annotations"][NOTE]
    assert json.loads(note)["found"] == {"replicas": 3}
    assert app.run("morning", wake(target))[target].result is Result.SUCCEEDED
    assert place.replicas("web") == 3


def _seconds_between(app: Running, one: Change, first: str, last: str) -> float:
    times = {
        record["kind"]: datetime.fromisoformat(record["time"])
        for record in app.world.records()
        if record["body"].get("change_id") == one.id
    }
    return (times[last] - times[first]).total_seconds()
