"""What a schedule as a whole remembers and tells: sleeps put off, warnings, how long waking takes, retirement. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.changes.overrides import Override
from shared.changes.policy import OverrideKind
from shared.changes.reasons import spell_duration, spell_moment
from shared.evidence.canonical import Json
from shared.shutdown_schedules.memory import Habit, Night, Notice, waking_measured
from shared.shutdown_schedules.planning import Case
from shared.shutdown_schedules.wishes import Want

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.policies.shutdown_schedules import Busy, Schedule


@dataclass(frozen=True)
class BusyWith:
    """Something that is running in the environment, in words."""

    what: "Busy"
    sentence: str


@dataclass(frozen=True)
class Subject:
    """A schedule, and the instant that it is asked about."""

    environment: str
    name: str
    schedule: "Schedule"
    now: datetime

    def notice(self, kind: str, of: datetime, body: dict[str, Json]) -> Notice:
        """Something to tell about it; `of` is the instant that makes it the only one of its kind."""
        subject = f"schedule:{self.environment}/{self.name}:{of.isoformat()}"
        return Notice(kind=kind, subject=subject, time=self.now, body={"schedule": self.name, **body})


def put_off(
    subject: Subject, night: Night, going: Sequence[Case], running: Callable[[], Sequence[BusyWith]]
) -> tuple[Night, list[Notice], str | None]:
    """How a sleep stands; with words when it waits for what is running, or is given up for this time.

    What is running is asked only when a sleep is about to begin.
    """
    if night.given_up:
        return night, [], "it was busy until too late; it stays awake until the next night"
    if night.begun:
        return night, [], None
    if all(each.asleep for each in going):
        return night, [], None
    defer, now = subject.schedule.defer, subject.now
    busy = [each.sentence for each in running() if each.what in defer.while_running]
    if not busy:
        return replace(night, begun=now), [], None
    began = going[0].wish.stretch or night.deferred or now
    body: dict[str, Json] = {"busy": list[Json](busy)}
    if now >= began + defer.up_to:
        words = f"busy for {spell_duration(defer.up_to)}, so it stays awake until the next night: {busy[0]}"
        return replace(night, given_up=now), [subject.notice("sleep_given_up", began, body)], words
    words = f"sleep waits until {spell_moment(began + defer.up_to)} at the latest: {'; '.join(busy)}"
    if night.deferred:
        return night, [], words
    return replace(night, deferred=now), [subject.notice("sleep_deferred", began, body)], words


def looked(
    subject: Subject, habit: Habit, mine: Sequence[Case], overrides: Sequence[Override]
) -> tuple[Habit, list[Notice]]:
    """The habit after a look at what the schedule has, and what is to be told."""
    ours = [case for case in mine if not (case.asleep and case.seen.original is None)]
    habit = waking_measured(
        habit,
        asleep=any(case.asleep for case in ours),
        ready=all(case.seen.ready for case in ours),
        wanted=bool(ours) and all(case.wish.want is Want.AWAKE for case in ours),
        now=subject.now,
    )
    habit, warning = _warned(subject, habit, mine)
    habit, proposal = _proposed(subject, habit, overrides)
    return habit, [*warning, *proposal]


def _warned(subject: Subject, habit: Habit, mine: Sequence[Case]) -> tuple[Habit, list[Notice]]:
    """Once before each sleep, with the link to postpone it; a sleep that was moved is warned of anew."""
    ends = [case.wish.until for case in mine if case.wish.want is Want.AWAKE and case.wish.until]
    at = min(ends, default=None)
    if at is None or subject.now < at - subject.schedule.warn or habit.warned == at:
        return habit, []
    body: dict[str, Json] = {
        "sleeps_at": at.isoformat(),
        "postpone": f"POST /api/environments/{subject.environment}/postpone",
        "see": "/api/status",
    }
    return replace(habit, warned=at), [subject.notice("sleep_warning", at, body)]


def _proposed(subject: Subject, habit: Habit, overrides: Sequence[Override]) -> tuple[Habit, list[Notice]]:
    """Once for each time in which nobody asked for it."""
    asked = [
        each.set_at
        for each in overrides
        if each.kind is OverrideKind.KEEP_AWAKE and each.environment == subject.environment
    ]
    habit = replace(habit, woken=max((at for at in (habit.woken, *asked) if at), default=None))
    since, weeks = habit.woken or habit.since, subject.schedule.retire_after
    if weeks is None or subject.now < since + timedelta(weeks=weeks) or habit.proposed == since:
        return habit, []
    body: dict[str, Json] = {"nobody_woke_it_since": since.isoformat(), "weeks": weeks}
    return replace(habit, proposed=since), [subject.notice("retirement_proposed", since, body)]
