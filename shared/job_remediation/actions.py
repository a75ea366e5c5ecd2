"""What the playbooks can do, as changes: each with the thing it is about, its risk, and whose word it needs. Pure.

A change's intent holds the remediation and the attempt, so a plan that is made twice is one.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.changes.change import Change, Originals, State
from shared.estate.policies.job_remediation import JobClass, JobRemediation
from shared.job_remediation.causes import Cause
from shared.job_remediation.evidence import Evidence, Item
from shared.job_remediation.playbook import Case, Do
from shared.job_remediation.repetition import Applied, Permission, job_of, rule
from shared.risk import Risk

AUTOMATION = "job_remediation"
_LONGEST_BASE = 46  # of 63 characters that a Job's name may have, so that attempt and digest fit
_LONGEST_RUN = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a proposal depends on besides the evidence.

    remediation, attempt: make the intent. frozen: a freeze of the finance calendar is in force.
    """

    remediation: str
    attempt: int
    environment: str
    tenant: str | None
    policy: JobRemediation
    frozen: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """What could be done. `left`: why something that the playbook means is left alone, one sentence each."""

    changes: tuple[Change, ...] = ()
    left: tuple[str, ...] = ()


def propose(case: Case, evidence: Evidence, says: str, context: Context) -> Proposal:
    """The changes of a case that does something; `says` is its diagnosis. A case that does nothing proposes nothing."""
    if case.do is None:
        return Proposal()
    changes: list[Change] = []
    left: list[str] = []
    maker = _MAKERS[case.do]
    for item in _meant(case.do, evidence.items, case.most):
        made = maker(item, case, says, context)
        if isinstance(made, Change):
            changes.append(made)
        else:
            left.append(f"{item['id']}: {made}")
    if case.do in (Do.REQUEUE_JOBS, Do.REQUEUE_DEAD_JOBS):
        changes = _canary_first(changes, context.policy.canary)
    if case.do is Do.REQUEUE_DEAD_JOBS:
        changes = _given_up_first(changes)
    if not changes and not left:
        left.append("nothing was found that this could be done to")
    return Proposal(tuple(changes), tuple(left))


# --- which things ----------------------------------------------------------------------------------------------------


def _meant(do: Do, items: Sequence[Item], most: int) -> Iterator[Item]:
    kind, chosen = _KINDS[do]
    found = [item for item in items if item.get("kind") == kind and (not chosen or item.get(chosen) is True)]
    yield from sorted(found, key=_urgency)[:most]


def _urgency(item: Item) -> tuple[float, str]:
    """What holds up most comes first; equals by their id, so that a plan made twice is one."""
    weight = item.get("weight", 0.0)
    return (-weight if isinstance(weight, int | float) else 0.0, str(item["id"]))


_KINDS: Mapping[Do, tuple[str, str]] = {
    Do.END_SESSIONS: ("session", "endable"),
    Do.RERUN_JOB: ("job", ""),
    Do.RAISE_MEMORY: ("job", ""),
    Do.RESTART_WORKLOAD: ("workload", ""),
    Do.REQUEUE_JOBS: ("queue-job", "failed"),
    Do.REQUEUE_DEAD_JOBS: ("queue-job", "stuck"),
    Do.TRIGGER_CRON: ("cron", "overdue"),
    Do.ACTIVATE_CRON: ("cron", "deactivated"),
}


def _canary_first(changes: Sequence[Change], canary: int) -> list[Change]:
    """Few are tried; the others wait until those have succeeded."""
    first, rest = changes[:canary], changes[canary:]
    ids = tuple(change.id for change in first)
    return [*first, *(replace(change, depends_on=ids) for change in rest)]


def _given_up_first(requeues: Sequence[Change]) -> list[Change]:
    """A job that its worker left behind is marked as failed before it is requeued: only failed ones are."""
    changes: list[Change] = []
    for requeue in requeues:
        given_up = replace(
            requeue,
            action="mark-failed",
            action_class="mark-failed-job",
            after={"state": "failed"},
            risk=Risk.REVERSIBLE,
            requires_approval=False,
            emergency_class=None,
        )
        changes += [given_up, replace(requeue, depends_on=(*requeue.depends_on, given_up.id))]
    return changes


# --- one maker for each action ---------------------------------------------------------------------------------------


def _end_session(item: Item, _: Case, says: str, context: Context) -> Change | str:
    identity = {name: item[name] for name in ("pid", "backend_start", "xact_start", "state", "user", "database")}
    target = f"{item['server']}//sessions/{item['id']}"
    change = _change(context, "postgres-session", "end", target, {"present": False}, says, Risk.DISRUPTIVE)
    return replace(change, before={"present": True, **identity}, apply_within=timedelta(minutes=5))


def _rerun(item: Item, case: Case, says: str, context: Context) -> Change | str:
    return _repeated(item, case, says, context, "kubernetes-job", "rerun", _job(item), {"rerun": _clone(item, context)})


