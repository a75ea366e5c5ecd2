"""Failed Jobs and crashing workers: in the Kubernetes simulator, run again or restarted for real, and verified."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from local.embedded_estate import EmbeddedEstate
from local.kubernetes.controllers.pods import PodPlan
from local.kubernetes.resources import CRON_JOBS, DEPLOYMENTS, JOBS
from local.kubernetes.simulator import KubernetesSimulator
from shared.changes.state import adapter
from shared.shutdown_schedules.memory import Condition, Memory, Sleeper
from shared.shutdown_schedules.wishes import Want
from tests.drills.running import app
from tests.remediation.running import Team, quick_estate
from tests.remediation.test_odoo import TRANSIENT, Books

NAMESPACE = "odoo"
CRON = "nightly-dump"


@pytest.fixture
def cluster(estate: EmbeddedEstate) -> Iterator[KubernetesSimulator]:
    """The cluster, with a nightly dump that has a memory limit and gives up at once."""
    running = estate.clusters["production", "main"]
    template = running.get(CRON_JOBS, NAMESPACE, CRON)["spec"]["jobTemplate"]
    containers = [
        {**each, "resources": {"limits": {"memory": "512Mi"}}}
        for each in template["spec"]["template"]["spec"]["containers"]
    ]
    pod = {**template["spec"]["template"], "spec": {**template["spec"]["template"]["spec"], "containers": containers}}
    spec = {**template["spec"], "backoffLimit": 0, "template": pod}
    running.edit(CRON_JOBS, NAMESPACE, CRON, jobTemplate={**template, "spec": spec})
    yield running
    running.kubelets.plans.clear()


def awaited(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def state(cluster: KubernetesSimulator, name: str, namespace: str = NAMESPACE) -> str:
    conditions = cluster.get(JOBS, namespace, name)["status"].get("conditions") or []
    held = {one["type"] for one in conditions if one["status"] == "True"}
    return "complete" if "Complete" in held else "failed" if "Failed" in held else "active"


def a_failed_job(
    cluster: KubernetesSimulator,
    name: str,
    *,
    log: str,
    reason: str = "",
    exit_code: int = 1,
    owned: bool = True,
    namespace: str = NAMESPACE,
) -> None:
    """A Job whose one pod ends with that log; owned by the CronJob of the nightly dump unless said otherwise."""
    cluster.kubelets.plans.insert(
        0, PodPlan(name=f"{name}-*", times=1, run_seconds=0.1, exit_code=exit_code, reason=reason, log=log)
    )
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": {"app": "dump"}}
    if owned:
        cron = cluster.get(CRON_JOBS, NAMESPACE, CRON)
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "controller": True, "name": CRON}
        metadata["ownerReferences"] = [{**owner, "uid": cron["metadata"]["uid"]}]
    container = {
        "name": "dump",
        "image": "dump:1",
        "resources": {"limits": {"memory": "512Mi"}},
    }
    pod = {"restartPolicy": "Never", "containers": [container]}
    spec = {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": "dump"}}, "spec": pod}}
    cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
    awaited(lambda: state(cluster, name, namespace) == "failed")


def repetitions(cluster: KubernetesSimulator, name: str) -> list[dict[str, Any]]:
    uid = cluster.get(JOBS, NAMESPACE, name)["metadata"]["uid"]
    jobs = [job for job in cluster.store.all(JOBS) if job["metadata"]["namespace"] == NAMESPACE]
    return [job for job in jobs if (job["metadata"].get("annotations") or {}).get("closekeeper.io/rerun-of") == uid]


def told(team: Team, symptom: str, what: str, fault: str = "") -> str:
    """The remediation of a fault that is told of now."""
    cluster = str(team.estate.environments["production"].clusters["main"].id)
    alert = team.fires(symptom, fault or what, resource=cluster, namespace=NAMESPACE, object=what)
    (signal,) = team.tell(alert)["signals"]
    return signal["remediation"]


def test_a_job_of_class_a_that_failed_by_a_passing_error_runs_again_once(
    team: Team, cluster: KubernetesSimulator
) -> None:
    secret = "s3cr3t-pw"
    a_failed_job(cluster, "nightly-dump-1", log=f"deadlock detected at postgresql://odoo:{secret}@pg/erp")
    remediation = told(team, "job-failed", "job/nightly-dump-1")
    result = team.outcome(remediation)
    assert (result["outcome"], result["case"]) == ("fixed", "passing-error"), result
    assert "deadlock detected at postgresql://odoo:[redacted" in str(team.app.records(remediation))
    kept = [team.estate.state.download_blob(blob.name).readall() for blob in team.estate.state.list_blobs()]
    kept += [str([team.app.events(f"{remediation}:fixed"), result, team.shown(remediation)]).encode()]
    assert not any(secret.encode() in each for each in kept), "what a log holds is kept and told nowhere"
    (again,) = repetitions(cluster, "nightly-dump-1")
    assert state(cluster, again["metadata"]["name"]) == "complete"
    assert again["metadata"]["ownerReferences"][0]["name"] == CRON
    assert cluster.get(JOBS, NAMESPACE, "nightly-dump-1"), "the failed one stays for who wants to look"


def test_a_job_that_was_killed_for_memory_gets_more_once(team: Team, cluster: KubernetesSimulator) -> None:
    a_failed_job(cluster, "nightly-dump-2", log="reading", reason="OOMKilled", exit_code=137)
    result = team.outcome(told(team, "out-of-memory", "job/nightly-dump-2"))
    assert (result["outcome"], result["case"]) == ("fixed", "once"), result
    (again,) = repetitions(cluster, "nightly-dump-2")
    limits = [each["resources"]["limits"]["memory"] for each in again["spec"]["template"]["spec"]["containers"]]
    assert str(512 * 1024 * 1024 * 3 // 2) in limits


@pytest.mark.parametrize(
    ("number", "log", "case"),
    [
        (3, "odoo.exceptions.ValidationError: the entry is not balanced", "wrong-data"),
        (4, "requests.exceptions.ReadTimeout: Read timed out. (POST /payments)", "unclear-end"),
        (5, "OSError: [Errno 28] No space left on device", "full"),
    ],
)
def test_what_would_fail_again_or_may_have_worked_is_not_run_again(
    team: Team, cluster: KubernetesSimulator, number: int, log: str, case: str
) -> None:
    a_failed_job(cluster, f"nightly-dump-{number}", log=log)
    result = team.outcome(told(team, "job-failed", f"job/nightly-dump-{number}"))
    assert (result["outcome"], result["case"]) == ("escalated", case)
    assert log in result["says"]
    assert repetitions(cluster, f"nightly-dump-{number}") == []


def test_a_sender_cannot_point_at_a_namespace_that_the_estate_does_not_know(
    team: Team, cluster: KubernetesSimulator
) -> None:
    a_failed_job(cluster, "cleanup-1", log="Connection refused", owned=False, namespace="kube-system")
    main = str(team.estate.environments["production"].clusters["main"].id)
    alert = team.fires("job-failed", "elsewhere", resource=main, namespace="kube-system", object="job/cleanup-1")
    (signal,) = team.tell(alert)["signals"]
    result = team.outcome(signal["remediation"])
    assert result["outcome"] == "escalated", result
    assert "the estate declares no workload in the namespace kube-system" in str(result["left"])
    jobs = [job for job in cluster.store.all(JOBS) if job["metadata"]["namespace"] == "kube-system"]
    assert [job["metadata"]["name"] for job in jobs] == ["cleanup-1"]


def test_a_failed_backup_is_made_again(team: Team, cluster: KubernetesSimulator) -> None:
    a_failed_job(cluster, "nightly-dump-6", log="Connection refused")
    result = team.outcome(told(team, "backup-failed", "job/nightly-dump-6"))
    assert (result["outcome"], result["playbook"]) == ("fixed", "failed-backup")


def test_a_repetition_that_fails_too_goes_to_a_human(team: Team, cluster: KubernetesSimulator) -> None:
    cluster.kubelets.plans.insert(
        0, PodPlan(name="nightly-dump-*", run_seconds=0.1, exit_code=1, log="Connection refused")
    )
    a_failed_job(cluster, "nightly-dump-7", log="Connection refused")
    result = team.outcome(told(team, "job-failed", "job/nightly-dump-7"))
    assert result["outcome"] == "escalated"
    assert "failed, too" in result["tried"][0]


def test_the_run_that_came_by_itself_makes_ours_needless(team: Team, cluster: KubernetesSimulator) -> None:
    a_failed_job(cluster, "nightly-dump-8", log="Connection refused")
    a_failed_job_that_succeeds(cluster, "nightly-dump-9")
    result = team.outcome(told(team, "job-failed", "job/nightly-dump-8"))
    assert (result["outcome"], result["case"]) == ("nothing-wrong", "succeeded-since")
    assert repetitions(cluster, "nightly-dump-8") == []


def a_failed_job_that_succeeds(cluster: KubernetesSimulator, name: str) -> None:
    cron = cluster.get(CRON_JOBS, NAMESPACE, CRON)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "controller": True, "name": CRON}
    time.sleep(1.1)  # the API's times are whole seconds
    cluster.create(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "ownerReferences": [{**owner, "uid": cron["metadata"]["uid"]}],
            },
            "spec": cron["spec"]["jobTemplate"]["spec"],
        }
    )
    awaited(lambda: state(cluster, name) == "complete")


def test_a_worker_that_crashes_by_a_passing_error_is_restarted(team: Team, cluster: KubernetesSimulator) -> None:
    plan = PodPlan(name="worker-*", run_seconds=0.1, exit_code=1, log="server closed the connection unexpectedly")
    _crash(cluster, "worker", plan)
    cluster.kubelets.plans.clear()  # what it needs is there again, but its pods wait longer and longer
    result = team.outcome(told(team, "crash-loop", "deployment/worker"))
    assert (result["outcome"], result["case"]) == ("fixed", "passing-error"), result
    template = cluster.get(DEPLOYMENTS, NAMESPACE, "worker")["spec"]["template"]
    assert template["metadata"]["annotations"]["closekeeper.io/restarted"].endswith(":1:1")


def test_a_worker_that_always_ends_alike_is_not_restarted(team: Team, cluster: KubernetesSimulator) -> None:
    plan = PodPlan(name="cron-*", run_seconds=0.1, exit_code=1, log="odoo: error: no such option: --workers4")
    _crash(cluster, "cron", plan)
    cluster.kubelets.plans.clear()
    before = cluster.get(DEPLOYMENTS, NAMESPACE, "cron")["spec"]["template"]
    result = team.outcome(told(team, "crash-loop", "deployment/cron"))
    assert (result["outcome"], result["case"]) in {("escalated", "same-end"), ("escalated", "bad-rollout")}
    assert cluster.get(DEPLOYMENTS, NAMESPACE, "cron")["spec"]["template"] == before


def _crash(cluster: KubernetesSimulator, name: str, plan: PodPlan) -> None:
    """Let all pods of a workload crash until Kubernetes backs off."""
    from local.kubernetes.resources import PODS

    cluster.kubelets.plans.insert(0, plan)
    for pod in [one for one in cluster.store.all(PODS) if one["metadata"]["name"].startswith(f"{name}-")]:
        cluster.delete(PODS, NAMESPACE, pod["metadata"]["name"])

    def crashed() -> bool:
        pods = [one for one in cluster.store.all(PODS) if one["metadata"]["name"].startswith(f"{name}-")]
        counts = [
            status["restartCount"]
            for pod in pods
            for status in (pod.get("status") or {}).get("containerStatuses") or []
        ]
        if counts and min(counts) < 3:
            cluster.advance(60)
        return bool(counts) and min(counts) >= 3

    awaited(crashed, 60)


def test_what_does_not_come_up_in_production_is_for_people(team: Team, cluster: KubernetesSimulator) -> None:
    before = cluster.get(DEPLOYMENTS, NAMESPACE, "web")["spec"]["template"]
    plan = PodPlan(name="web-*", run_seconds=0.1, exit_code=1, log="server closed the connection unexpectedly")
    _crash(cluster, "web", plan)
    result = team.outcome(told(team, "start-stuck", "deployment/web"))
    assert (result["outcome"], result["case"]) == ("escalated", "production"), result
    assert any("kubectl describe deployment/web -n odoo" in command for command in result["commands"]), result
    assert cluster.get(DEPLOYMENTS, NAMESPACE, "web")["spec"]["template"] == before


@pytest.fixture(scope="module")
def elsewhere(estate: EmbeddedEstate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The app, for which the environment is none of production's, and sleeps by a schedule that nobody carries out."""
    folder = tmp_path_factory.mktemp("elsewhere")
    file = quick_estate(estate, folder / "declared", stage="staging")
    declared = yaml.safe_load(file.read_text())
    covers = {"environment": "production"}
    declared["shutdown_schedules"] = {"nights": {"covers": covers, "awake": "Mon-Fri 07:00-20:00", "clusters": "stop"}}
    file.write_text(yaml.safe_dump(declared, sort_keys=False))
    with app(estate, folder / "host", ESTATE_FILE=str(file), SHUTDOWN_SCHEDULES_SCHEDULE="0 0 0 1 1 *") as running:
        yield Team(running)


