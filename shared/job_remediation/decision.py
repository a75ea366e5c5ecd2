"""What is done about a fault now: from its playbook, the evidence, and all that speaks against acting. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from shared.changes.change import Change
from shared.job_remediation.actions import Context, propose
from shared.job_remediation.causes import Cause
from shared.job_remediation.evidence import Evidence, shown
from shared.job_remediation.playbook import Playbook, exact, filled_in
from shared.job_remediation.signal import Signal
from shared.job_remediation.storm import Spread, Weather


class Course(StrEnum):
    """What comes next."""

    ACT = "act"
    OVER = "over"
    WAIT = "wait"
    HUMAN = "human"


class Why(StrEnum):
    """Why that comes next."""

    PLAYBOOK = "playbook"
    NOTHING_WRONG = "nothing-wrong"
    STORM = "storm"
    COMMON_CAUSE = "common-cause"
    NO_PLAYBOOK = "no-playbook"
    DISABLED = "disabled"
    PROPOSE_ONLY = "propose-only"
    UNKNOWN_PLACE = "unknown-place"
    EVIDENCE_MISSING = "evidence-missing"
    FOR_A_HUMAN = "for-a-human"
    NOT_REPEATED = "not-repeated"
    NOT_HELPED = "not-helped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What comes next, and all that a human would want to know about it.

    says: the diagnosis in one sentence. ask: what a human is asked to do. until: for WAIT.
    left: why things that the playbook means are left alone. around: what goes on around it, which may explain it.
    """

    course: Course
    why: Why
    playbook: str = ""
    case: str = ""
    cause: Cause = Cause.UNKNOWN
    says: str
    ask: str = ""
    commands: tuple[str, ...] = ()
    until: datetime | None = None
    changes: tuple[Change, ...] = ()
    left: tuple[str, ...] = ()
    around: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What speaks against acting, besides the gate.

    attempts: how often it was tried already in this occurrence. spread: the common cause that the fault belongs to.
    context: None where the environment is not known.
    """

    now: datetime
    attempts: int
    disabled: frozenset[str] = frozenset()
    propose_only: frozenset[str] = frozenset()
    weather: Weather = field(default_factory=Weather)
    spread: Spread | None = None
    context: Context | None = None


def decide(signal: Signal, playbook: Playbook | None, evidence: Evidence, around: Circumstances) -> Decision:
    """The next step for the fault that the signal tells of."""
    if playbook is None:
        says = f"{signal.title}: no playbook answers {signal.symptom}."
        unanswered = Decision(course=Course.HUMAN, why=Why.NO_PLAYBOOK, says=says, ask="Look at it.")
        return _one_of_many(unanswered, around) or unanswered
    known = Evidence({**_told(signal), **evidence.facts}, evidence.items, evidence.missing)
    case = playbook.case_of(known)
    says = filled_in(case.says, known)
    handed = Decision(
        course=Course.HUMAN,
        why=Why.FOR_A_HUMAN,
        playbook=playbook.name,
        case=case.name,
        cause=case.cause,
        says=says,
        ask=filled_in(case.ask, known),
        commands=exact(case.commands, known),
    )

    def human(why: Why, *left: str) -> Decision:
        return replace(handed, why=why, left=left)

    missing = tuple(f"{collector} could not be looked at: {what}" for collector, what in known.missing.items())
    if case.over:
        # What could not be looked at may hide what is wrong.
        return (
            human(Why.EVIDENCE_MISSING, *missing)
            if missing
            else replace(handed, course=Course.OVER, why=Why.NOTHING_WRONG)
        )
    if (collapsed := _one_of_many(handed, around)) is not None:
        return collapsed
    if case.do is None:
        return human(Why.FOR_A_HUMAN, *missing)
    if playbook.name in around.disabled:
        return human(Why.DISABLED)
    if around.context is None:
        return human(Why.UNKNOWN_PLACE, "no declared environment has this target: declare it, or label the alert")
    if missing:
        return human(Why.EVIDENCE_MISSING, *missing)
    if around.attempts >= playbook.attempts:
        return human(Why.NOT_HELPED, f"tried {around.attempts} times")
    proposal = propose(case, known, says, around.context)
    if not proposal.changes:
        return human(Why.NOT_REPEATED, *proposal.left)
    if playbook.name in around.propose_only:
        return human(Why.PROPOSE_ONLY, *(f"would {change.description}" for change in proposal.changes))
    return replace(handed, course=Course.ACT, why=Why.PLAYBOOK, changes=proposal.changes, left=proposal.left)


def _one_of_many(handed: Decision, around: Circumstances) -> Decision | None:
    """Nothing is done, and nobody is told of it singly, while a storm lasts, or after it while the cause is common."""
    if around.weather.is_stormy(around.now):
        return replace(handed, course=Course.WAIT, why=Why.STORM, until=around.weather.storm_until)
    if (spread := around.spread) is None:
        return None
    where = f", and all hang on {spread.root}" if spread.root else ""
    left = f"{len(spread.names)} of {spread.of} targets of kind {spread.kind} are faulty at once{where}"
    return replace(handed, why=Why.COMMON_CAUSE, left=(left,))


def _told(signal: Signal) -> dict[str, str | float | bool]:
    """What the signal itself says, as facts."""
    facts: dict[str, str | float | bool] = {f"signal.{name}": value for name, value in signal.facts.items()}
    told = Evidence({**facts, "signal.title": signal.title, "signal.target": str(signal.target)})
    return dict(shown(told).facts)
