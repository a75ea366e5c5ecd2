"""What has to be told of peaks that come: late or missing capacity with the time left, go or no-go. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.peak_scaling.looking import Working
from shared.peak_scaling.memory import Course
from shared.peak_scaling.needs import Hold, Need
from shared.peak_scaling.readiness import Look, Readiness, ReadinessReport, spell
from shared.peak_scaling.targets import Kind, merged, shown

FORESIGHT = timedelta(days=14)
"""How long before it has to be ready what may stand against it is asked for: support needs days to raise a quota."""

LOOK_EVERY, LOOK_AGAIN = timedelta(minutes=15), timedelta(hours=6)
"""How often all else is looked at before the peak: until it is a go, and then."""

_MAINTAINED = (Kind.REPLICA, Kind.POSTGRES, Kind.POOL)


def watch(work: Working) -> None:
    """Tell of each peak that is near what is late, missing, impossible, and whether it is a go."""
    now = work.facts.now
    for need in coming(work):
        holds = [hold for hold in work.holds if hold.need.key == need.key]
        _foresee(work, need, holds)
        if now >= need.end:
            continue
        for hold in holds:
            _watch_target(work, hold)
        course = work.courses.get(need.key)
        begun = course is not None and course.begun is not None
        if now < need.start and any(not hold.impossible and (begun or hold.begin <= now) for hold in holds):
            _readiness(work, need, holds)


def coming(work: Working) -> list[Need]:
    """The peaks of which something is held, or could not be, or will be within the time that quotas need."""
    now = work.facts.now
    found = {hold.need.key: hold.need for hold in work.holds}
    for need in work.scaling.needs(now, now):
        if need.ready_by - FORESIGHT <= now < need.end:
            found.setdefault(need.key, need)
    return list(found.values())


def _foresee(work: Working, need: Need, holds: Sequence[Hold]) -> None:
    """Ask early, once a day, whether the capacity may be had at all, and whether Azure then maintains it."""
    now = work.facts.now
    course = work.courses.get(need.key, Course())
    asked = course.quotas is not None and now - course.quotas < timedelta(days=1)
    if asked or not need.ready_by - FORESIGHT <= now < need.ready_by:
        return
    work.courses[need.key] = replace(course, quotas=now)
    quotas, left = work.facts.quotas(need.key), need.ready_by - now
    if short := [look for look in quotas if look.ok is False]:
        detail = f"{_reasons(short)}; {spell(left)} left to have it raised"
        work.tell("quota_short", need.key, **_about(need, left), detail=detail)
    if unseen := [look for look in (*quotas, *_maintenance(work, need, holds)) if look.ok is None]:
        work.tell("not_foreseen", need.key, **_about(need, left), detail=_reasons(unseen))


def _reasons(looks: Iterable[Look]) -> str:
    return "; ".join(f"{look.subject}: {look.detail}" for look in looks)


def _maintenance(work: Working, need: Need, holds: Sequence[Hold]) -> Sequence[Look]:
    """Tell of each target that Azure means to maintain while it is scaled; anew when it was mended and returns."""
    now = work.facts.now
    scaled = [hold for hold in holds if hold.target.kind in _MAINTAINED and not hold.impossible]
    spans = {
        hold.target.name: (max(now, hold.begin), min(hold.latest, hold.ready_by))
        for hold in scaled
        if now < min(hold.latest, hold.ready_by) and not is_ready(work, hold)
    }
    looks = work.facts.maintenance(spans) if spans else ()
    for look in looks:
        about = f"{need.key}/{look.subject}"
        if look.ok is False:
            left = spans[look.subject][0] - now
            detail = f"{look.detail}; {spell(left)} left until then"
            work.tell("maintenance_collides", about, **_about(need, left), name=look.subject, detail=detail)
        elif look.ok:
            work.told.pop(f"maintenance_collides/{about}", None)
    return looks


def _watch_target(work: Working, hold: Hold) -> None:
    now, need, target = work.facts.now, hold.need, hold.target
    about = f"{need.key}/{target.name}"
    if hold.impossible:
        work.tell(
            "capacity_impossible", about, **_about(need, need.ready_by - now), name=target.name, detail=hold.impossible
        )
        return
    if now < hold.begin:
        return
    if is_ready(work, hold):
        if (lost := _lost(work, hold)) is not None:
            left = need.start - now
            work.tell("capacity_lost", about, **_about(need, left), name=target.name, detail=lost)
        if any(f"{kind}/{about}" in work.told for kind in ("capacity_late", "capacity_missing")):
            left = need.start - now
            said = (
                f"ready {spell(left)} before the peak" if left > timedelta() else f"ready {spell(-left)} into the peak"
            )
            work.tell("capacity_recovered", about, **_about(need, left), name=target.name, detail=said)
        return
    if work.facts.dry_run:
        said = f"{work.facts.dry_run}: {shown(hold.level)} will not be there for the peak"
        work.tell("capacity_rehearsed", about, **_about(need, need.start - now), name=target.name, detail=said)
        return
    seen, failed = work.facts.seen.get(target.name), work.failures.get(target.name)
    held = work.held.get(target.name)
    why = failed or (seen.detail if seen else "") or "it cannot be seen"
    if held is not None and held.edited:
        why = "a person has set it lower"
    if now >= hold.latest and held is not None and not held.edited:
        why = f"the time in which it may change is over; {why}"
    if now >= need.ready_by:
        left = need.start - now
        when = f"{spell(left)} before the peak" if left > timedelta() else f"the peak began {spell(-left)} ago"
        work.tell("capacity_missing", about, **_about(need, left), name=target.name, detail=f"{why}; {when}")
    elif failed or now >= hold.begin + work.scaling.takes(target, need.event) or now >= hold.latest:
        left = need.ready_by - now
        said = f"{why}; {spell(left)} left until it has to be ready"
        work.tell("capacity_late", about, **_about(need, left), name=target.name, detail=said)


def is_ready(work: Working, hold: Hold) -> bool:
    """Whether the target was proven to be at least at the hold's level, and has not been asked for less since."""
    held = work.held.get(hold.target.name)
    if held is None or held.edited or merged(held.level, hold.level) != held.level:
        return False
    return any(each.ready and merged(each.level, hold.level) == each.level for each in held.stretches)


