"""What becomes of objects as time passes, seen through the objects themselves."""

from typing import Any

import pytest

from local.kubernetes.controllers.pods import PodPlan
from local.kubernetes.resources import (
    AUTOSCALERS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    NODES,
    PODS,
    REPLICA_SETS,
    SCALED_OBJECTS,
    STATEFUL_SETS,
    Resource,
)
from local.kubernetes.simulator import KubernetesSimulator
from tests.local.kubernetes.objects import (
    autoscaler,
    cron_job,
    deployment,
    job,
    pod_template,
    scaled_object,
    stateful_set,
)


def pods(simulator: KubernetesSimulator, namespace: str = "odoo") -> list[dict[str, Any]]:
    return simulator.store.all(PODS, namespace)


def status(simulator: KubernetesSimulator, resource: Resource, name: str) -> dict[str, Any]:
    return simulator.get(resource, "odoo", name)["status"]


def conditions(simulator: KubernetesSimulator, resource: Resource, name: str) -> dict[str, tuple[str, str]]:
    found = status(simulator, resource, name).get("conditions", [])
    return {item["type"]: (item["status"], item.get("reason", "")) for item in found}


def test_a_deployment_is_ready_after_its_pods_are(simulator: KubernetesSimulator) -> None:
    simulator.create(deployment("web", 2))
    assert [pod["status"]["phase"] for pod in pods(simulator)] == ["Pending", "Pending"]
    assert status(simulator, DEPLOYMENTS, "web")["unavailableReplicas"] == 2
    simulator.advance(1.1)
    assert [pod["status"]["phase"] for pod in pods(simulator)] == ["Running", "Running"]
    assert "readyReplicas" not in status(simulator, DEPLOYMENTS, "web")
    simulator.advance(1)
    assert status(simulator, DEPLOYMENTS, "web")["readyReplicas"] == 2
    assert conditions(simulator, DEPLOYMENTS, "web")["Available"] == ("True", "MinimumReplicasAvailable")


def test_scaling_to_zero_ends_the_pods_after_a_while(simulator: KubernetesSimulator) -> None:
    simulator.create(deployment("web", 3))
    simulator.advance(5)
    simulator.edit(DEPLOYMENTS, "odoo", "web", replicas=0)
    assert all(pod["metadata"]["deletionTimestamp"] for pod in pods(simulator))
    simulator.advance(1)
    assert pods(simulator) == []
    after = status(simulator, DEPLOYMENTS, "web")
    assert "replicas" not in after
    assert after["observedGeneration"] == simulator.get(DEPLOYMENTS, "odoo", "web")["metadata"]["generation"] == 2


def test_a_new_template_replaces_the_pods_and_keeps_the_old_replica_set(simulator: KubernetesSimulator) -> None:
    simulator.create(deployment("web", 2))
    simulator.advance(5)
    former = {pod["metadata"]["name"] for pod in pods(simulator)}
    simulator.edit(DEPLOYMENTS, "odoo", "web", template=pod_template("web", priorityClassName="high"))
    assert former < {pod["metadata"]["name"] for pod in pods(simulator)}
    simulator.advance(5)
    assert len(pods(simulator)) == 2
    assert not former & {pod["metadata"]["name"] for pod in pods(simulator)}
    assert sorted(item["spec"]["replicas"] for item in simulator.store.all(REPLICA_SETS, "odoo")) == [0, 2]


def test_pods_without_room_wait_for_a_node_and_say_why(simulator: KubernetesSimulator) -> None:
    for node in ("node-1", "node-2"):
        simulator.edit(NODES, "", node, unschedulable=True)
    simulator.create(deployment("web", 1))
    simulator.advance(60)
    (pod,) = pods(simulator)
    (scheduled,) = pod["status"]["conditions"]
    assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
    assert scheduled["message"] == "0/2 nodes are available: 2 node(s) were unschedulable."
    assert [event["reason"] for event in simulator.store.all(EVENTS, "odoo")] == ["FailedScheduling"]
    simulator.add_node("node-3", ready_after=30)
    simulator.advance(29)
    assert "nodeName" not in pods(simulator)[0]["spec"]
    simulator.advance(1)
    simulator.advance(5)
    assert pods(simulator)[0]["spec"]["nodeName"] == "node-3"
    assert status(simulator, DEPLOYMENTS, "web")["readyReplicas"] == 1


