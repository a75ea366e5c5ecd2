"""What people see of peaks: those that come with their targets and readiness, and what came of those that are over."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions.change_execution import services
from functions.peak_state import environments_with_peaks, scaling_of
from shared.changes.state import to_data

if TYPE_CHECKING:
    from shared.peak_scaling.memory import Memory
    from shared.peak_scaling.needs import Need, Scaling

AHEAD = timedelta(days=30)
_BEHIND = timedelta(days=7)


def peaks(now: datetime, environment: str | None = None) -> list[dict[str, Any]]:
    """The peaks of the next weeks and those just over, by start. Raises KeyError, and as `estate_in_force.get`."""
    from shared.peak_scaling import tending

    found: list[dict[str, Any]] = []
    for name in [environment] if environment else environments_with_peaks():
        memory = tending.remembered(services().store, name)
        scaling = scaling_of(name, now, memory)
        for need in scaling.needs(now, now):
            if now - _BEHIND < need.over_at and need.start < now + AHEAD:
                found.append(_summary(need, memory, now))
    return sorted(found, key=lambda each: (each["start"], each["environment"], each["peak"]))


def peak(environment: str, key: str, now: datetime) -> dict[str, Any]:
    """One peak with targets, progress, readiness and report. Raises KeyError."""
    from shared.peak_scaling import tending

    store = services().store
    memory = tending.remembered(store, environment)
    scaling = scaling_of(environment, now, memory)
    need = next((each for each in scaling.needs(now, now) if each.key == key), None)
    report = next((each for each in reversed(tending.reports(store, environment)) if each.peak == key), None)
    if need is None and report is None:
        raise KeyError(key)
    shown = _summary(need, memory, now) if need else {"environment": environment, "peak": key}
    course = memory.courses.get(key)
    return {
        **shown,
        "targets": _targets(need, scaling, memory, now) if need else [],
        "looks": [to_data(each) for each in course.looks] if course else [],
        "report": {**to_data(report), "cost": round(report.cost, 2), "sentence": report.sentence} if report else None,
    }


def _summary(need: "Need", memory: "Memory", now: datetime) -> dict[str, Any]:
    from shared.peak_scaling.alarms import report_of
    from shared.peak_scaling.memory import Course

    course = memory.courses.get(need.key, Course())
    report = report_of(need, course, now)
    return {
        "environment": need.environment,
        "peak": need.key,
        "event": need.event,
        "title": need.title,
        "period": need.period,
        "ready_by": need.ready_by.isoformat(),
        "start": need.start.isoformat(),
        "end": need.end.isoformat(),
        "state": _state(need, memory, now),
        "answer": str(report.answer) if course.looks else None,
        "says": report.sentence if course.looks else "nothing has been looked at yet",
        "go_since": course.go.isoformat() if course.go else None,
    }


def _state(need: "Need", memory: "Memory", now: datetime) -> str:
    course = memory.courses.get(need.key)
    held = any(need.key in each.needs for each in memory.held.values())
    if course is not None and course.reported:
        return "over"
    if now >= need.end:
        return "giving-back" if held else "over"
    if now >= need.start:
        return "on"
    if course is not None and course.go:
        return "ready"
    return "scaling" if held else "coming"


def _targets(need: "Need", scaling: "Scaling", memory: "Memory", now: datetime) -> list[dict[str, Any]]:
    from shared.peak_scaling.needs import EARLIEST

    result: list[dict[str, Any]] = []
    start = min(now, need.ready_by - EARLIEST)
    for hold in scaling.holds(start, need.over_at):
        if hold.need.key != need.key:
            continue
        held = memory.held.get(hold.target.name)
        if held is not None and need.key not in held.needs:
            held = None
        result.append(
            {
                "name": hold.target.name,
                "target": hold.target.target,
                "wanted": dict(hold.level),
                "begin": hold.begin.isoformat(),
                "until": hold.until.isoformat(),
                "impossible": hold.impossible or None,
                "found": dict(held.before) if held else None,
                "level": dict(held.level) if held else None,
                "since": held.since.isoformat() if held else None,
                "ready": held.ready.isoformat() if held and held.ready else None,
                "edited": held.edited.isoformat() if held and held.edited else None,
                "steps_back": held.step if held else 0,
            }
        )
    return result
