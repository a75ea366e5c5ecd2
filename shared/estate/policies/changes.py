"""How changes are governed: dry run, freezes and their exceptions, approvals, overrides, budgets and breakers."""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.estate.declared import Declared
from shared.estate.values import Duration, Fraction, Frequency, Percent, Rate, Text
from shared.estate.windows import WeeklyWindows
from shared.finance_calendar.declaration import Name
from shared.risk import Risk


class Automation(StrEnum):
    """The automations by their names."""

    BACKUP_VERIFICATION = "backup_verification"
    STORAGE_TIERING = "storage_tiering"
    SHUTDOWN_SCHEDULES = "shutdown_schedules"
    PEAK_SCALING = "peak_scaling"
    JOB_REMEDIATION = "job_remediation"


def _a_second_at_least(pause: timedelta) -> timedelta:
    if pause < timedelta(seconds=1):
        raise ValueError("is too short; write at least 1s")
    return pause


class Gate(Declared):
    """What must hold before a change is made, and how much may be changed at once."""

    dry_run: bool = False
    """Plan, decide and record, but change nothing. DRY_RUN=1 switches this on everywhere."""

    automations: tuple[Automation, ...] = tuple(Automation)
    """The automations that may change anything in the environment."""

    forbidden: tuple[Name, ...] = ()
    """Actions that are never done by machine, such as restart-worker."""

    freeze_holds: tuple[Risk, ...] = (Risk.DISRUPTIVE, Risk.IRREVERSIBLE, Risk.FINANCIAL)
    """The risks that a freeze of the finance calendar holds back. Others go on."""

    emergencies_pass: tuple[Literal["A", "B"], ...] = ()
    """The remediation classes that may pass a freeze in an emergency, without an exception."""

    approval_for: tuple[Risk, ...] = (Risk.IRREVERSIBLE, Risk.FINANCIAL)
    """The risks that need another person's approval each time."""

    approval_for_actions: tuple[Name, ...] = ()
    """Actions that need another person's approval each time, whatever their risk."""

    maintenance: WeeklyWindows | None = None
    """The environment's maintenance windows, in its time zone."""

    maintenance_only: tuple[Risk, ...] = ()
    """The risks that are taken only inside `maintenance`."""

    longest_wait: Duration = timedelta(hours=12)
    """A change that would have to wait longer is refused, and planned anew from fresh facts."""

    at_once_per_target: Annotated[int, Field(ge=1, le=100)] = 1
    """The most changes that run on one target at a time."""

    at_once: Annotated[int, Field(ge=1, le=1000)] = 10
    """The most changes that run in the environment at a time."""

    share_at_once: Percent = Fraction(0.25)
    """The largest share of an environment's targets of one kind that may be changing at a time; one always may."""

    attempts_per_target: Rate = Frequency(3, timedelta(days=1))
    """How often the same action is tried on the same target. An attempt counts before its effect."""

    attempts_per_class: Rate = Frequency(100, timedelta(days=1))
    """How often the same kind of action is tried in the environment."""

    stop_after_failures: Annotated[int, Field(ge=1, le=100)] = 3
    """After so many failures in a row the breaker opens: the same kind of action is not tried any more."""

    probe_after: Duration = timedelta(hours=1)
    """How long the breaker stays open until a single attempt may show that things work again."""

    verify_every: Annotated[Duration, AfterValidator(_a_second_at_least)] = timedelta(seconds=15)
    """How often is looked whether what was changed is real, such as pods that are gone or a server that answers."""

    retry_after: Annotated[Duration, AfterValidator(_a_second_at_least)] = timedelta(seconds=10)
    """The pause before what was refused is tried again; it doubles each time, up to five minutes."""


class Approvals(Declared):
    """Approvals by another person who has the approver role."""

    expire_after: Duration = timedelta(hours=4)
    """An approval that nobody gave in this time is refused; one that was given must be used in this time."""


def _is_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error.msg}); write one such as CHG-[0-9]+") from None
    return text


class Exceptions(Declared):
    """Exceptions from a freeze: asked for by one person, granted by another."""

    longest: Duration = timedelta(hours=24)
    """The longest time that an exception may last."""

    most_uses: Annotated[int, Field(ge=1, le=100)] = 3
    """The most changes that one exception may let through."""

    ticket: Annotated[Text, AfterValidator(_is_pattern)] = ".+"
    """A regular expression that the ticket must fit wholly."""


class Overrides(Declared):
    """What an operator may set aside, and for how long at most."""

    keep_awake: Duration = timedelta(days=3)
    """An environment is kept awake, or woken."""

    pause: Duration = timedelta(days=7)
    """An automation is paused."""

    mute: Duration = timedelta(hours=24)
    """An environment's notices are muted; what happens is recorded all the same."""


class ChangesPolicy(Declared):
    """The rules for every change of every automation."""

    gate: Gate = Gate()
    """The gate where an environment has none of its own."""

    gates: Mapping[Name, Gate] = {}
    """Gates by environment. What one does not say is as in `gate`."""

    approvals: Approvals = Approvals()
    """Approvals."""

    exceptions: Exceptions = Exceptions()
    """Exceptions from a freeze."""

    overrides: Overrides = Overrides()
    """Overrides."""

    def gate_of(self, environment: str) -> Gate:
        """The gate of that environment: its own words over those of `gate`."""
        own = self.gates.get(environment)
        if own is None:
            return self.gate
        return self.gate.model_copy(update={field: getattr(own, field) for field in own.model_fields_set})
