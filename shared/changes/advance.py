"""What an executing change does next. Pure: the orchestration only carries out the steps and brings the answers.

Nothing here acts, and whoever acts checks first: the worst that a late or repeated answer can do is to ask again.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.changes.execution import Result, Verdict
from shared.changes.gate import Decision, Outcome
from shared.changes.policy import RetryRule
from shared.changes.ports import Act, Acted, Entry
from shared.changes.progress import (
    ActAnswer,
    Admitted,
    Answer,
    Checked,
    Fault,
    Gated,
    Nothing,
    Pace,
    Phase,
    Progress,
    Rehearsed,
    Sleep,
    Step,
)
from shared.changes.retry import next_try
from shared.evidence.canonical import Json, canonical, plain, sha256

_INFRASTRUCTURE = RetryRule(first=timedelta(seconds=5), longest=timedelta(minutes=5))
_MOST_FAULTS = 50
_LOOKS_IN_DOUBT = 4


def step(progress: Progress) -> Step:
    """What to do now."""
    if progress.pause_until is not None:
        return Sleep(progress.pause_until)
    if progress.records:
        return progress.records[0]
    if progress.sleep_until is not None:
        return Sleep(progress.sleep_until, progress.wakeable)
    return progress.phase


def advance(progress: Progress, answer: Answer, now: datetime) -> Progress:
    """The progress after the answer to its step."""
    if isinstance(answer, Fault):
        return _faulted(progress, answer, now)
    if progress.pause_until is not None:
        return replace(progress, pause_until=None)
    if progress.records:
        return replace(progress, records=progress.records[1:], faults=0)
    if progress.sleep_until is not None:
        return replace(progress, sleep_until=None, wakeable=False)
    progress = replace(progress, faults=0)
    match answer:
        case Admitted():
            return _admitted(progress, answer, now)
        case Gated():
            return _gated(progress, answer, now)
        case Rehearsed():
            return _end(progress, Result.DRY_RUN, answer.effect, now, answer.body)
        case ActAnswer() if progress.phase is Phase.UNDO:
            return _undone(progress, answer, now)
        case ActAnswer():
            return _acted(progress, answer, now)
        case Checked():
            return _verified(progress, answer, now)
        case Nothing():
            return replace(progress, phase=Phase.DONE)


def _admitted(progress: Progress, answer: Admitted, now: datetime) -> Progress:
    match answer.verdict:
        case Verdict.RUN:
            return replace(progress, phase=Phase.GATE, run=answer.run, tries=0)
        case Verdict.JOIN:
            wait = next_try(_INFRASTRUCTURE, progress.change_id, progress.tries + 1, now, deadline=_never(now))
            return _sleep(replace(progress, run=answer.run, tries=progress.tries + 1), wait or now)
        case Verdict.DONE:
            result = answer.result or Result.FAILED
            return replace(progress, phase=Phase.DONE, run=answer.run, result=result, detail=answer.detail)


def _gated(progress: Progress, answer: Gated, now: datetime) -> Progress:
    if not answer.current or answer.decision is None or answer.pace is None:
        return _end(progress, Result.FAILED, answer.error, now) if answer.error else _overtaken(progress)
    decision = answer.decision
    progress = _record_decision(replace(progress, pace=answer.pace), answer, decision, now)
    if decision.dry_run:
        return replace(progress, phase=Phase.REHEARSE)
    match decision.outcome:
        case Outcome.REFUSE if progress.uncertain:
            return _doubt(progress, f"an attempt ended unknown, and a further one was {decision.sentence}", now)
        case Outcome.REFUSE:
            return _end(progress, Result.REFUSED, decision.sentence, now)
        case Outcome.NEEDS_APPROVAL:
            return _sleep(progress, now + answer.pace.recheck, wakeable=True)
        case Outcome.WAIT_UNTIL:
            until = min(decision.until or now, now + answer.pace.recheck)
            return _sleep(progress, until, wakeable=True)
        case Outcome.ALLOW:
            deadline = progress.deadline or max(now, answer.ready_at or now) + answer.pace.apply_within
            progress = replace(progress, phase=Phase.ACT, deadline=deadline, tries=0)
            return progress if answer.ready_at is None or answer.ready_at <= now else _sleep(progress, answer.ready_at)


def _acted(progress: Progress, answer: ActAnswer, now: datetime) -> Progress:
    if not answer.current:
        return _overtaken(progress)
    if answer.held:
        return replace(progress, phase=Phase.GATE, deadline=None)
    if answer.left_alone:
        return _end(progress, Result.LEFT_ALONE, str(answer.body.get("detail", "")), now, answer.body)
    outcome = answer.acted or Acted(Act.DONE)
    if answer.body.get("drift"):
        progress = _record(progress, "drift", answer.body, now)
    body = {**answer.body, "detail": outcome.detail, "operation": outcome.operation, "attempt": progress.attempt}
    match outcome.act:
        case Act.DONE:
            acts = progress.phase is Phase.ACT and not answer.unchanged
            progress = replace(progress, phase=Phase.VERIFY, changed=progress.changed or not answer.unchanged, tries=0)
            return _record(progress, "applied", body, now) if acts else progress
        case Act.RUNNING:
            acts = progress.phase is Phase.ACT
            said = outcome.detail or progress.detail
            progress = replace(progress, phase=Phase.POLL, operation=outcome.operation, changed=True, detail=said)
            return _later(_record(progress, "applied", body, now) if acts else progress, outcome, now)
        case Act.BUSY if progress.phase is Phase.POLL:
            return _next_attempt(progress, outcome.detail or "the operation ended without effect", now)
        case Act.BUSY | Act.SHORT:
            return _later(replace(progress, waited_for=outcome.detail or progress.waited_for), outcome, now)
        case Act.FAILED:
            return _failed(progress, outcome.detail or "the act failed", now)


def _verified(progress: Progress, answer: Checked, now: datetime) -> Progress:
    if not answer.current:
        return _overtaken(progress)
    seen = answer.verified
    if seen.reached:
        return _end(progress, Result.SUCCEEDED if progress.changed else Result.UNCHANGED, seen.detail, now)
    pace = _pace(progress)
    if progress.deadline is None or now + pace.verify_every < progress.deadline:
        return _sleep(progress, now + pace.verify_every)
    doubts = f"{progress.detail}; " if progress.uncertain else ""
    return _failed(progress, f"{doubts}the wanted state was not reached in time: {seen.detail}", now)


def _undone(progress: Progress, answer: ActAnswer, now: datetime) -> Progress:
    if not answer.current:
        return _overtaken(progress)
    outcome = answer.acted or Acted(Act.DONE)
    if outcome.act in (Act.DONE, Act.FAILED):
        said = "taken back" if outcome.act is Act.DONE else f"taking it back failed: {outcome.detail}"
        progress = _record(progress, "undone", {**answer.body, "detail": said}, now)
        return _end(progress, Result.FAILED, f"{progress.detail}; {said}", now)
    return _later(progress, outcome, now)


def _faulted(progress: Progress, fault: Fault, now: datetime) -> Progress:
    """After an exception: harmless steps are repeated, an act is looked at and tried as a new attempt."""
    progress = replace(progress, faults=progress.faults + 1)
    if progress.phase is Phase.ACT and not progress.records:
        return _next_attempt(replace(progress, uncertain=True), f"attempt {progress.attempt}: {fault.message}", now)
    out_of_time = progress.deadline is not None and now >= progress.deadline
    if progress.phase in (Phase.POLL, Phase.VERIFY, Phase.UNDO) and out_of_time and not progress.records:
        return _failed(progress, f"its state cannot be seen: {fault.message}", now)
    if progress.faults >= _MOST_FAULTS:
        return replace(progress, phase=Phase.DONE, records=(), result=Result.FAILED, detail=fault.message)
    wait = next_try(
        _INFRASTRUCTURE, f"{progress.change_id}/{progress.phase}", progress.faults, now, deadline=_never(now)
    )
    return replace(progress, pause_until=wait)


def _next_attempt(progress: Progress, why: str, now: datetime) -> Progress:
    pace = _pace(progress)
    deadline = progress.deadline or _never(now)
    moment = next_try(pace.retry, progress.attempt_id(), progress.attempt, now, deadline=deadline)
    if progress.attempt >= pace.retry.attempts or moment is None:
        why = f"{why}; no further attempt"
        return _doubt(progress, why, now) if progress.uncertain else _failed(progress, why, now)
    again = replace(progress, phase=Phase.GATE, attempt=progress.attempt + 1, operation=None, detail=why, faults=0)
    return _sleep(again, moment)


def _doubt(progress: Progress, why: str, now: datetime) -> Progress:
    """After the last attempt ended unknown: it may have succeeded, so look at the world a few times."""
    deadline = now + _LOOKS_IN_DOUBT * _pace(progress).verify_every
    return replace(progress, phase=Phase.VERIFY, deadline=deadline, detail=why, changed=True, faults=0)


def _later(progress: Progress, outcome: Acted, now: datetime) -> Progress:
    """The same step again, when the outside system asks for it or after a backoff, before the deadline."""
    tries = progress.tries + 1
    moment = next_try(
        _pace(progress).retry,
        progress.attempt_id(),
        tries,
        now,
        retry_after=outcome.again_after,
        deadline=progress.deadline or _never(now),
    )
    if moment is None:
        return _failed(progress, f"out of time: {outcome.detail or progress.detail or 'it did not end'}", now)
    return _sleep(replace(progress, tries=tries), moment)


def _failed(progress: Progress, why: str, now: datetime) -> Progress:
    if progress.phase is not Phase.UNDO and progress.changed and _pace(progress).undo_on_failure:
        within = now + _pace(progress).apply_within
        return replace(progress, phase=Phase.UNDO, deadline=within, detail=why, tries=0, sleep_until=None)
    return _end(progress, Result.FAILED, why, now)


def _end(
    progress: Progress, result: Result, detail: str, now: datetime, body: dict[str, Json] | None = None
) -> Progress:
    kinds = {
        Result.SUCCEEDED: "verified",
        Result.UNCHANGED: "verified",
        Result.LEFT_ALONE: "drift" if body and body.get("drift") else "skipped",
        Result.FAILED: "failed",
        Result.DRY_RUN: "dry_run",
    }
    if result in kinds:
        waited: dict[str, Json] = {"waited_for": progress.waited_for} if progress.waited_for else {}
        progress = _record(progress, kinds[result], {**(body or {}), "result": result, "detail": detail, **waited}, now)
    return replace(progress, phase=Phase.FINISH, result=result, detail=detail, sleep_until=None)


def _overtaken(progress: Progress) -> Progress:
    """Another run took over while this one was silent: begin again, which finds that one's result."""
    return Progress(
        change_id=progress.change_id,
        automation=progress.automation,
        environment=progress.environment,
        tenant=progress.tenant,
        run=progress.run + 1,
    )


