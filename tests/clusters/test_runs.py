"""Whole runs on the functions host, against clusters that refuse, and in workers that die."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
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


def test_ten_of_fifty_that_keep_being_refused_are_named_as_failures_and_the_other_forty_are_done(
    app: Running, place: Place
) -> None:
    """Acceptance probe 6. Cloud Custodian and py-kube-downscaler end with exit status 0 after such a run.

    Ten are answered 409 or 429 until their time is up: the run fails and names exactly these ten, has obeyed
    Retry-After each time, has done the others, and what the fifty were is saved; at the next run the ten are done, too.
    """
    targets = {f"web-{number:02}": place.deploy(f"web-{number:02}", 1 + number % 3) for number in range(COUNT)}
    replicas = {name: place.replicas(name) for name in targets}
    refused = list(targets)[::5]
    faults = [
        place.kubernetes.faults.add(
            Fault(
                service="kubernetes",
                method="PATCH",
                path=f"/{name}$",
                status=429 if number % 2 else 409,
                retry_after=1 if number % 2 else None,
                times=None,
            )
        )
        for number, name in enumerate(refused)
    ]
    changes = {
        name: sleep(target, apply_within=timedelta(seconds=6 if name in refused else 90))
        for name, target in targets.items()
    }
    app.start("fifty", *changes.values(), fails=True)
    over = app.finished("fifty", 120)
    assert over["runtimeStatus"] == "Failed", "a run with failures is a failed run"
    named = {name for name in targets if name in json.dumps(over["output"])}
    assert named == set(refused), "which names each of the ten, and nothing else"
    failed = {record["body"]["change_id"] for record in app.world.records() if record["kind"] == "failed"}
    assert failed == {changes[name].id for name in refused}
    assert {name for name in targets if place.replicas(name) == 0} == set(targets) - set(refused)
    for name in refused:
        assert place.replicas(name) == replicas[name]
    for fault in faults:
        assert fault.applied >= 2, "each is tried again"
        pauses = [later - earlier for earlier, later in pairwise(fault.applied_at)]
        assert min(pauses) >= (fault.retry_after or 0), "and never before Retry-After"
    for name, one in changes.items():
        saved = originals(app, one)
        assert saved is not None
        assert saved.layers["replicas"][-1].found == replicas[name], "no original is lost"

    place.kubernetes.faults.clear()
    again = app.run("again", *(changes[name] for name in refused))
    assert {one.result for one in again.values()} == {Result.SUCCEEDED}
    some = list(targets)[:6]
    ended = app.run("morning", *(wake(targets[name]) for name in some))
    assert {one.result for one in ended.values()} == {Result.SUCCEEDED}
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