def _lost(work: Working, hold: Hold) -> str | None:
    """What is seen of a target that was proven at its present level and is not any more, while nothing of it moves."""
    held, seen = work.held[hold.target.name], work.facts.seen.get(hold.target.name)
    if held.ready is None or seen is None or seen.state is None or seen.ready is not False:
        return None
    return seen.detail if all(fact in seen.state for fact in held.level) else None


def _readiness(work: Working, need: Need, holds: Sequence[Hold]) -> None:
    """Prove it: all targets first, then everything else that a peak needs."""
    now = work.facts.now
    course = work.courses.get(need.key, Course())
    targets = [_look(work, hold) for hold in holds]
    proven = all(look.ok for look in targets)
    looks = targets
    if proven or now >= need.ready_by:
        old = [look for look in course.looks if look.check not in ("target",)]
        every = LOOK_AGAIN if course.go else LOOK_EVERY
        fresh = course.looked is not None and now - course.looked < every and bool(old)
        looks = [*targets, *(old if fresh else work.facts.looks(need.key))]
        course = replace(course, looked=course.looked if fresh else now)
    course = replace(course, looks=tuple(looks))
    report = report_of(need, course, now)
    if report.answer is Readiness.GO and proven:
        if course.go is None:
            course = replace(course, go=now)
            work.tell("peak_ready", need.key, **_about(need, report.left), detail=report.sentence)
    elif now >= need.ready_by:
        kind = "peak_rehearsed" if work.facts.dry_run else "peak_not_ready"
        work.tell(kind, need.key, **_about(need, report.left), detail=report.sentence, reasons=report.reasons)
    work.courses[need.key] = course


def _look(work: Working, hold: Hold) -> Look:
    target, seen = hold.target, work.facts.seen.get(hold.target.name)
    if hold.impossible:
        return Look("target", target.name, False, hold.impossible)
    if is_ready(work, hold):
        if (lost := _lost(work, hold)) is not None:
            return Look("target", target.name, False, f"it was ready and is not any more: {lost}")
        return Look("target", target.name, True, f"at {shown(work.held[target.name].level)}")
    if work.facts.now < hold.begin:
        return Look("target", target.name, None, f"begins at {hold.begin:%Y-%m-%d %H:%M} UTC")
    if work.facts.dry_run:
        return Look("target", target.name, None, f"{work.facts.dry_run}, so it is only rehearsed")
    held = work.held.get(target.name)
    if held is not None and held.edited:
        return Look("target", target.name, False, "a person has changed it, it is left alone")
    known = seen is not None and seen.state is not None
    return Look("target", target.name, False if known else None, (seen.detail if seen else "") or "not there yet")


def report_of(need: Need, course: Course, now: datetime) -> ReadinessReport:
    """The readiness report as it stands."""
    return ReadinessReport(
        environment=need.environment,
        peak=need.key,
        at=now,
        ready_by=need.ready_by,
        start=need.start,
        looks=course.looks,
    )


def over(work: Working) -> Iterator[str]:
    """Keys of the peaks that are over, with everything given back, and not reported yet."""
    now = work.facts.now
    busy = {key for held in work.held.values() for key in held.needs}
    living = {hold.need.key for hold in work.holds if hold.need.over_at > now}
    for key, course in work.courses.items():
        if course.begun and course.reported is None and key not in busy | living:
            work.courses[key] = replace(course, reported=now)
            yield key


def _about(need: Need, left: timedelta) -> dict[str, object]:
    return {
        "peak": need.key,
        "title": need.title,
        "ready_by": need.ready_by.isoformat(),
        "start": need.start.isoformat(),
        "left_seconds": int(left.total_seconds()),
    }
