"""One look at an environment: what everything is to be, what is remembered of it, and the changes that follow. Pure.

Level-triggered: nothing here depends on the last tick having come. The same facts at the same instant lead to the same
changes, and a tick that is repeated to changes of the same ids.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.changes.change import Change, State
from shared.changes.overrides import Override
from shared.changes.policy import OverrideKind
from shared.changes.reasons import spell_moment
from shared.shutdown_schedules import memory as remembering
from shared.shutdown_schedules.habits import BusyWith, Subject, looked, put_off
from shared.shutdown_schedules.hours import Hours
from shared.shutdown_schedules.memory import Attempt, Condition, Habit, Memory, Night, Notice, Seen, Sleeper
from shared.shutdown_schedules.planning import AUTOMATION, Case, sleep_changes, wake_changes
from shared.shutdown_schedules.resources import Resource, resources_of
from shared.shutdown_schedules.wishes import LOOK_AHEAD, LOOK_BACK, Timeline, Want, Why, Wish, kept_awake

if TYPE_CHECKING:  # whoever has an estate has loaded its models
    from shared.estate.estate import Estate
    from shared.estate.policies.shutdown_schedules import Schedule
    from shared.finance_calendar.calendar import FinanceCalendar

_FIRST_PATIENCE = timedelta(minutes=4)
_LONGEST_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was looked at, all of it after `now`.

    fulfilled: when a change (by its id) was done, None while it was not. original: what we found of a target before it
    was put to sleep, empty when that was given back or never saved; asked only when it is to wake.
    """

    now: datetime
    seen: Mapping[str, Seen]
    overrides: Sequence[Override] = ()
    busy: Callable[[], Sequence[BusyWith]] = tuple
    running: bool = False
    """Whether the last plan is still under way."""
    fulfilled: Callable[[str], datetime | None] = lambda _: None
    original: Callable[[str], State] = lambda _: {}
    requested: bool = False
    """A person asks, just now, that it wakes: then also what nobody of us put to sleep."""


@dataclass(frozen=True)
class Considered:
    """What came of it. `changes` is empty while nothing new is to be done; `unwanted` are ids of the last plan's
    changes that nobody wants any more, with the reason."""

    memory: Memory
    cases: tuple[Case, ...]
    changes: tuple[Change, ...] = ()
    unwanted: Mapping[str, str] = field(default_factory=dict[str, str])


