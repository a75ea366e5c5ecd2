"""Recorded signals in a playbook's own file, with the evidence of then, and what the playbook must make of them. Pure.

They run the decision that the app runs, and nothing else: no estate, no network, no clock.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.job_remediation.causes import Cause
from shared.job_remediation.evidence import Collector, Evidence, Value
from shared.job_remediation.signal import Condition, Severity, Signal, Source, Target
from shared.job_remediation.symptoms import Symptom

if TYPE_CHECKING:
    from shared.job_remediation.actions import Context
    from shared.job_remediation.decision import Decision
    from shared.job_remediation.playbook import Playbook

_NOW = datetime(2026, 1, 15, 10, tzinfo=UTC)
_STORM = timedelta(minutes=30)


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expected(StrEnum):
    """What comes next, as `decision.Course` has it."""

    ACT = "act"
    OVER = "over"
    WAIT = "wait"
    HUMAN = "human"


class RecordedSignal(_Declared):
    """The signal. `symptom` is needed where the playbook answers several; `target` as in plain signals."""

    title: str = "recorded"
    symptom: Symptom | None = None
    resource: str | None = None
    namespace: str | None = None
    object: str | None = None
    facts: Mapping[str, str | float] = {}


class RepeatedJob(_Declared):
    """A job's class, as the estate declares it."""

    repeat: Annotated[str, Field(pattern="^[ABCD]$")]
    changes_ledger: bool = True


class Surroundings(_Declared):
    """What speaks for or against acting besides the evidence.

    jobs: the classes of jobs. attempts: how often it was tried. frozen: a freeze is in force. storm: so much is wrong
    that nothing is repaired. known: whether the estate declares the environment. disabled, propose_only: as the estate
    says of this playbook.
    """

    jobs: Mapping[str, RepeatedJob] = {}
    attempts: Annotated[int, Field(ge=0, le=10)] = 0
    frozen: bool = False
    storm: bool = False
    known: bool = True
    disabled: bool = False
    propose_only: bool = False


class Expectation(_Declared):
    """What must come of it; what is left out may be anything.

    actions: what is done, each as often as it is done. approval: whether a person must agree before. asks, left: words
    that must be in what a human is asked, or told was left alone.
    """

    case: str
    course: Expected
    cause: Cause | None = None
    actions: tuple[str, ...] | None = None
    approval: bool | None = None
    asks: str | None = None
    left: str | None = None

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.actions and self.course is not Expected.ACT:
            raise ValueError(f"actions are expected, but course is {self.course}: only `act` does something")
        return self


class RecordedCase(_Declared):
    """One recorded signal with its evidence. `missing`: why a collector could not look, by its name."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    signal: RecordedSignal = RecordedSignal()
    evidence: Mapping[str, Value] = {}
    items: tuple[Mapping[str, Value], ...] = ()
    missing: Mapping[Collector, str] = {}
    around: Surroundings = Surroundings()
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a recorded case. `differences`: what is not as expected, empty when all is."""

    case: RecordedCase
    decision: "Decision"
    differences: tuple[str, ...]


def run(playbook: "Playbook", case: RecordedCase) -> Ran:
    """What the playbook makes of the recorded signal, compared with what it must make of it."""
    from shared.job_remediation.decision import Circumstances, decide
    from shared.job_remediation.storm import Weather

    around = case.around
    own = frozenset({playbook.name})
    decision = decide(
        _signal(playbook, case.signal),
        playbook,
        Evidence(case.evidence, case.items, {str(name): why for name, why in case.missing.items()}),
        Circumstances(
            now=_NOW,
            attempts=around.attempts,
            disabled=own if around.disabled else frozenset(),
            propose_only=own if around.propose_only else frozenset(),
            weather=Weather(storm_until=_NOW + _STORM) if around.storm else Weather(),
            context=_context(around) if around.known else None,
        ),
    )
    return Ran(case, decision, tuple(_differences(case.expect, decision)))


def _signal(playbook: "Playbook", said: RecordedSignal) -> Signal:
    return Signal(
        source=Source.PLAIN,
        condition=Condition.FIRED,
        fingerprint="0" * 32,
        symptom=said.symptom or playbook.symptoms[0],
        title=said.title,
        severity=Severity.WARNING,
        target=Target(resource=said.resource, namespace=said.namespace, object=said.object),
        environment="recorded",
        fired_at=_NOW,
        received_at=_NOW,
        facts=said.facts,
        raw="",
    )


def _context(around: Surroundings) -> "Context":
    from shared.estate.policies.job_remediation import Job, JobClass, JobRemediation
    from shared.job_remediation.actions import Context

    jobs = {
        name: Job(repeat=JobClass(one.repeat), changes_ledger=one.changes_ledger) for name, one in around.jobs.items()
    }
    return Context(
        remediation="remediation:recorded:1",
        attempt=around.attempts + 1,
        environment="recorded",
        tenant=None,
        policy=JobRemediation(jobs=jobs),
        frozen=around.frozen,
    )


def _differences(expect: Expectation, decision: "Decision") -> Iterator[str]:
    if decision.case != expect.case:
        yield f"case is {decision.case or 'none'}, expected {expect.case}"
    if decision.course != expect.course:
        left = f" ({'; '.join(decision.left)})" if decision.left else ""
        yield f"course is {decision.course} because of {decision.why}{left}, expected {expect.course}"
    if expect.cause is not None and decision.cause is not expect.cause:
        yield f"cause is {decision.cause}, expected {expect.cause}"
    done = tuple(sorted(change.action for change in decision.changes))
    if expect.actions is not None and done != tuple(sorted(expect.actions)):
        yield f"actions are {', '.join(done) or 'none'}, expected {', '.join(sorted(expect.actions)) or 'none'}"
    needs = any(change.requires_approval for change in decision.changes)
    if expect.approval is not None and needs != expect.approval:
        yield f"an approval is {'' if needs else 'not '}needed, expected that it is{'' if expect.approval else ' not'}"
    if expect.asks is not None and expect.asks not in decision.ask:
        yield f"a human is asked {decision.ask!r}, expected {expect.asks!r} in it"
    if expect.left is not None and not any(expect.left in why for why in decision.left):
        yield f"left alone is {list(decision.left)}, expected {expect.left!r} in one of it"