def test_requests_fill_a_node(simulator: KubernetesSimulator) -> None:
    big = deployment("web", 3)
    container = big["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "2500m", "memory": "1Gi"}}
    simulator.create(big)
    simulator.advance(5)
    assert status(simulator, DEPLOYMENTS, "web")["readyReplicas"] == 2
    simulator.edit(DEPLOYMENTS, "odoo", "web", replicas=1)
    simulator.advance(5)
    simulator.edit(DEPLOYMENTS, "odoo", "web", replicas=2)
    simulator.advance(5)
    assert status(simulator, DEPLOYMENTS, "web")["readyReplicas"] == 2, "the room that pods left is free again"


def test_pods_of_a_lost_node_come_up_elsewhere(simulator: KubernetesSimulator) -> None:
    simulator.create(deployment("web", 4))
    simulator.advance(5)
    assert {pod["spec"]["nodeName"] for pod in pods(simulator)} == {"node-1", "node-2"}
    simulator.remove_node("node-1")
    simulator.advance(5)
    assert [pod["spec"]["nodeName"] for pod in pods(simulator)] == ["node-2"] * 4
    assert status(simulator, DEPLOYMENTS, "web")["readyReplicas"] == 4


def test_a_stateful_set_comes_up_in_order_and_goes_down_from_the_last(simulator: KubernetesSimulator) -> None:
    simulator.create(stateful_set("redis", 3))
    simulator.advance(1)
    assert [pod["metadata"]["name"] for pod in pods(simulator)] == ["redis-0"]
    simulator.advance(10)
    assert [pod["metadata"]["name"] for pod in pods(simulator)] == ["redis-0", "redis-1", "redis-2"]
    assert status(simulator, STATEFUL_SETS, "redis")["readyReplicas"] == 3
    simulator.edit(STATEFUL_SETS, "odoo", "redis", replicas=1)
    leaving = [pod["metadata"]["name"] for pod in pods(simulator) if pod["metadata"].get("deletionTimestamp")]
    assert leaving == ["redis-2"]
    simulator.advance(5)
    assert [pod["metadata"]["name"] for pod in pods(simulator)] == ["redis-0"]


def test_a_daemon_set_has_a_pod_on_each_node(simulator: KubernetesSimulator) -> None:
    agent = {**deployment("agent"), "kind": "DaemonSet"}
    del agent["spec"]["replicas"]
    simulator.create(agent)
    simulator.advance(5)
    assert status(simulator, DAEMON_SETS, "agent")["numberReady"] == 2
    simulator.add_node("node-3")
    simulator.advance(5)
    assert {pod["spec"]["nodeName"] for pod in pods(simulator)} == {"node-1", "node-2", "node-3"}
    simulator.remove_node("node-2")
    simulator.advance(5)
    assert status(simulator, DAEMON_SETS, "agent")["desiredNumberScheduled"] == 2


def test_a_job_completes(simulator: KubernetesSimulator) -> None:
    simulator.create(job("import", parallelism=2, completions=3))
    assert status(simulator, JOBS, "import")["active"] == 2
    simulator.advance(10)
    after = status(simulator, JOBS, "import")
    assert after["succeeded"] == 3
    assert "active" not in after
    assert conditions(simulator, JOBS, "import")["Complete"] == ("True", "CompletionsReached")


def test_a_failing_job_tries_again_until_its_limit_and_leaves_logs(simulator: KubernetesSimulator) -> None:
    simulator.kubelets.plans.append(PodPlan("import-*", exit_code=1, log="connecting\nFATAL: no such database"))
    simulator.create(job("import", backoffLimit=1))
    simulator.advance(8)
    assert status(simulator, JOBS, "import")["failed"] == 1
    assert len(pods(simulator)) == 1, "the next try waits ten seconds"
    simulator.advance(5)
    assert len(pods(simulator)) == 2
    simulator.advance(30)
    assert conditions(simulator, JOBS, "import")["Failed"] == ("True", "BackoffLimitExceeded")
    assert status(simulator, JOBS, "import")["failed"] == 2
    pod = pods(simulator)[0]
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 1
    assert simulator.kubelets.read_log(pod, "", False, 1) == "FATAL: no such database\n"


def test_a_job_past_its_deadline_fails(simulator: KubernetesSimulator) -> None:
    simulator.kubelets.plans.append(PodPlan("import-*", run_seconds=600))
    simulator.create(job("import", activeDeadlineSeconds=60))
    simulator.advance(61)
    simulator.advance(5)
    assert conditions(simulator, JOBS, "import")["Failed"] == ("True", "DeadlineExceeded")
    assert pods(simulator) == []


def test_a_finished_job_goes_with_its_pods_after_its_time_to_live(simulator: KubernetesSimulator) -> None:
    simulator.create(job("import", ttlSecondsAfterFinished=100))
    simulator.advance(10)
    assert conditions(simulator, JOBS, "import")["Complete"][0] == "True"
    simulator.advance(100)
    simulator.advance(5)
    assert simulator.store.all(JOBS, "odoo") == []
    assert pods(simulator) == []


def test_suspending_a_job_removes_its_pods_and_a_cron_job_leaves_them(simulator: KubernetesSimulator) -> None:
    simulator.kubelets.plans.append(PodPlan(run_seconds=600))
    simulator.create(job("import"))
    simulator.create(cron_job("dump", "1 6 * * *"))
    simulator.advance(40)
    assert len(pods(simulator)) == 2
    simulator.edit(JOBS, "odoo", "import", suspend=True)
    simulator.edit(CRON_JOBS, "odoo", "dump", suspend=True)
    simulator.advance(5)
    (left,) = pods(simulator)
    assert left["metadata"]["name"].startswith("dump-")
    assert conditions(simulator, JOBS, "import")["Suspended"] == ("True", "JobSuspended")
    simulator.edit(JOBS, "odoo", "import", suspend=False)
    assert len(pods(simulator)) == 2
    assert conditions(simulator, JOBS, "import")["Suspended"] == ("False", "JobResumed")


def test_a_cron_job_starts_on_time_and_tidies_up(simulator: KubernetesSimulator) -> None:
    simulator.create(cron_job("mail", "*/5 * * * *", successfulJobsHistoryLimit=2))
    for _ in range(40):
        simulator.advance(30)
    names = [item["metadata"]["name"] for item in simulator.store.all(JOBS, "odoo")]
    assert len(names) == 2
    assert status(simulator, CRON_JOBS, "mail")["lastScheduleTime"] == "2026-11-20T06:20:00Z"
    assert "lastSuccessfulTime" in status(simulator, CRON_JOBS, "mail")


@pytest.mark.parametrize(("deadline", "started"), [(None, 1), (60, 0)])
def test_resuming_a_cron_job_makes_up_for_one_missed_run(
    simulator: KubernetesSimulator, deadline: int | None, started: int
) -> None:
    more = {} if deadline is None else {"startingDeadlineSeconds": deadline}
    simulator.create(cron_job("mail", "*/5 * * * *", suspend=True, **more))
    simulator.advance(23 * 60)
    assert simulator.store.all(JOBS, "odoo") == []
    simulator.edit(CRON_JOBS, "odoo", "mail", suspend=False)
    assert len(simulator.store.all(JOBS, "odoo")) == started


def test_a_forbidding_cron_job_waits_for_the_former_run(simulator: KubernetesSimulator) -> None:
    simulator.kubelets.plans.append(PodPlan(run_seconds=400))
    simulator.create(cron_job("mail", "*/5 * * * *", concurrencyPolicy="Forbid"))
    for _ in range(11):
        simulator.advance(60)
    assert len(simulator.store.all(JOBS, "odoo")) == 1
    assert "JobAlreadyActive" in {event["reason"] for event in simulator.store.all(EVENTS, "odoo")}


def test_a_crashing_container_is_started_again_ever_later(simulator: KubernetesSimulator) -> None:
    simulator.kubelets.plans.append(PodPlan("web-*", run_seconds=3, exit_code=137, reason="OOMKilled", log="loading"))
    simulator.create(deployment("web", 1))
    simulator.advance(6)
    (pod,) = pods(simulator)
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container["lastState"]["terminated"]["reason"] == "OOMKilled"
    assert container["restartCount"] == 1
    assert simulator.kubelets.read_log(pod, "", True, None) == "loading\n"
    simulator.advance(14)
    simulator.advance(5)
    assert pods(simulator)[0]["status"]["containerStatuses"][0]["restartCount"] == 2


def test_an_autoscaler_raises_to_its_minimum_and_leaves_zero_alone(simulator: KubernetesSimulator) -> None:
    simulator.create(deployment("web", 1))
    simulator.create(deployment("worker", 0))
    simulator.create(autoscaler("web", 2, 6))
    simulator.create(autoscaler("worker", 2, 6))
    simulator.advance(16)
    assert simulator.get(DEPLOYMENTS, "odoo", "web")["spec"]["replicas"] == 2
    assert simulator.get(DEPLOYMENTS, "odoo", "worker")["spec"]["replicas"] == 0
    assert conditions(simulator, AUTOSCALERS, "worker")["ScalingActive"] == ("False", "ScalingDisabled")
    simulator.autoscalers.wanted["odoo", "web"] = 9
    simulator.advance(16)
    assert simulator.get(DEPLOYMENTS, "odoo", "web")["spec"]["replicas"] == 6


def test_keda_rules_a_workload_unless_paused(simulator: KubernetesSimulator) -> None:
    simulator.create(deployment("worker", 1))
    simulator.create(scaled_object("worker"))
    simulator.advance(16)
    assert simulator.get(DEPLOYMENTS, "odoo", "worker")["spec"]["replicas"] == 2
    item = simulator.get(SCALED_OBJECTS, "odoo", "worker")
    paused = {"autoscaling.keda.sh/paused-replicas": "0"}
    simulator.store.put(SCALED_OBJECTS, {**item, "metadata": {**item["metadata"], "annotations": paused}})
    simulator.advance(16)
    assert simulator.get(DEPLOYMENTS, "odoo", "worker")["spec"]["replicas"] == 0
    assert simulator.store.all(AUTOSCALERS, "odoo") == []
    assert conditions(simulator, SCALED_OBJECTS, "worker")["Paused"] == ("True", "ScaledObjectPaused")