def test_what_does_not_come_up_elsewhere_is_restarted(elsewhere: Team, cluster: KubernetesSimulator) -> None:
    plan = PodPlan(name="web-*", run_seconds=0.1, exit_code=1, log="server closed the connection unexpectedly")
    _crash(cluster, "web", plan)
    cluster.kubelets.plans.clear()  # what it needs is there by now, but its pods wait longer and longer
    result = elsewhere.outcome(told(elsewhere, "start-stuck", "deployment/web", fault="elsewhere"))
    assert (result["outcome"], result["case"]) == ("fixed", "stuck"), result
    template = cluster.get(DEPLOYMENTS, NAMESPACE, "web")["spec"]["template"]
    assert template["metadata"]["annotations"]["closekeeper.io/restarted"]


def test_the_poll_tells_nothing_of_what_sleeps_on_purpose_until_it_is_awake(
    elsewhere: Team, cluster: KubernetesSimulator
) -> None:
    a_failed_job(cluster, "asleep-1", log="Connection refused", owned=False)
    Books(elsewhere.estate).fail_jobs("res.partner", "compute_statistics", [1], TRANSIENT)
    production = elsewhere.estate.environments["production"]
    places = [str(production.clusters["main"].id), *(str(server.id) for server in production.postgres.values())]
    asleep = Sleeper(condition=Condition.ASLEEP, want=Want.ASLEEP, since=datetime.now(UTC), sentence="it is night")
    memory = adapter(Memory).dump_json(Memory(sleepers={place.casefold(): asleep for place in places}))
    elsewhere.estate.state.upload_blob("sleep/production.json", memory, overwrite=True)
    try:
        began = datetime.now(UTC)
        elsewhere.reconciled(lambda: _polled_at(elsewhere) > began)
        assert not _found(elsewhere)
    finally:
        elsewhere.estate.state.delete_blob("sleep/production.json")
    assert elsewhere.reconciled(lambda: _found(elsewhere) >= {"job-failed", "queue-jobs-failed"})


def _polled_at(team: Team) -> datetime:
    """When the last poll that is over began."""
    blobs = [blob.name for blob in team.estate.state.list_blobs(name_starts_with="remediation/poll")]
    kept = json.loads(team.estate.state.download_blob(blobs[0]).readall()) if blobs else {"at": "1970-01-01T00:00:00Z"}
    return datetime.fromisoformat(kept["at"])


def _found(team: Team) -> set[str]:
    """The symptoms that the poll told of this Job, and of the tenant's queue."""
    listed = team.api.get("/api/remediations", params={"open": "false"}).json()["value"]
    return {
        one["symptom"] for one in listed if "asleep-1" in one["title"] or one["title"] == "Queue jobs of contoso failed"
    }
