"""The effects of a tick of peak scaling, each of which may come twice, late, or twice at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from functions import estate_in_force
from functions.change_execution import services
from functions.peak_state import scaling_of

if TYPE_CHECKING:
    from shared.changes.change import State
    from shared.peak_scaling.considering import Considered
    from shared.peak_scaling.needs import Need, Scaling, Span
    from shared.peak_scaling.readiness import Look
    from shared.peak_scaling.recommending import Recommendation


def look(environment: str, now: datetime) -> "Considered":
    """Observe, consider, remember; reports that are due are made. Raises KeyError for what has no peaks."""
    from functions.peak_observation import observe
    from shared.peak_scaling import tending
    from shared.peak_scaling.considering import wanted_levels

    memory = tending.remembered(services().store, environment)
    scaling = scaling_of(environment, now, memory)
    levels = wanted_levels(scaling, memory, now)
    seen = observe(environment, [(scaling.targets[name], level, name in memory.held) for name, level in levels.items()])
    others = _Others(scaling, now)
    considered = tending.look(
        services(),
        scaling,
        seen,
        now,
        queue=cache(others.queue),
        looks=cache(others.looks),
        quotas=cache(others.quotas),
        maintenance=others.maintenance,
    )
    for key in considered.over:
        _report(scaling, considered, key, now)
    return considered


def recheck(environment: str) -> None:
    """Have the next look try everything again, and take back in hand what a person had changed.

    Raises KeyError for an environment without peaks.
    """
    from shared.peak_scaling import tending

    if environment not in estate_in_force.get().peak_scaling:
        raise KeyError(environment)
    tending.try_again(services().store, environment)


def recommendations(environment: str) -> "list[Recommendation]":
    """What is recommended and not agreed to yet. Raises KeyError for an environment without peaks."""
    from shared.peak_scaling import tending

    if environment not in estate_in_force.get().peak_scaling:
        raise KeyError(environment)
    return tending.recommendations(services().store, environment)


def agree(environment: str, recommendation: str, by: str, now: datetime) -> "Recommendation":
    """Use a recommendation, also beyond the bounds: a person says so. Raises KeyError for one that is not open."""
    from shared.peak_scaling import tending

    wish = next((each for each in recommendations(environment) if each.id == recommendation), None)
    if wish is None:
        raise KeyError(recommendation)
    tending.agree(services(), wish, by, now)
    return wish


def tell(environment: str) -> None:
    """Record and tell what the look found."""
    from shared.peak_scaling import tending

    tending.tell(services(), environment)


class _Others:
    """All that is looked at beside the targets, when it is asked for."""

    def __init__(self, scaling: "Scaling", now: datetime) -> None:
        self._scaling = scaling
        self._now = now
        self._needs: Mapping[str, Need] = {need.key: need for need in scaling.needs(now, now)}

    def queue(self) -> int | None:
        from functions import peak_looks

        return peak_looks.queues(self._scaling.environment)

    def looks(self, key: str) -> "Sequence[Look]":
        from functions import peak_looks
        from shared.peak_scaling.workers import connection_looks

        need, environment = self._needs[key], self._scaling.environment
        found = peak_looks.readiness(environment, need.start, need.end, self._now)
        fits = connection_looks(self._scaling, need.levels, peak_looks.max_connections(environment))
        return [*found, *fits]

    def quotas(self, key: str) -> "Sequence[Look]":
        from functions import peak_looks

        levels = self._needs[key].levels
        wanted: dict[str, State] = {self._scaling.targets[name].target: level for name, level in levels.items()}
        return peak_looks.quotas(self._scaling.environment, wanted, self._now)

    def maintenance(self, spans: "Mapping[str, Span]") -> "Sequence[Look]":
        from functions import peak_looks

        return peak_looks.collisions(
            {name: (self._scaling.targets[name].target, *span) for name, span in spans.items()}
        )


def _report(scaling: "Scaling", considered: "Considered", key: str, now: datetime) -> None:
    """Make and keep the report of a peak that is over."""
    from functions import peak_looks, peak_metrics
    from shared.peak_scaling import aftermath, tending

    need = next((each for each in scaling.needs(now, now) if each.key == key), None)
    if need is None:
        return  # no longer declared: nobody asks what came of it
    earlier = [each for each in tending.reports(services().store, scaling.environment) if each.event == need.event]
    keeps = scaling.policy.keeps
    limits = {
        name: limit.total_seconds()
        for name, limit in (
            ("latency", keeps.latency),
            ("queue_delay", keeps.queue_delay),
            ("job_duration", keeps.job_duration),
        )
        if limit is not None
    }
    report = aftermath.report(
        environment=scaling.environment,
        key=key,
        event=need.event,
        period=need.period,
        window=(need.start, need.end),
        course=considered.memory.courses[key],
        targets=peak_looks.as_paid(scaling.targets),
        rates=estate_in_force.get().rates,
        used=peak_metrics.used(scaling.environment, need.start, need.end),
        limits=limits,
        previous=next((each for each in reversed(earlier) if each.peak != key), None),
        now=now,
    )
    tending.keep(services(), report)
    tending.advise(services(), scaling, need.event, now)
