"""The effects of job remediation, each of which may come twice, late, or after all is over."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import JsonValue

from functions import estate_in_force, intake_steps
from functions import remediation_storms as storms
from functions.change_execution import services
from shared.changes.ports import Entry
from shared.changes.state import Store
from shared.events import Event
from shared.evidence.redaction import redact, redact_text
from shared.job_remediation import register
from shared.job_remediation.actions import AUTOMATION
from shared.job_remediation.decision import Decision, Why
from shared.job_remediation.register import Known
from shared.job_remediation.survey import survey
from shared.platforms import settings

_REPORTS = "remediation/reports/"
_QUIET = timedelta(hours=24)
_SHORTEST_POLL, _LONGEST_POLL = timedelta(seconds=0.2), timedelta(minutes=1)


def store() -> Store:
    """What must survive restarts, as typed values."""
    return services().store


# --- the register ---------------------------------------------------------------------------------------------------


def note_started(fingerprint: str, occurrence: int) -> None:
    """Remember that a remediation was started."""
    register.note_started(store(), fingerprint, occurrence)


def due_faults(now: datetime) -> list[Known]:
    """The faults whose remediation is still to be started.

    On the way, what a human was given and nobody tells of any more is taken for dealt with: rules without a state
    never say that something is over. What has long been over leaves the register.
    """
    due: list[Known] = []
    for known in survey(intake_steps.state(), store(), now):
        if known.is_due:
            due.append(known)
        elif known.fault.fired_until and now - known.fault.fired_until > _QUIET:
            report = _report(known.fault.fingerprint, known.fault.occurrences)
            if report is not None and report.outcome is Outcome.ESCALATED:
                storms.note_over(
                    register.note_concluded(store(), known.fault.fingerprint, known.fault.occurrences, now)
                )
    return due


# --- how long, and how it ended --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a remediation waits.

    settle: before its first look, so that a storm shows before anything is repaired. stabilise: for how long the world
    must stay well. verify: until when it must have become well. poll: between two looks at it. escalate: until it is
    told that it still waits.
    """

    settle: timedelta
    stabilise: timedelta
    verify: timedelta
    poll: timedelta
    escalate: timedelta


def patience() -> Patience:
    """As the estate in force says."""
    from shared.estate.policies.job_remediation import JobRemediation

    policy = estate_in_force.get().job_remediation or JobRemediation()
    return Patience(
        settle=timedelta(seconds=float(settings.optional("REMEDIATION_SETTLE_SECONDS", "10"))),
        stabilise=policy.stabilise,
        verify=max(policy.stabilise, timedelta(minutes=1)),
        poll=min(max(policy.stabilise / 5, _SHORTEST_POLL), _LONGEST_POLL),
        escalate=policy.escalate_after,
    )


class Outcome(StrEnum):
    """How a remediation ended, or that it waits."""

    FIXED = "fixed"
    NOTHING_WRONG = "nothing-wrong"
    RESOLVED = "resolved"
    REHEARSED = "rehearsed"
    ESCALATED = "escalated"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """How a remediation ended. `tried`: what came of each attempt, one sentence each."""

    fingerprint: str
    occurrence: int
    outcome: Outcome
    decision: Decision
    tried: tuple[str, ...]
    at: datetime


def conclude(told: Conclusion) -> dict[str, object]:
    """Record, remember and tell how it ended; a human gets the diagnosis and what to do. Twice is once."""
    name = f"{_REPORTS}{told.fingerprint}/{told.occurrence:06}"
    store().create(name, Conclusion, told)
    told = store().get(name, Conclusion) or told
    known = register.look_up(store(), told.fingerprint)
    body = _body(told, known)
    services().recorder.record(
        Entry(
            automation=AUTOMATION,
            kind="remediation",
            subject=known_id(told),
            time=told.at,
            environment=known.signal.environment,
            tenant=known.signal.tenant,
            body=body,
        )
    )
    if told.decision.why is Why.COMMON_CAUSE:
        storms.tell_common_cause(known, told.at)
    else:
        _publish(_event(told, known, body))
    if told.outcome is not Outcome.ESCALATED:  # a human's fault stays there until its sender says that it is over
        storms.note_over(register.note_concluded(store(), told.fingerprint, told.occurrence, told.at))
    return body


def tell_waiting(told: Conclusion) -> dict[str, object]:
    """Tell that a fault is still there while an approval, a window or a long operation is waited for."""
    known = register.look_up(store(), told.fingerprint)
    body = _body(told, known)
    _publish(_event(told, known, body))
    return body


def known_id(told: Conclusion) -> str:
    """The id of the remediation."""
    return register.remediation_id(told.fingerprint, told.occurrence)


def shown_faults(open_only: bool) -> list[dict[str, object]]:
    """The faults as callers see them, the newest first."""
    known = [one for one in register.known_faults(store()) if one.signal.symptom.is_fault]
    known = [one for one in known if one.fault.is_open or not open_only]
    return [_shown(one) for one in sorted(known, key=lambda one: one.begun_at, reverse=True)]


def _shown(known: Known) -> dict[str, object]:
    signal = known.signal
    report = _report(known.fault.fingerprint, known.fault.occurrences)
    return {
        "id": known.remediation,
        "open": known.fault.is_open,
        "title": redact_text(signal.title),
        "symptom": signal.symptom,
        "severity": signal.severity.name.lower(),
        "target": str(signal.target),
        "environment": signal.environment,
        "tenant": signal.tenant,
        "since": known.begun_at.isoformat(),
        "occurrences": known.fault.occurrences,
        "outcome": report.outcome if report else None,
        "says": report.decision.says if report else "",
    }


def _report(fingerprint: str, occurrence: int) -> Conclusion | None:
    return store().get(f"{_REPORTS}{fingerprint}/{occurrence:06}", Conclusion)


def _body(told: Conclusion, known: Known) -> dict[str, object]:
    """What is recorded and told: without secrets, which records lose by themselves and events would not."""
    decision = told.decision
    said: dict[str, JsonValue] = {
        "id": known_id(told),
        "outcome": told.outcome,
        "title": known.signal.title,
        "symptom": known.signal.symptom,
        "target": str(known.signal.target),
        "since": known.begun_at.isoformat(),
        "at": told.at.isoformat(),
        "playbook": decision.playbook,
        "case": decision.case,
        "cause": decision.cause,
        "why": decision.why,
        "says": decision.says,
        "tried": list(told.tried),
        "left": list(decision.left),
        "around": list(decision.around),
        "ask": decision.ask if told.outcome in (Outcome.ESCALATED, Outcome.WAITING) else "",
        "commands": list(decision.commands) if told.outcome is Outcome.ESCALATED else [],
        "raw": known.signal.raw,
    }
    return {name: redact(value) for name, value in said.items()}


def _event(told: Conclusion, known: Known, body: dict[str, object]) -> Event:
    place = [f"environments/{known.signal.environment}"] if known.signal.environment else []
    place += [f"tenants/{known.signal.tenant}"] if known.signal.tenant else []
    word = "".join(part.capitalize() for part in told.outcome.split("-"))
    return Event(
        id=f"{known_id(told)}:{told.outcome}",
        type=f"Closekeeper.JobRemediation.{word}",
        subject="/".join([*place, "remediations", known_id(told)]),
        time=told.at,
        data=body,
    )


def _publish(event: Event) -> None:
    publisher = services().publisher
    if publisher is not None:
        publisher.publish([event])