class Sleep:
    """The schedules of one environment, of one version of the estate and its calendar."""

    def __init__(self, estate: "Estate", environment: str, calendar: "FinanceCalendar") -> None:
        from shared.estate.inventory.environments import Stage

        self.environment = environment
        self.zone = ZoneInfo(estate.time_zone_of(environment))
        self.resources = resources_of(estate, environment)
        self.schedules: dict[str, Schedule] = {
            name: each for name, each in estate.shutdown_schedules.items() if each.covers.environment == environment
        }
        self.hours = {name: Hours(estate, name, calendar) for name in self.schedules}
        self._is_production = estate.environments[environment].stage is Stage.PRODUCTION

    def timeline(
        self, resource: Resource, overrides: Sequence[Override], memory: Memory, start: datetime, end: datetime
    ) -> Timeline:
        """When the resource is to be awake around [start, end)."""
        causes = [
            c for name in resource.needed_by for c in self.hours[name].causes(start - LOOK_BACK, end + LOOK_AHEAD)
        ]
        asked = kept_awake(overrides, self.environment, resource.target)
        for above in self.resources:
            if resource.key in above.stands_on:
                asked += kept_awake(overrides, self.environment, above.target)
        return Timeline.of([*causes, *dict.fromkeys(asked)], self.wake_ahead(resource, memory))

    def wake_ahead(self, resource: Resource, memory: Memory) -> timedelta:
        """How long before people come waking begins."""
        return max(
            remembering.wake_ahead(memory.habits.get(name), self.schedules[name].wake_ahead)
            for name in resource.needed_by
        )

    def consider(self, memory: Memory, facts: Facts) -> Considered:
        """Look at everything once."""
        cases, memory = self._wishes(memory, facts)
        cases, memory = self._put_off(cases, memory, facts)
        cases = [_with_original(case, facts) for case in _held_up(cases)]
        memory = self._remember(cases, memory, facts)
        return self._decide(cases, memory, facts)

    # what everything is to be

    def _wishes(self, memory: Memory, facts: Facts) -> tuple[list[Case], Memory]:
        notices: list[Notice] = []
        cases: list[Case] = []
        timelines: dict[object, Timeline] = {}
        awake_by_hand: dict[str, datetime] = {}
        stopped = {
            each.target.casefold()
            for each in self.resources
            if each.kind == "aks-cluster" and _is_asleep(each, facts.seen.get(each.key), memory.sleepers.get(each.key))
        }
        for resource in self.resources:
            seen = facts.seen.get(resource.key, Seen(state=None))
            known = memory.sleepers.get(resource.key)
            asleep = _is_asleep(resource, seen, known) or (
                seen.state is None and resource.cluster.casefold() in stopped
            )
            condition = Condition.ASLEEP if asleep else Condition.AWAKE
            sleeper = remembering.found(known, condition, seen, facts.now, self.zone)
            if known is not None and remembering.woke_unasked(known, condition):
                sleeper, notice = self._woken(resource, known, sleeper, seen, facts.now)
                notices.append(notice)
                if sleeper.left_until:
                    awake_by_hand[resource.schedule] = facts.now
            alike = (resource.needed_by, _asked_of(facts.overrides, self.resources, resource))
            if alike not in timelines:
                timelines[alike] = self.timeline(resource, facts.overrides, memory, facts.now, facts.now)
            rests = self.hours[resource.schedule].rests_because(facts.now)
            wish = timelines[alike].wish(facts.now, rests)
            cases.append(Case(resource, seen, sleeper, self._restrained(resource, seen, sleeper, wish, facts)))
        habits = dict(memory.habits)
        for name, at in awake_by_hand.items():
            habits[name] = replace(habits.get(name, Habit(since=at)), woken=at)
        return cases, replace(memory, habits=habits, notices=(*memory.notices, *notices))

    def _woken(
        self, resource: Resource, known: Sleeper, sleeper: Sleeper, seen: Seen, now: datetime
    ) -> tuple[Sleeper, Notice]:
        """It is awake though nobody here woke it: Azure's doing is undone at once, a person's is left alone."""
        if remembering.woken_by_azure(known, resource.kind, seen, now):
            body = {"target": resource.target, "asleep_since": known.since.isoformat(), "maintenance": seen.maintenance}
            return sleeper, Notice(
                kind="woken_by_azure",
                subject=f"sleep:{resource.key}",
                time=now,
                quiet=True,
                tenant=resource.tenant,
                body=body,
            )
        by_hand = max(known.since, min(now, seen.edited or now))
        left_until = by_hand + self.schedules[resource.schedule].grace
        body = {"target": resource.target, "left_alone_until": left_until.isoformat()}
        notice = Notice(
            kind="woken_by_person", subject=f"sleep:{resource.key}", time=now, tenant=resource.tenant, body=body
        )
        return replace(sleeper, left_until=left_until), notice

    def _restrained(self, resource: Resource, seen: Seen, sleeper: Sleeper, wish: Wish, facts: Facts) -> Wish:
        schedule = self.schedules[resource.schedule]
        if self._is_production and not schedule.production_may_sleep:
            return _left(wish, Why.PRODUCTION, f"{self.environment} is production, which does not sleep")
        for each in facts.overrides:
            here = each.environment in (None, self.environment) and each.in_force(facts.now)
            if each.kind is OverrideKind.PAUSE and each.automation == AUTOMATION and here:
                said = f"paused by {each.set_by} until {spell_moment(each.end)}: {each.reason}"
                return _left(wish, Why.PAUSED, said)
        if wish.want is Want.AWAKE or sleeper.condition is Condition.ASLEEP:
            return wish
        touched = seen.edited + schedule.grace if seen.edited and wish.stretch and seen.edited > wish.stretch else None
        left_until = max((at for at in (sleeper.left_until, touched) if at), default=None)
        if left_until and facts.now < left_until:
            said = f"a person woke it; it is left alone until {spell_moment(left_until)}"
            return _left(wish, Why.WOKEN_BY_PERSON, said)
        if seen.created and facts.now < seen.created + schedule.grace:
            said = f"it was just created; it is left alone until {spell_moment(seen.created + schedule.grace)}"
            return _left(wish, Why.CREATED, said)
        if seen.maintenance and "maintenance" in schedule.defer.while_running:
            return _left(wish, Why.MAINTENANCE, "Azure maintains it now")
        return wish

    # what is running puts sleep off

    def _put_off(self, cases: Sequence[Case], memory: Memory, facts: Facts) -> tuple[list[Case], Memory]:
        result: list[Case] = []
        habits = {name: memory.habits.get(name, Habit(since=facts.now)) for name in self.schedules}
        notices: list[Notice] = []
        nights: dict[str, dict[str, Night]] = {name: {} for name in self.schedules}

        def night_of(case: Case) -> tuple[str, str]:
            return case.resource.schedule, case.wish.occasion if case.wish.want is not Want.AWAKE else ""

        for (name, occasion), group in groupby(sorted(cases, key=night_of), key=night_of):
            together = list(group)
            going = [each for each in together if each.wish.want is Want.ASLEEP]
            if not occasion or not going:
                result += together
                continue
            night, told, words = put_off(
                self._subject(name, facts), habits[name].nights.get(occasion, Night()), going, facts.busy
            )
            nights[name][occasion] = night
            notices += told
            if words is None:
                result += together
                continue
            why = Why.GAVE_UP if night.given_up else Why.BUSY
            result += [
                replace(each, wish=_left(each.wish, why, words)) if each in going and not each.asleep else each
                for each in together
            ]
        for name, kept in nights.items():
            habits[name] = replace(habits[name], nights=kept)
        return result, replace(memory, habits=habits, notices=(*memory.notices, *notices))

    def _subject(self, name: str, facts: Facts) -> Subject:
        return Subject(self.environment, name, self.schedules[name], facts.now)

    # what is remembered

    def _remember(self, cases: Sequence[Case], memory: Memory, facts: Facts) -> Memory:
        sleepers = {
            case.resource.key: replace(
                case.sleeper,
                want=case.wish.want,
                why=case.wish.why,
                sentence=case.wish.sentence,
                until=case.wish.until,
            )
            for case in cases
        }
        habits: dict[str, Habit] = {}
        notices: list[Notice] = []
        for name in self.schedules:
            mine = [case for case in cases if case.resource.schedule == name]
            habit, told = looked(self._subject(name, facts), memory.habits[name], mine, facts.overrides)
            habits[name] = habit
            notices += told
        return replace(memory, sleepers=sleepers, habits=habits, notices=(*memory.notices, *notices))

    # what is done

    def _decide(self, cases: Sequence[Case], memory: Memory, facts: Facts) -> Considered:
        limits = {name: schedule.time_limit for name, schedule in self.schedules.items()}
        changes = sleep_changes(cases, self._is_production, limits)
        changes += wake_changes(cases, limits, lambda case: facts.requested and case.wish.why is Why.NEEDED)
        intents = {change.id: f"{_want_of(change)} {change.target.casefold()}" for change in changes}
        last = memory.attempt
        wanted = {case.resource.key: case.wish for case in cases}
        unwanted: dict[str, str] = {}
        if last is not None:
            for change_id, intent in last.intents.items():
                want, _, key = intent.partition(" ")
                wish = wanted.get(key)
                if wish is not None and wish.want != want:
                    unwanted[change_id] = wish.sentence
        memory = _holding(self._undone_since(changes, memory, facts), changes)
        tried = last is not None and set(intents.values()) <= set(last.intents.values()) and not unwanted
        if not changes or (tried and last is not None and (facts.running or facts.now < last.at + _patience(last))):
            return Considered(memory, tuple(cases), unwanted=unwanted if facts.running else {})
        again = last is not None and tried and set(intents) <= set(last.intents)
        attempt = Attempt(intents=intents, times=last.times + 1 if last and again else 1, at=facts.now)
        return Considered(replace(memory, attempt=attempt), tuple(cases), tuple(changes), unwanted)

    def _undone_since(self, changes: Sequence[Change], memory: Memory, facts: Facts) -> Memory:
        """What was done and is not so any more, somebody undid between two ticks: from now on another occasion."""
        sleepers, notices = dict(memory.sleepers), list(memory.notices)
        by_key = {resource.key: resource for resource in self.resources}
        for change in changes:
            done = facts.fulfilled(change.id)
            if done is None or done >= facts.now:
                continue
            resource = by_key[change.target.casefold()]
            sleeper = replace(sleepers[resource.key], since=facts.now)
            if change.action == "sleep":
                known = replace(sleeper, condition=Condition.ASLEEP, since=done)
                seen = facts.seen.get(resource.key, Seen(state=None))
                sleeper, notice = self._woken(resource, known, sleeper, seen, facts.now)
                notices.append(notice)
            sleepers[resource.key] = sleeper
        return replace(memory, sleepers=sleepers, notices=tuple(notices))


