"""The effects of a tick of the shutdown schedules, each of which may come twice, late, or twice at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions import estate_in_force
from functions.change_execution import services
from functions.sleep_state import sleep_of
from shared.changes import governance
from shared.changes.errors import InvalidRequestError, NotKnownError
from shared.changes.overrides import Override
from shared.changes.policy import OverrideKind
from shared.changes.state import to_data
from shared.identity import Caller

if TYPE_CHECKING:
    from shared.shutdown_schedules.considering import Considered, Sleep
    from shared.shutdown_schedules.memory import Memory, Sleeper
    from shared.shutdown_schedules.resources import Resource
    from shared.shutdown_schedules.wishes import Wish

_TRANSITIONS_AHEAD = timedelta(days=14)


def last_plan(environment: str) -> str | None:
    """The instance of the last plan that was made for the environment's sleep."""
    from shared.shutdown_schedules import tending

    attempt = tending.remembered(services().store, environment).attempt
    return attempt.instance if attempt else None


def look(environment: str, now: datetime, *, running: bool, requested: bool) -> "Considered":
    """Observe, consider, remember. Raises KeyError for an environment that is not declared."""
    from functions.sleep_observation import Observed
    from shared.shutdown_schedules import tending

    sleep = sleep_of(environment, now)
    declared = estate_in_force.get().environments[environment]
    observed = Observed(declared, sleep, tending.remembered(services().store, environment))
    return tending.look(services(), sleep, observed.seen, now, busy=observed.busy, running=running, requested=requested)


def withdraw(unwanted: Mapping[str, str]) -> list[str]:
    """Take back changes, by id, with the reason; returns the instances to wake."""
    from shared.shutdown_schedules import tending

    return tending.withdraw_unwanted(services(), unwanted)


def tell(environment: str) -> None:
    """Record and tell what the look found."""
    from shared.shutdown_schedules import tending

    tending.tell(services(), environment)


def remember_plan(environment: str, attempted_at: datetime, instance: str) -> None:
    """Remember where the plan runs."""
    from shared.shutdown_schedules import tending

    tending.started(services().store, environment, attempted_at, instance)


# --- what people ask -------------------------------------------------------------------------------------------------


def keep_awake(
    by: Caller, environment: str, *, reason: str, until: datetime, target: str | None, now: datetime, key: str | None
) -> Override:
    """Keep it awake from now on; raises what `governance.set_override` raises, NotKnownError for what never sleeps."""
    sleep = _known(environment, now)
    if target is not None:
        target = _target(sleep, target)
    return governance.set_override(
        services(),
        by,
        OverrideKind.KEEP_AWAKE,
        environment=environment,
        target=target,
        reason=reason,
        start=now,
        end=until,
        now=now,
        key=key,
    )


def next_sleep(environment: str, now: datetime) -> datetime:
    """When something of the environment goes to sleep next; `now` when something sleeps already."""
    from shared.shutdown_schedules.wishes import Want

    wishes = [wish for _, _, wish in _now(_known(environment, now), now)]
    ends = [wish.until for wish in wishes if wish.want is Want.AWAKE and wish.until]
    return min(ends) if ends and all(wish.want is Want.AWAKE for wish in wishes) else now


def _known(environment: str, now: datetime) -> "Sleep":
    try:
        sleep = sleep_of(environment, now)
    except KeyError:
        raise NotKnownError(f"there is no environment {environment}") from None
    if not sleep.resources:
        raise NotKnownError(f"no shutdown schedule covers anything in {environment}")
    return sleep


def _target(sleep: "Sleep", asked: str) -> str:
    """A target by its id or by its name in the estate. Raises InvalidRequestError."""
    for each in sleep.resources:
        if asked.casefold() in (each.key, each.name):
            return each.target
    names = ", ".join(each.name for each in sleep.resources)
    raise InvalidRequestError("target", f"is nothing that sleeps; what does: {names}")


# --- what people see -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _View:
    """All that is known of an environment without looking at it anew."""

    sleep: "Sleep"
    memory: "Memory"
    overrides: Sequence[Override]
    now: datetime


