"""What a diagnosis looks at: facts with names that playbooks speak of, and the things that an action may be about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.evidence.redaction import redact_text

type Value = str | float | bool
type Item = Mapping[str, Value]

MOST_ITEMS = 200
"""The most things that one look returns; that there were more is a fact."""


_LONGEST_READ, _LONGEST_SHOWN = 65_536, 2_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


class Collector(StrEnum):
    """Where evidence comes from. Each is read-only and bounded in time and size."""

    POSTGRES_SESSIONS = "postgres-sessions"
    KUBERNETES_JOB = "kubernetes-job"
    KUBERNETES_WORKLOAD = "kubernetes-workload"
    QUEUE_JOBS = "queue-jobs"
    CRONS = "crons"
    SURROUNDINGS = "surroundings"
    CIRCUMSTANCES = "circumstances"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the collectors of a playbook found.

    facts: by the names of `FACTS`; what could not be found out is not there.
    items: sessions, jobs, crons or pods that an action may be about, each with an `id`.
    missing: which collectors found nothing out, and why. Absence of evidence is never taken for health.
    """

    facts: Mapping[str, Value] = field(default_factory=dict[str, Value])
    items: tuple[Item, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict[str, str])

    def merged(self, other: "Evidence") -> "Evidence":
        """Both together."""
        return Evidence({**self.facts, **other.facts}, self.items + other.items, {**self.missing, **other.missing})


def shown(evidence: Evidence) -> Evidence:
    """The evidence as it may be kept and told: logs and errors hold secrets, what people typed, and any length.

    Items stay as they are: an action must find just that thing.
    """
    facts = {name: readable(value) if isinstance(value, str) else value for name, value in evidence.facts.items()}
    return Evidence(facts, evidence.items, {collector: readable(what) for collector, what in evidence.missing.items()})


def readable(text: str) -> str:
    """The text without secrets, personal data and control characters, and cut off."""
    masked = redact_text(text[:_LONGEST_READ])  # before it is cut: half a secret is not known as one
    return _CONTROL.sub(" ", masked)[:_LONGEST_SHOWN]


FACTS: Mapping[Collector, Mapping[str, str]] = {
    Collector.POSTGRES_SESSIONS: {
        "sessions.waiting": "sessions that wait for another one's lock",
        "sessions.roots": "sessions that block others and wait for nobody",
        "sessions.endable": "roots that are idle in a transaction for longer than the policy allows, and not protected",
        "sessions.protected": "roots that are never ended: protected users and applications, and the platform's own",
        "sessions.working": "roots that are executing a statement",
        "sessions.prepared": "prepared transactions that block others",
        "sessions.root": "the process of the root that blocks most",
        "sessions.longest_wait": "how long the longest has waited, in seconds",
        "connections.used": "connections to the server",
        "connections.most": "max_connections, without what is reserved",
        "connections.free": "the share that is free, from 0 to 1",
        "connections.leaked": "sessions idle in a transaction for longer than the policy allows, and not protected",
        "connections.greediest": "the application with the most connections",
    },
    Collector.KUBERNETES_JOB: {
        "job.name": "the Job's name, for a CronJob's run that of the run that failed",
        "job.namespace": "its namespace",
        "job.access": "the command that gives access to its cluster",
        "job.cron": "the CronJob that owns it; empty when none does",
        "job.declared": "what the estate calls it: cronjob/NAMESPACE/NAME or job/NAMESPACE/NAME",
        "job.state": "failed, complete, active or gone",
        "job.reason": "why it failed, as Kubernetes says",
        "job.exit_code": "the exit code of its last container",
        "job.container_reason": "why that container ended, as Kubernetes says",
        "job.message": "the last lines of its log",
        "job.cause": "the kind of error that its end and its log show",
        "job.memory": "the memory limit of its container in bytes; 0 when it has none",
        "job.rerun": "whether it is itself a repetition by us, which its own remediation looks after",
        "job.reruns": "how often it was run again by us",
        "job.raised": "whether it was run again with more memory",
        "job.succeeded_since": "whether a later run of the CronJob succeeded",
        "job.cron_suspended": "whether the CronJob is suspended",
        "job.cron_active": "runs of the CronJob that are active",
    },
    Collector.KUBERNETES_WORKLOAD: {
        "workload.name": "the workload's name",
        "workload.path": "KIND/NAME, as kubectl takes it",
        "workload.namespace": "its namespace",
        "workload.access": "the command that gives access to its cluster",
        "workload.pod": "the pod that is worst off; empty when none is",
        "workload.wanted": "the pods that it shall have",
        "workload.ready": "the pods that are ready",
        "workload.restarts": "restarts of its containers, together",
        "workload.reason": "why its worst container waits or ended, as Kubernetes says",
        "workload.exit_code": "the exit code of the last end",
        "workload.same_end": "whether its ends are all alike, in reason and exit code",
        "workload.crashing": "pods that crash again and again",
        "workload.rolled_out": "how many seconds ago its newest template was rolled out",
        "workload.cause": "the kind of error that its ends and its logs show",
        "workload.message": "the last lines of a crashing pod's log",
    },
    Collector.QUEUE_JOBS: {
        "queue.failed": "failed queue jobs",
        "queue.newest": "when the one that failed last was started",
        "queue.stuck": "jobs that are started or enqueued for longer than the policy allows, without a worker",
        "queue.stuck_since": "since when the newest of those is",
        "queue.never_began": "those of them that are enqueued only",
        "queue.long": "jobs that are started for longer than the policy allows, and that a worker may still have",
        "queue.self_healing": "whether the job runner knows by locks which jobs are dead (queue_job_lock)",
        "queue.cause": "the kind of error of the most frequent cause",
        "queue.method": "MODEL.METHOD of the most frequent cause",
        "queue.message": "the exception of the most frequent cause",
    },
    Collector.CRONS: {
        "crons.overdue": "active crons that are late for longer than the policy allows",
        "crons.deactivated": "crons that Odoo itself deactivated after failures",
        "crons.method": "MODEL.METHOD of the one that is late longest, or was deactivated last",
        "crons.since": "since when the one that was met last is late or off",
        "crons.id": "its id in ir.cron",
        "crons.cause": "the kind of error that its log shows",
        "crons.neutralised": "whether the database is neutralised: its crons are off on purpose",
    },
    Collector.SURROUNDINGS: {
        "around.asleep": "whether it sleeps on purpose",
        "around.production": "whether the environment is production",
        "around.frozen": "whether a freeze of the finance calendar is in force",
        "around.tight": "whether the finance calendar tightens",
    },
    Collector.CIRCUMSTANCES: {
        "around.calendar": "the events of the finance calendar that are on; empty when none is",
        "around.sleep": "why and since when it sleeps on purpose; empty when it does not",
        "around.changed": "what of ours was changed there in the last two hours; empty when nothing was",
        "around.operations": "what Azure's activity log shows there in the last two hours",
        "around.rollouts": "the Deployments of the namespace that were rolled out in the last two hours",
        "around.maintenance": "the maintenance of Azure that goes on there; empty when none does",
        "around.unseen": "which of these could not be seen, and why",
    },
}
"""What each collector finds out: the vocabulary of the playbooks, checked when they are loaded."""


def cluster_access(cluster_id: str) -> str:
    """What a human types to be let into the cluster of that Azure resource id; empty for what is none."""
    parts = cluster_id.split("/")
    if len(parts) != 9:
        return ""
    return f"az aks get-credentials --subscription {parts[2]} --resource-group {parts[4]} --name {parts[8]}"