def _held_up(cases: Sequence[Case]) -> list[Case]:
    """What is awake and may not sleep yet keeps awake what it stands on, and the later steps of its schedule."""
    result: list[Case] = []
    for case in sorted(cases, key=lambda each: each.resource.rank):
        if case.wish.want is Want.ASLEEP and not case.asleep:
            above = next((each for each in result if _holds_up(each, case)), None)
            if above is not None:
                said = f"{above.resource.name} is awake: {above.wish.sentence}"
                case = replace(case, wish=_left(case.wish, Why.STOOD_ON, said))
        result.append(case)
    return result


def _holds_up(above: Case, case: Case) -> bool:
    if above.asleep or above.wish.want is Want.ASLEEP:
        return False
    earlier = above.resource.schedule == case.resource.schedule and above.resource.rank < case.resource.rank
    return case.resource.key in above.resource.stands_on or (earlier and above.wish.want is Want.LEAVE)


def _with_original(case: Case, facts: Facts) -> Case:
    if case.wish.want is not Want.AWAKE or not (case.asleep or case.sleeper.held):
        return case
    original = facts.original(case.resource.target) or None
    seen = replace(case.seen, original=original)
    return replace(case, seen=seen, sleeper=replace(case.sleeper, held=original is not None))


def _left(wish: Wish, why: Why, sentence: str) -> Wish:
    return replace(wish, want=Want.LEAVE, why=why, sentence=sentence)


def _is_asleep(resource: Resource, seen: Seen | None, known: Sleeper | None) -> bool:
    if seen is None or seen.state is None:
        return known is not None and known.condition is Condition.ASLEEP
    return resource.is_asleep(seen.state)


def _asked_of(overrides: Sequence[Override], resources: Sequence[Resource], resource: Resource) -> tuple[str, ...]:
    """The ids of the overrides of single targets that concern a resource."""
    concerned = {resource.key} | {each.key for each in resources if resource.key in each.stands_on}
    return tuple(each.id for each in overrides if each.target is not None and each.target.casefold() in concerned)


def _holding(memory: Memory, changes: Sequence[Change]) -> Memory:
    """With a note of what may be saved from now on."""
    sleepers = dict(memory.sleepers)
    for change in changes:
        key = change.target.casefold()
        if change.action == "sleep":
            sleepers[key] = replace(sleepers[key], held=True)
    return replace(memory, sleepers=sleepers)


def _want_of(change: Change) -> Want:
    return Want.ASLEEP if change.action == "sleep" else Want.AWAKE


def _patience(attempt: Attempt) -> timedelta:
    return min(_LONGEST_PATIENCE, _FIRST_PATIENCE * 2 ** (attempt.times - 1))
