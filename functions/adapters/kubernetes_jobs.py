"""Running a failed Job again, by a copy whose name follows from the intent: it exists already means done already."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from functions.adapters.answers import patiently, written
from functions.adapters.targets import KubernetesTarget
from functions.remediation_rulings import objection_now
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Rate, Toll
from shared.job_remediation import kubernetes_jobs as judged
from shared.platforms import kubernetes_jobs, managed_clusters
from shared.platforms.kubernetes import JOBS, AlreadyExistsError, Cluster, NotFoundError, Object

_RATE = Rate(burst=5, every=timedelta(seconds=2))
_FIRST_LOOK, _LATER_LOOK = timedelta(seconds=1), timedelta(minutes=1)


class KubernetesJobs:
    """`rerun` and `raise-memory` on a `kubernetes-job`. `connect` gives a cluster by its ARM id."""

    def __init__(self, connect: Callable[[str], Cluster] = managed_clusters.connect) -> None:
        self._connect = connect

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter.tolls`."""
        return [Toll(f"kubernetes-jobs/{KubernetesTarget.parse(change.target).cluster.casefold()}", _RATE)]

    def read_state(self, change: Change) -> State:
        """See `Adapter.read_state`: the repetition's name once it is there, and the memory that it has."""
        made = self._find(change)
        if made is None:
            return {"rerun": "", **({"memory": 0} if "memory" in change.after else {})}
        state: State = {"rerun": made["metadata"]["name"]}
        return {**state, "memory": change.after["memory"]} if "memory" in change.after else state

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter.apply`. What became needless meanwhile is left alone."""
        target = KubernetesTarget.parse(change.target)
        cluster = self._connect(target.cluster)
        if self._find(change) is None:
            siblings = patiently(lambda: kubernetes_jobs.jobs_in(cluster, target.namespace))
            job = next((one for one in siblings if one["metadata"]["name"] == target.name), None)
            if job is None:
                return Acted(Act.FAILED, detail="the Job is no longer there, so nobody knows what to run again")
            cron = kubernetes_jobs.found(cluster, job, siblings, judged.owner_of(job)).cron
            if why := judged.needless(job, siblings, cron) or objection_now(change):
                return Acted(Act.FAILED, detail=why)
            refused = self._make(cluster, job, cron, change)
            if refused is not None:
                return refused
        return _running(0)

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter.poll`: until the repetition is complete, or failed; `operation` counts the looks."""
        name, made = change.after["rerun"], self._find(change)
        if made is None:
            return Acted(Act.FAILED, detail=f"{name} was deleted by somebody")
        match judged.state_of(made):
            case "complete":
                return Acted(Act.DONE)
            case "failed":
                return Acted(Act.FAILED, detail=f"{name} failed, too")
            case _:
                return _running(int(operation) + 1)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter.verify`."""
        made = self._find(change)
        state = judged.state_of(made) if made else "gone"
        return Verified(state == "complete", f"{change.after['rerun']} is {state}")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter.undo`: what a Job has done is not taken back."""
        return Acted(Act.FAILED, detail="what a Job has done cannot be taken back")

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter.predict`."""
        more = f" with {change.after['memory']} bytes of memory" if "memory" in change.after else ""
        return f"would run {KubernetesTarget.parse(change.target).name} again as {change.after['rerun']}{more}"

    def _find(self, change: Change) -> Object | None:
        target = KubernetesTarget.parse(change.target)
        try:
            return patiently(
                lambda: self._connect(target.cluster).get(JOBS, target.namespace, str(change.after["rerun"]))
            )
        except NotFoundError:
            return None

    def _make(self, cluster: Cluster, job: Object, cron: Object | None, change: Change) -> Acted | None:
        """Make the repetition, after the server has tried it without effect; returns why not, None when it is made."""
        memory = change.after.get("memory")
        wanted = judged.repetition(
            job,
            cron,
            name=str(change.after["rerun"]),
            remediation=change.occasion,
            memory=int(str(memory)) if memory is not None else None,
        )
        namespace = job["metadata"]["namespace"]

        def make(dry_run: bool) -> None:
            try:
                cluster.create_job(namespace, wanted, dry_run=dry_run)
            except AlreadyExistsError:
                return  # an earlier delivery of this very intent made it

        for dry_run in (True, False):
            answer = written(lambda dry_run=dry_run: make(dry_run))
            if answer.act is not Act.DONE:
                return answer
        return None


def _running(looks: int) -> Acted:
    """Look again soon at first, then less and less often: a Job may run for hours."""
    return Acted(Act.RUNNING, operation=str(looks), again_after=min(_FIRST_LOOK * 1.5 ** min(looks, 20), _LATER_LOOK))


ADAPTER = KubernetesJobs()
