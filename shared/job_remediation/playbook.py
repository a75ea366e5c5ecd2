"""Playbooks: declared data that says what a symptom's evidence means and what is done about it."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.job_remediation.causes import Cause
from shared.job_remediation.evidence import FACTS, Collector, Evidence, Value
from shared.job_remediation.recorded_cases import RecordedCase
from shared.job_remediation.symptoms import Symptom

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_.]*)\}")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_LONGEST_FACT = 300


class Do(StrEnum):
    """What can be done. How, and under which class of job, `shared.job_remediation.actions` says."""

    END_SESSIONS = "end-sessions"
    RERUN_JOB = "rerun-job"
    RAISE_MEMORY = "raise-memory"
    RESTART_WORKLOAD = "restart-workload"
    REQUEUE_JOBS = "requeue-jobs"
    REQUEUE_DEAD_JOBS = "requeue-dead-jobs"
    TRIGGER_CRON = "trigger-cron"
    ACTIVATE_CRON = "activate-cron"


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Declared):
    """What a fact must be. A fact that is not known fulfils no condition but `known: false`."""

    equals: Value | None = None
    one_of: tuple[Value, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    known: bool | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        said = [self.equals, self.at_least, self.at_most, self.known, self.one_of or None]
        if all(each is None for each in said):
            raise ValueError("says nothing; give a value, a list of values, at_least, at_most or known")
        return self

    def holds(self, fact: Value | None) -> bool:
        """Whether the fact is as said."""
        if fact is None:
            return self.known is False
        if self.known is False:
            return False
        number = fact if isinstance(fact, int | float) else None
        return (
            (self.equals is None or fact == self.equals)
            and (not self.one_of or fact in self.one_of)
            and (self.at_least is None or (number is not None and number >= self.at_least))
            and (self.at_most is None or (number is not None and number <= self.at_most))
        )


def _short_form(value: Any) -> Any:
    if isinstance(value, Mapping | Condition):
        return cast("Any", value)
    return {"one_of": cast("Any", value)} if isinstance(value, list | tuple) else {"equals": value}


type When = Mapping[str, Annotated[Condition, BeforeValidator(_short_form)]]


class Case(_Declared):
    """One reading of the evidence. The first whose conditions all hold is the diagnosis.

    says: the diagnosis in one sentence; {facts} are filled in.
    over: nothing is wrong any more.
    do: what is done; nothing goes straight to a human.
    most: on how many things it is done at once.
    ask: what a human is asked to do when it is not done, or did not help.
    commands: what exactly they would type.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
    when: When = {}
    cause: Cause = Cause.UNKNOWN
    says: Annotated[str, Field(min_length=1, max_length=500)]
    over: bool = False
    do: Do | None = None
    most: Annotated[int, Field(ge=1, le=100)] = 1
    ask: str = ""
    commands: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if not self.over and not self.ask:
            raise ValueError("ask is empty: say what a human is to do when this case is handed over")
        if self.over and (self.do or self.ask):
            raise ValueError("over says that nothing is wrong; leave out do and ask")
        for command in self.commands:
            if _PLACEHOLDER.search(" ".join(_QUOTED.findall(command))):
                raise ValueError(f"commands: {command}: a fact stands in quotes; it is quoted already, leave them out")
        return self


class Playbook(_Declared):
    """What is done about some symptoms.

    well: what the facts must be after a repair, for as long as the policy stabilises.
    attempts: how often it is tried until a human is asked.
    replaces: the shipped playbook that this one of the user takes the place of.
    tests: recorded signals, and what must come of each.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    symptoms: Annotated[tuple[Symptom, ...], Field(min_length=1)]
    collect: tuple[Collector, ...] = ()
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]
    well: When = {}
    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    replaces: str = ""
    tests: tuple[RecordedCase, ...] = ()

    @model_validator(mode="after")
    def _speaks_of_what_is_collected(self) -> Self:
        known = {fact for collector in self.collect for fact in FACTS[collector]}
        for place, fact in self._facts_spoken_of():
            if fact not in known and not fact.startswith("signal."):
                offered = ", ".join(sorted(known)) or "none: collect is empty"
                raise ValueError(f"{place} speaks of {fact}, which nothing collects; collected are {offered}")
        names = [case.name for case in self.cases]
        if len(set(names)) < len(names):
            raise ValueError("two cases have one name; name them apart")
        for test in self.tests:
            if test.expect.case not in names:
                raise ValueError(f"tests: {test.name} expects case {test.expect.case}; cases are {', '.join(names)}")
            if test.signal.symptom is not None and test.signal.symptom not in self.symptoms:
                raise ValueError(f"tests: {test.name} is of {test.signal.symptom}, which this playbook does not answer")
        if self.cases[-1].when:
            raise ValueError("the last case has conditions; let it hold always, so that each signal has a diagnosis")
        if any(case.do for case in self.cases) and not self.well:
            raise ValueError("well is empty, but something is done: say what the facts must be afterwards")
        return self

    def _facts_spoken_of(self) -> Iterator[tuple[str, str]]:
        for case in self.cases:
            yield from ((f"cases.{case.name}.when", fact) for fact in case.when)
            for text in (case.says, case.ask, *case.commands):
                yield from ((f"cases.{case.name}", fact) for fact in _PLACEHOLDER.findall(text))
        yield from (("well", fact) for fact in self.well)
        for test in self.tests:
            yield from ((f"tests: the evidence of {test.name}", fact) for fact in test.evidence)

    def case_of(self, evidence: Evidence) -> Case:
        """The first case that fits the evidence."""
        return next(case for case in self.cases if fits(case.when, evidence))


def fits(when: When, evidence: Evidence) -> bool:
    """Whether all conditions hold."""
    return all(condition.holds(evidence.facts.get(fact)) for fact, condition in when.items())


def exact(commands: Iterable[str], evidence: Evidence) -> tuple[str, ...]:
    """The commands with the facts in them, as they can be typed; one that speaks of what is not known is left out.

    What came from outside is quoted, so that nobody is made to type what they do not see; what would be taken for an
    option counts as not known.
    """

    def fact(match: re.Match[str]) -> str:
        value = str(evidence.facts[match[1]])
        return value if match[1].endswith(".access") else shlex.quote(value)

    def known(command: str) -> bool:
        values = [evidence.facts.get(name) for name in _PLACEHOLDER.findall(command)]
        return not any(value in (None, "") or str(value).startswith("-") for value in values)

    return tuple(_PLACEHOLDER.sub(fact, command) for command in commands if known(command))


def filled_in(text: str, evidence: Evidence) -> str:
    """The text with the facts in it; what is not known says so."""

    def fact(match: re.Match[str]) -> str:
        value = evidence.facts.get(match[1])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return "(unknown)" if value is None else str(value)[:_LONGEST_FACT]

    return _PLACEHOLDER.sub(fact, text)