def _view(environment: str, now: datetime) -> _View:
    from shared.shutdown_schedules import tending

    store = services().store
    return _View(sleep_of(environment, now), tending.remembered(store, environment), tending.overrides(store), now)


def _now(sleep: "Sleep", now: datetime) -> "list[tuple[Resource, Sleeper | None, Wish]]":
    view = _view(sleep.environment, now)
    return [
        (
            each,
            view.memory.sleepers.get(each.key),
            sleep.timeline(each, view.overrides, view.memory, now, now).wish(
                now, sleep.hours[each.schedule].rests_because(now)
            ),
        )
        for each in sleep.resources
    ]


def summary(environment: str, now: datetime) -> dict[str, Any]:
    """State, why, next transition and savings of an environment. Raises KeyError for one that is not declared."""
    estate = estate_in_force.get()
    declared = estate.environments[environment]
    view = _view(environment, now)
    shown: dict[str, Any] = {"name": environment, "stage": declared.stage, "schedules": sorted(view.sleep.schedules)}
    if not view.sleep.resources:
        return {**shown, "state": "awake", "why": ["no shutdown schedule covers it"], "next": None, "savings": None}
    things = _now(view.sleep, now)
    conditions = {str(sleeper.condition) if sleeper else "unknown" for _, sleeper, _ in things}
    coming = _transitions(view, now, now + timedelta(days=40))
    this_month = _months(view)[-1]
    return {
        **shown,
        "state": conditions.pop() if len(conditions) == 1 else "partly",
        "why": _why(things),
        "next": coming[0] if coming else None,
        "savings": to_data(this_month) | {"by_target": None},
    }


def details(environment: str, now: datetime) -> dict[str, Any]:
    """The summary with everything that sleeps, each with its reason. Raises KeyError."""
    view = _view(environment, now)
    shown = summary(environment, now)
    if not view.sleep.resources:
        return shown
    return {
        **shown,
        "resources": [_thing(*each) for each in _now(view.sleep, now)],
        "transitions": _transitions(view, now, now + _TRANSITIONS_AHEAD),
        "kept_awake": [
            to_data(each)
            for each in view.overrides
            if each.kind is OverrideKind.KEEP_AWAKE and each.environment == environment and not each.revoked_at
            if now < each.end
        ],
        "waking_takes_seconds": {name: list(habit.wakes) for name, habit in view.memory.habits.items()},
        "months": [to_data(each) for each in _months(view)],
    }


def _months(view: _View) -> list[Any]:
    from shared.shutdown_schedules import savings

    return savings.months(view.sleep, view.memory, view.overrides, estate_in_force.get().rates, view.now)


def _why(things: "Sequence[tuple[Resource, Sleeper | None, Wish]]") -> list[str]:
    """Each reason once, of what is awake first: that is what people ask."""
    from shared.shutdown_schedules.memory import Condition

    def awake(sleeper: "Sleeper | None") -> bool:
        return sleeper is None or sleeper.condition is Condition.AWAKE

    ordered = sorted(things, key=lambda each: not awake(each[1]))
    return list(dict.fromkeys((sleeper.sentence if sleeper else "") or wish.sentence for _, sleeper, wish in ordered))


def _thing(resource: "Resource", sleeper: "Sleeper | None", wish: "Wish") -> dict[str, Any]:
    return {
        "name": resource.name,
        "target": resource.target,
        "kind": resource.kind,
        "step": resource.step,
        "schedule": resource.schedule,
        "state": sleeper.condition if sleeper else "unknown",
        "since": sleeper.since.isoformat() if sleeper else None,
        "wanted": sleeper.want if sleeper else wish.want,
        "rule": sleeper.why if sleeper else wish.why,
        "why": (sleeper.sentence if sleeper else "") or wish.sentence,
        "until": wish.until.isoformat() if wish.until else None,
    }


def _transitions(view: _View, start: datetime, end: datetime) -> list[Mapping[str, str]]:
    """When something wakes or goes to sleep, each instant once."""
    found = {
        transition
        for each in view.sleep.resources
        for transition in view.sleep.timeline(each, view.overrides, view.memory, start, end).transitions(start, end)
    }
    return [{"at": at.astimezone(UTC).isoformat(), "to": str(want)} for at, want in sorted(found)]