def _raise_memory(item: Item, case: Case, says: str, context: Context) -> Change | str:
    memory, rule_ = item["memory"], context.policy.memory
    if not isinstance(memory, int | float) or memory <= 0:
        return "its container has no memory limit that could be raised"
    more = min(int(memory * rule_.factor), rule_.most.bytes)
    if more <= memory:
        return f"it has {int(memory)} bytes already, and memory.most allows {rule_.most.bytes}"
    after: State = {"rerun": _clone(item, context), "memory": more}
    return _repeated(item, case, says, context, "kubernetes-job", "raise-memory", _job(item), after)


def _restart(item: Item, _: Case, says: str, context: Context) -> Change | str:
    if item.get("single") is True:
        return "it has one pod only: a restart would be an outage"
    target = f"{item['cluster']}//{item['id']}"
    after: State = {"restarted": f"{context.remediation}:{context.attempt}"}
    return _change(context, "kubernetes-workload", "restart", target, after, says, Risk.DISRUPTIVE)


def _requeue(item: Item, case: Case, says: str, context: Context) -> Change | str:
    target = f"{item['odoo']}//{item['database']}/queue.job/{item['id']}"
    change = _repeated(item, case, says, context, "odoo-queue-job", "requeue", target, {"state": "done"})
    if isinstance(change, str):
        return change
    if item.get("guarded") is not True and job_of(context.policy.jobs, str(item["job"])).repeat is not JobClass.A:
        return "its Odoo has no guarded requeue, without which only class A is requeued: install it"
    return replace(change, before={**change.before, **{name: item.get(name, "") for name in ("records", "attempt")}})


def _trigger_cron(item: Item, case: Case, says: str, context: Context) -> Change | str:
    target = f"{item['odoo']}//{item['database']}/ir.cron/{item['id']}"
    return _repeated(item, case, says, context, "odoo-cron", "trigger", target, {"ran_since": item["lastcall"]})


def _activate_cron(item: Item, case: Case, says: str, context: Context) -> Change | str:
    target = f"{item['odoo']}//{item['database']}/ir.cron/{item['id']}"
    return _repeated(item, case, says, context, "odoo-cron", "activate", target, {"active": True})


_MAKERS: Mapping[Do, Callable[[Item, Case, str, Context], Change | str]] = {
    Do.END_SESSIONS: _end_session,
    Do.RERUN_JOB: _rerun,
    Do.RAISE_MEMORY: _raise_memory,
    Do.RESTART_WORKLOAD: _restart,
    Do.REQUEUE_JOBS: _requeue,
    Do.REQUEUE_DEAD_JOBS: _requeue,
    Do.TRIGGER_CRON: _trigger_cron,
    Do.ACTIVATE_CRON: _activate_cron,
}


def _repeated(
    item: Item, case: Case, says: str, context: Context, kind: str, action: str, target: str, after: State
) -> Change | str:
    """The change that repeats a job, when its class lets a machine do it, or a person who sees the proof."""
    name = str(item["job"])
    job = job_of(context.policy.jobs, name)
    applied = Applied(str(item.get("applied", Applied.UNKNOWN)))
    if case.cause is Cause.UNKNOWN and job.repeat is not JobClass.A:
        return f"the error is not known, and {name} is of class {job.repeat}: only class A is repeated then"
    ruling = rule(job, applied, frozen=context.frozen, ambiguous=case.cause is Cause.AMBIGUOUS)
    if ruling.permission in (Permission.NEVER, Permission.NEEDLESS):
        return ruling.why
    proof = {Applied.YES: "applied", Applied.NO: "not applied", Applied.UNKNOWN: "not known"}[applied]
    reason = f"{says} {name} is of class {job.repeat}: {ruling.why}. Applied already: {proof}."
    risk = Risk.REVERSIBLE if job.repeat is JobClass.A else Risk.DISRUPTIVE
    if ruling.permission is Permission.APPROVAL:
        risk = Risk.FINANCIAL if job.changes_ledger else Risk.IRREVERSIBLE
    return replace(
        _change(context, kind, action, target, after, reason, risk),
        before={"job": name, "applied": applied},
        requires_approval=ruling.permission is Permission.APPROVAL,
        emergency_class=job.repeat,
        apply_within=_LONGEST_RUN,
    )


def _change(context: Context, kind: str, action: str, target: str, after: State, reason: str, risk: Risk) -> Change:
    return Change(
        automation=AUTOMATION,
        environment=context.environment,
        tenant=context.tenant,
        kind=kind,
        target=target,
        action=action,
        action_class=f"{action}-{kind.rpartition('-')[2]}",
        occasion=f"{context.remediation}:{context.attempt}",
        after=after,
        reason=reason,
        risk=risk,
        originals=Originals.IGNORE,
    )


def _job(item: Item) -> str:
    return f"{item['cluster']}//job/{item['namespace']}/{item['name']}"


def _clone(item: Item, context: Context) -> str:
    """The name of the Job that repeats another: the same for the same attempt, so that it exists once."""
    digest = hashlib.sha256(f"{context.remediation}:{item['uid']}".encode()).hexdigest()[:8]
    base = str(item["base"])[:_LONGEST_BASE].rstrip("-.")
    return f"{base}-r{context.attempt}-{digest}"