def _record_decision(progress: Progress, gated: Gated, decision: Decision, now: datetime) -> Progress:
    """Each decision once, however often a waiting change looks again."""
    said = sha256(canonical(plain([decision.outcome, [[r.code, r.sentence] for r in decision.reasons]])))
    if said == progress.last_decision or decision.dry_run:
        return progress
    codes = {reason.code for reason in decision.reasons}
    if decision.outcome is Outcome.ALLOW:
        kind = "gate_decision"
    elif "stop-switch" in codes:
        kind = "stopped"
    elif codes & {"frozen", "calendar-unknown"}:
        kind = "frozen"
    else:
        kind = "refused" if decision.outcome is Outcome.REFUSE else "gate_decision"
    body: dict[str, Json] = {
        "outcome": decision.outcome,
        "sentence": decision.sentence,
        "reasons": plain(list(decision.reasons)),
        "attempt": progress.attempt,
    }
    progress = _record(progress, kind, body, now)
    if gated.requested:
        progress = _record(progress, "approval_requested", {**body, "approval": gated.requested}, now)
    for exception in decision.exceptions:
        progress = _record(progress, "exception_used", {**body, "exception": exception}, now)
    return replace(progress, last_decision=said)


def _record(progress: Progress, kind: str, body: dict[str, Json], now: datetime) -> Progress:
    used = f":{body['exception']}" if "exception" in body else ""
    entry = Entry(
        automation=progress.automation,
        kind=kind,
        subject=f"change:{progress.change_id}:{progress.run}{used}",
        time=now,
        environment=progress.environment,
        tenant=progress.tenant,
        body={"change_id": progress.change_id, "run": progress.run, **body},
    )
    return replace(progress, records=(*progress.records, entry))


def _sleep(progress: Progress, until: datetime, *, wakeable: bool = False) -> Progress:
    return replace(progress, sleep_until=until, wakeable=wakeable)


def _pace(progress: Progress) -> Pace:
    if progress.pace is None:
        raise ValueError(f"{progress.phase} before the gate has answered: a change begins at its gate")
    return progress.pace


def _never(now: datetime) -> datetime:
    return now + timedelta(days=3650)
