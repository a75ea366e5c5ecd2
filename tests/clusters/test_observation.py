"""What is seen of a cluster: everything wanted, in one list per kind, and why nothing is seen when nothing is."""

from datetime import UTC, datetime, timedelta
from typing import Any

from functions.adapters.observation import ClusterObservation, ObservedWorkload, observe_cluster
from shared.changes.change import Change
from shared.changes.execution import Result
from tests.clusters.driver import Driver
from tests.clusters.places import NAMESPACE, Place, autoscaler, change
from tests.local.azure.clients import wait_until
from tests.local.kubernetes import objects


def by_name(seen: ClusterObservation) -> dict[str, ObservedWorkload]:
    return {one.target.rpartition("/")[2]: one for one in seen.workloads}


def sleep(target: str) -> Change:
    return change("kubernetes-workload", target, "sleep", {"replicas": 0, "autoscaling": "off"})


def lists(place: Place) -> list[str]:
    return [path for method, path in place.kubernetes.api.calls if method == "GET"]


def test_one_list_per_kind_however_many_namespaces(place: Place) -> None:
    for namespace in ("odoo", "odoo-parent", "jobs", "elsewhere"):
        place.kubernetes.create(objects.deployment("web", 1, namespace=namespace))
    place.kubernetes.create(objects.cron_job("dump", "0 1 * * *", namespace="jobs"))
    place.kubernetes.api.calls.clear()
    seen = observe_cluster(place.id, ["odoo", "odoo-parent", "jobs"])
    assert len(lists(place)) == 5
    assert not [path for path in lists(place) if "/pods" in path]
    assert sorted(one.target.partition("//")[2] for one in seen.workloads) == [
        "cronjob/jobs/dump",
        "deployment/jobs/web",
        "deployment/odoo-parent/web",
        "deployment/odoo/web",
    ]


def test_a_single_namespace_is_listed_alone(place: Place) -> None:
    place.deploy("web", 1)
    place.kubernetes.api.calls.clear()
    observe_cluster(place.id, [NAMESPACE])
    assert all(f"/namespaces/{NAMESPACE}/" in path for path in lists(place))


def test_states_are_those_that_changes_speak_of(place: Place, driver: Driver) -> None:
    web, worker = place.deploy("web", 2), place.deploy("worker", 3)
    place.kubernetes.create(autoscaler("web", 2, 6))
    place.kubernetes.create(objects.cron_job("dump", "0 1 * * *", namespace=NAMESPACE, suspend=True))
    assert driver.run(sleep(worker)).result is Result.SUCCEEDED
    wait_until(lambda: place.get("Deployment", "web").get("status", {}).get("readyReplicas") == 2)
    seen = by_name(observe_cluster(place.id, [NAMESPACE]))
    assert (seen["web"].state, seen["web"].ready, seen["web"].rolling) == (
        {"replicas": 2, "autoscaling": "on"},
        2,
        False,
    )
    assert (seen["worker"].state, seen["worker"].ready) == ({"replicas": 0, "autoscaling": "off"}, 0)
    assert (seen["web"].original, seen["worker"].original) == (None, {"replicas": 3})
    assert (seen["dump"].kind, seen["dump"].state) == ("kubernetes-cronjob", {"suspend": True})
    assert seen["web"].target == web
    assert datetime.now(UTC) - seen["web"].created < timedelta(minutes=5)


def test_an_edit_by_a_person_is_told_from_ours_and_the_controllers(place: Place, driver: Driver) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    target = place.deploy("web", 3)
    assert driver.run(sleep(target)).result is Result.SUCCEEDED
    ours = by_name(observe_cluster(place.id, [NAMESPACE]))["web"]
    assert ours.edited is None
    place.scale_by_hand("web", 1)
    theirs = by_name(observe_cluster(place.id, [NAMESPACE]))["web"]
    assert theirs.edited is not None
    assert theirs.edited >= before
    assert theirs.original is None, "what we set is no longer there"


def test_a_cluster_that_does_not_answer_says_why(place: Place) -> None:
    place.kubernetes.reachable = False
    seen = observe_cluster(place.id, [NAMESPACE])
    assert not seen.answers
    assert "the cluster's API does not answer" in seen.why
    assert seen.workloads == ()


def test_a_long_list_that_expires_is_read_again(place: Place, monkeypatch: Any) -> None:
    from shared.platforms import kubernetes

    for number in range(3):
        place.deploy(f"web-{number}", 0)
    pages = kubernetes.Cluster.list
    expired: list[str] = []

    def expiring(self: Any, kind: Any, namespace: str = "", **more: Any) -> Any:
        for number, obj in enumerate(pages(self, kind, namespace, **more | {"page_size": 1})):
            if kind is kubernetes.DEPLOYMENTS and number == 1 and not expired:
                expired.append(kind.plural)
                place.kubernetes.expire_history()
            yield obj

    monkeypatch.setattr(kubernetes.Cluster, "list", expiring)
    seen = observe_cluster(place.id, [NAMESPACE])
    assert expired
    assert sorted(by_name(seen)) == ["web-0", "web-1", "web-2"]
