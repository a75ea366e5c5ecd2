"""The execution of a change as it is remembered: who runs it, what was tried, how it ended. Pure transitions.

This, not the name of an orchestration, is what makes one intent one act: whoever wants to run a change must be
admitted here first, and every step of a run that has been overtaken finds that out here before it acts.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted

_SILENCE = timedelta(hours=1)
"""A run of which nothing is heard for so long is dead; another may take over."""


class Result(StrEnum):
    """How a run of a change ended."""

    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    LEFT_ALONE = "left-alone"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"
    DRY_RUN = "dry-run"


FINAL = frozenset({Result.SUCCEEDED, Result.UNCHANGED, Result.LEFT_ALONE})
"""Results after which the intent is fulfilled and never acted on again."""

GOOD = FINAL | {Result.DRY_RUN}
"""Results that are no failure of a plan."""


@dataclass(frozen=True)
class Delivery:
    """One attempt's act being delivered: since when, whether it ended, and what came of it if that is known."""

    attempt: int
    at: datetime
    ended: bool = False
    acted: Acted | None = None


@dataclass(frozen=True, kw_only=True)
class Execution:
    """What is remembered of one change.

    run: counts who was admitted; a step of an older run does nothing. owner: who asked for this run.
    instance: the orchestration that runs it, to wake it.
    wanted: what the act of this run set (a give-back decides that when it looks at the target).
    """

    change: Change
    plan_hash: str
    run: int
    owner: str
    instance: str
    requested_by: str
    admitted_at: datetime
    alive_until: datetime
    delivery: Delivery | None = None
    wanted: State | None = None
    result: Result | None = None
    detail: str = ""
    finished_at: datetime | None = None


class Verdict(StrEnum):
    """What admission says: run it, wait for the run that is under way, or take the result that stands."""

    RUN = "run"
    JOIN = "join"
    DONE = "done"


def admit(
    known: Execution | None,
    change: Change,
    *,
    plan_hash: str,
    owner: str,
    instance: str,
    requested_by: str,
    joined: int,
    now: datetime,
) -> tuple[Execution, Verdict]:
    """The execution with this owner admitted, or as it is. The same owner asking twice gets the same answer.

    joined: the run that this owner has waited for (0 for none): its result is taken as it is, good or bad.
    """
    run = 1
    if known is not None:
        if known.owner == owner:
            return known, Verdict.RUN if known.result is None else Verdict.DONE
        if known.result in FINAL or (known.result is not None and known.run == joined):
            return known, Verdict.DONE
        if known.result is None and now < known.alive_until:
            return known, Verdict.JOIN
        run = known.run + 1
    admitted = Execution(
        change=change,
        plan_hash=plan_hash,
        run=run,
        owner=owner,
        instance=instance,
        requested_by=requested_by,
        admitted_at=now,
        alive_until=now + _SILENCE,
    )
    return admitted, Verdict.RUN


def is_current(known: Execution | None, run: int) -> bool:
    """Whether that run is the one that may act."""
    return known is not None and known.run == run and known.result is None


def kept_alive(execution: Execution, now: datetime, until: datetime | None = None) -> Execution:
    """The execution with a sign of life, good until an hour after the later of now and `until`.

    Written only when half of it has passed, so that polling does not write each time.
    """
    alive_until = max(now, until or now) + _SILENCE
    return (
        replace(execution, alive_until=alive_until) if alive_until > execution.alive_until + _SILENCE / 2 else execution
    )


class Permission(StrEnum):
    """What a delivery of an act may do: act, wait, take what is known, or nothing since its attempt is over."""

    GO = "go"
    WAIT = "wait"
    KNOWN = "known"
    OVER = "over"


def may_act(execution: Execution, attempt: int, now: datetime, grace: timedelta) -> Permission:
    """Whether this delivery of the attempt may act: never while another delivery may still be acting."""
    delivery = execution.delivery
    if delivery is None:
        return Permission.GO
    if delivery.attempt == attempt and delivery.acted is not None:
        return Permission.KNOWN
    if delivery.attempt > attempt or (delivery.attempt == attempt and delivery.ended):
        return Permission.OVER
    return Permission.GO if delivery.ended or now >= delivery.at + grace else Permission.WAIT


def acting(execution: Execution, attempt: int, wanted: State, now: datetime) -> Execution:
    """The execution with the act begun, noted before it begins."""
    return replace(execution, delivery=Delivery(attempt, now), wanted=wanted)


def acted(execution: Execution, attempt: int, outcome: Acted | None) -> Execution:
    """The execution with the act ended and what came of it (None: unknown); what is known first stands.

    BUSY clears the note: nothing happened, and the same attempt may be delivered again.
    """
    delivery = execution.delivery
    if delivery is None or delivery.attempt != attempt or delivery.ended:
        return execution
    busy = outcome is not None and outcome.act is Act.BUSY
    return replace(execution, delivery=None if busy else replace(delivery, ended=True, acted=outcome))


def finish(execution: Execution, run: int, result: Result, detail: str, now: datetime) -> Execution:
    """The execution ended; a run that was overtaken, or has ended, changes nothing."""
    if not is_current(execution, run):
        return execution
    return replace(execution, result=result, detail=detail, finished_at=now)
