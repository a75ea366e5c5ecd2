"""Jobs and CronJobs."""

from datetime import datetime, timedelta

from local.kubernetes.clock import read, written
from local.kubernetes.controllers.loop import (
    ControlLoop,
    condition,
    is_active,
    make_pod,
    owner_reference,
    with_conditions,
)
from local.kubernetes.registry import CONTROLLERS, Writer
from local.kubernetes.resources import CRON_JOBS, JOBS, PODS
from local.kubernetes.schedules import Schedule
from local.kubernetes.store import Object

_WRITER = Writer(manager=CONTROLLERS)
_MOST_MISSED = 100


class Jobs:
    """Pods until enough have succeeded or too many failed; a failed one is followed after 10 s, 20 s, 40 s..."""

    def __init__(self, loop: ControlLoop) -> None:
        self._loop = loop
        self._woken: dict[str, datetime] = {}
        loop.reconcilers[JOBS] = self._job
        loop.reconcilers[CRON_JOBS] = self._cron_job

    def _job(self, job: Object) -> None:
        if job["metadata"].get("deletionTimestamp"):
            return
        if finished(job):
            return
        spec, status = job["spec"], dict(job.get("status") or {})
        pods = self._loop.store.owned_by(job, PODS)
        active = [pod for pod in pods if is_active(pod)]
        succeeded = sum((pod.get("status") or {}).get("phase") == "Succeeded" for pod in pods)
        failed = sum((pod.get("status") or {}).get("phase") == "Failed" for pod in pods)
        # with restartPolicy OnFailure the restarts of a container count as failures do
        failures = failed + sum(_restarts(pod) for pod in active)
        numbers = {"active": len(active), "succeeded": succeeded, "failed": failed}
        if spec.get("suspend"):
            self._suspend(job, active, numbers)
            return
        if "startTime" not in status:
            status["startTime"] = written(self._loop.clock.now())
            if deadline := spec.get("activeDeadlineSeconds"):
                self._loop.reconcile_later(deadline, JOBS, job)
        started = read(status["startTime"])
        deadline = spec.get("activeDeadlineSeconds")
        wanted = spec.get("completions") or 1
        if failures > spec["backoffLimit"]:
            said = "Job has reached the specified backoff limit"
            self._fail(job, status, active, numbers, "BackoffLimitExceeded", said)
        elif deadline and self._loop.clock.now() >= started + timedelta(seconds=deadline):
            said = "Job was active longer than specified deadline"
            self._fail(job, status, active, numbers, "DeadlineExceeded", said)
        elif succeeded >= wanted:
            self._complete(job, status, numbers)
        else:
            missing = min(spec["parallelism"], wanted - succeeded) - len(active)
            if missing > 0 and not self._backing_off(job, pods, failed):
                for _ in range(missing):
                    make_pod(self._loop, job, spec["template"])
                numbers["active"] += missing
            if missing < 0:
                for pod in active[missing:]:
                    self._loop.registry.delete(PODS, pod)
            conditions = job.get("status", {}).get("conditions")
            if conditions and condition(job, "Suspended").get("status") == "True":
                status["conditions"] = with_conditions(
                    self._loop, job, ("Suspended", False, "JobResumed", "Job resumed")
                )
            self._write(job, status, numbers)

    def _backing_off(self, job: Object, pods: list[Object], failed: int) -> bool:
        if not failed:
            return False
        wait = timedelta(seconds=min(360, 10 * 2 ** (failed - 1)))
        ends = [_ended(pod) for pod in pods if pod["status"]["phase"] == "Failed"]
        left = (max(read(end) for end in ends if end) + wait - self._loop.clock.now()).total_seconds()
        if left > 0:
            self._loop.reconcile_later(left, JOBS, job)
        return left > 0

    def _suspend(self, job: Object, active: list[Object], numbers: dict[str, int]) -> None:
        for pod in active:
            self._loop.registry.delete(PODS, pod)
        status = {key: value for key, value in (job.get("status") or {}).items() if key != "startTime"}
        status["conditions"] = with_conditions(self._loop, job, ("Suspended", True, "JobSuspended", "Job suspended"))
        self._write(job, status, {**numbers, "active": 0})

    def _complete(self, job: Object, status: Object, numbers: dict[str, int]) -> None:
        said = "Reached expected number of succeeded pods"
        status["completionTime"] = written(self._loop.clock.now())
        status["conditions"] = with_conditions(
            self._loop,
            job,
            ("SuccessCriteriaMet", True, "CompletionsReached", said),
            ("Complete", True, "CompletionsReached", said),
        )
        self._finish(job, status, numbers)
        self._loop.event(job, "Completed", "Job completed", source="job-controller")

    def _fail(
        self, job: Object, status: Object, active: list[Object], numbers: dict[str, int], reason: str, said: str
    ) -> None:
        for pod in active:
            self._loop.registry.delete(PODS, pod)
        status["conditions"] = with_conditions(
            self._loop, job, ("FailureTarget", True, reason, said), ("Failed", True, reason, said)
        )
        self._finish(job, status, {**numbers, "active": 0, "failed": numbers["failed"] + len(active)})
        self._loop.event(job, reason, said, kind="Warning", source="job-controller")

    def _finish(self, job: Object, status: Object, numbers: dict[str, int]) -> None:
        self._write(job, {**status, "ready": 0}, numbers)
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        if seconds is not None:
            self._loop.later(seconds, lambda: self._expire(job))

    def _expire(self, job: Object) -> None:
        now = self._loop.store.find(JOBS, job["metadata"]["namespace"], job["metadata"]["name"])
        if now is not None and now["metadata"]["uid"] == job["metadata"]["uid"]:
            self._loop.registry.delete(JOBS, now, {"propagationPolicy": "Background"})

    def _write(self, job: Object, status: Object, numbers: dict[str, int]) -> None:
        kept = {key: value for key, value in status.items() if key not in numbers}
        shown = {name: number for name, number in numbers.items() if number}
        self._loop.registry.write_status(JOBS, job, {**kept, **shown})

    def _cron_job(self, cron: Object) -> None:
        if cron["metadata"].get("deletionTimestamp"):
            return
        now, spec = self._loop.clock.now(), cron["spec"]
        schedule = Schedule.parse(spec["schedule"], spec.get("timeZone"))
        status = dict(cron.get("status") or {})
        self._tidy(cron, status)
        if spec["suspend"]:
            self._tell_cron(cron, status)
            return
        since = read(status.get("lastScheduleTime") or cron["metadata"]["creationTimestamp"])
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None:
            since = max(since, now - timedelta(seconds=deadline))
        due = schedule.between(since, now, _MOST_MISSED + 1)
        if len(due) > _MOST_MISSED:
            said = "too many missed start times; set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self._loop.event(cron, "TooManyMissedTimes", said, kind="Warning", source="cronjob-controller")
            due = due[-1:]
        if due:
            at = due[-1]
            if self._may_start(cron):
                status["lastScheduleTime"] = written(at)
                self._start(cron, int(at.timestamp()) // 60)
        self._tell_cron(cron, status)
        self._wake_when_due(cron, schedule)

    def _may_start(self, cron: Object) -> bool:
        running = [job for job in self._loop.store.owned_by(cron, JOBS) if not finished(job)]
        policy = cron["spec"]["concurrencyPolicy"]
        if running and policy == "Forbid":
            said = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._loop.event(cron, "JobAlreadyActive", said, source="cronjob-controller")
            return False
        if policy == "Replace":
            for job in running:
                self._loop.registry.delete(JOBS, job, {"propagationPolicy": "Background"})
        return True

    def _start(self, cron: Object, minute: int) -> None:
        template = cron["spec"]["jobTemplate"]
        metadata = template.get("metadata") or {}
        kept = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
        name = f"{cron['metadata']['name']}-{minute}"
        namespace = cron["metadata"]["namespace"]
        if self._loop.store.find(JOBS, namespace, name) is None:
            made = {
                "metadata": {**kept, "name": name, "ownerReferences": [owner_reference(cron)]},
                "spec": template["spec"],
            }
            self._loop.registry.create(JOBS, namespace, made, _WRITER)

    def _tidy(self, cron: Object, status: Object) -> None:
        """Keep only so many finished Jobs as the limits say."""
        jobs = [job for job in self._loop.store.owned_by(cron, JOBS) if finished(job)]
        jobs.sort(key=lambda job: job["metadata"]["creationTimestamp"])
        good = [job for job in jobs if condition(job, "Complete").get("status") == "True"]
        if good:
            status["lastSuccessfulTime"] = max(job["status"]["completionTime"] for job in good)
        bad = [job for job in jobs if job not in good]
        for kind, limit in ((good, "successfulJobsHistoryLimit"), (bad, "failedJobsHistoryLimit")):
            for job in kind[: max(0, len(kind) - cron["spec"][limit])]:
                self._loop.registry.delete(JOBS, job, {"propagationPolicy": "Background"})

    def _tell_cron(self, cron: Object, status: Object) -> None:
        running = [job for job in self._loop.store.owned_by(cron, JOBS) if not finished(job)]
        active = [
            {
                "kind": "Job",
                "namespace": job["metadata"]["namespace"],
                "name": job["metadata"]["name"],
                "uid": job["metadata"]["uid"],
                "apiVersion": "batch/v1",
                "resourceVersion": job["metadata"]["resourceVersion"],
            }
            for job in running
        ]
        kept = {key: value for key, value in status.items() if key != "active"}
        self._loop.registry.write_status(CRON_JOBS, cron, {**kept, **({"active": active} if active else {})})

    def _wake_when_due(self, cron: Object, schedule: Schedule) -> None:
        now, uid = self._loop.clock.now(), cron["metadata"]["uid"]
        due = schedule.next_after(now)
        if self._woken.get(uid) != due:
            self._woken[uid] = due
            self._loop.reconcile_later((due - now).total_seconds(), CRON_JOBS, cron)


def finished(job: Object) -> bool:
    return any(condition(job, kind).get("status") == "True" for kind in ("Complete", "Failed"))


def _restarts(pod: Object) -> int:
    return sum(item["restartCount"] for item in (pod.get("status") or {}).get("containerStatuses") or [])


def _ended(pod: Object) -> str:
    statuses = pod["status"].get("containerStatuses") or []
    state = statuses[0]["state"].get("terminated") if statuses else None
    return (state or {}).get("finishedAt") or pod["metadata"]["creationTimestamp"]
