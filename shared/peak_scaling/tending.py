"""Tending an environment's peaks: looks put into memory, notices into the evidence, reports kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from shared.changes import claims, executor
from shared.changes.change import State
from shared.changes.execution import FINAL, Execution, Result
from shared.changes.originals import Verdict
from shared.changes.ports import Entry, Services
from shared.changes.state import Store
from shared.evidence.canonical import Json
from shared.peak_scaling.aftermath import AfterAction
from shared.peak_scaling.changes import AUTOMATION
from shared.peak_scaling.considering import Considered, consider
from shared.peak_scaling.looking import Facts, Outcome, Seen
from shared.peak_scaling.memory import Memory, Notice
from shared.peak_scaling.needs import Scaling, Span
from shared.peak_scaling.readiness import Look
from shared.peak_scaling.recommending import Recommendation, recommend

REPORTS_KEPT = 60


def memory_name(environment: str) -> str:
    """Where what is remembered of an environment is kept."""
    return f"peaks/{environment}"


def reports_name(environment: str) -> str:
    """Where the reports of its peaks are kept."""
    return f"peak-reports/{environment}"


def remembered(store: Store, environment: str) -> Memory:
    """What is remembered of an environment."""
    return store.get(memory_name(environment), Memory) or Memory()


def reports(store: Store, environment: str) -> list[AfterAction]:
    """The reports of its last peaks, the newest last."""
    return store.get(reports_name(environment), list[AfterAction]) or []


type Levels = dict[str, dict[str, dict[str, Json]]]


def agreed(store: Store, environment: str) -> Mapping[str, Mapping[str, State]]:
    """Recommended levels that were agreed to, by event and name of the target."""
    return store.get(f"peak-levels/{environment}", dict[str, dict[str, dict[str, Json]]]) or {}


def recommendations(store: Store, environment: str) -> list[Recommendation]:
    """What is recommended for the next peaks, and not agreed to yet."""
    return store.get(f"peak-recommendations/{environment}", list[Recommendation]) or []


def advise(services: Services, scaling: Scaling, event: str, now: datetime) -> None:
    """Recommend anew for an event; what the policy lets be used without asking is used."""
    store, environment = services.store, scaling.environment
    made = recommend(scaling, reports(store, environment), event, now)
    known = {each.id for each in recommendations(store, environment)}
    for each in made:
        if scaling.policy.forecast.apply and each.within:
            agree(services, each, "peak_scaling", now)
        elif each.id not in known:
            executor.record(services, _entry(environment, _notice(each, "peak_recommended", now)))

    def replaced(old: list[Recommendation] | None) -> list[Recommendation]:
        others = [each for each in old or [] if each.event != event]
        return [*others, *(each for each in made if not (scaling.policy.forecast.apply and each.within))]

    store.update(f"peak-recommendations/{environment}", list[Recommendation], replaced)


def agree(services: Services, wish: Recommendation, by: str, now: datetime) -> None:
    """Use a recommendation from now on. Twice is once."""
    store = services.store

    def used(known: Levels | None) -> Levels:
        levels = dict(known or {})
        levels[wish.event] = {**levels.get(wish.event, {}), wish.target: dict(wish.level)}
        return levels

    def open_ones(known: list[Recommendation] | None) -> list[Recommendation]:
        return [each for each in known or [] if each.id != wish.id]

    entry = replace(_entry(wish.environment, _notice(wish, "peak_recommendation_used", now)), actor=by)
    executor.record(services, entry)
    store.update(f"peak-levels/{wish.environment}", dict[str, dict[str, dict[str, Json]]], used)
    store.update(f"peak-recommendations/{wish.environment}", list[Recommendation], open_ones)


def _notice(wish: Recommendation, kind: str, now: datetime) -> Notice:
    body: dict[str, Json] = {
        "target": wish.target,
        "level": dict(wish.level),
        "declared": dict(wish.declared),
        "within_bounds": wish.within,
        "detail": wish.why,
    }
    return Notice(kind=kind, subject=f"peak:{wish.environment}:{wish.event}:{wish.id}", time=now, body=body)


def look(
    services: Services,
    scaling: Scaling,
    seen: Mapping[str, Seen],
    now: datetime,
    *,
    queue: Callable[[], int | None],
    looks: Callable[[str], Sequence[Look]],
    quotas: Callable[[str], Sequence[Look]],
    maintenance: Callable[[Mapping[str, Span]], Sequence[Look]],
) -> Considered:
    """Consider what was seen (all of it after `now`), and remember it. Two looks at once are one after the other.

    A look that began before one that is remembered decides nothing: what it saw may be the other's doing.
    """
    store, environment = services.store, scaling.environment
    result: list[Considered] = []
    own = f"{environment} is in dry run" if services.rules.policy(environment).dry_run else ""
    dry_run = "DRY_RUN is set" if services.dry_run else own

    def outcome(change_id: str) -> Outcome:
        known = store.get(executor.execution_name(change_id), Execution)
        if known is None:
            return Outcome()
        return Outcome(
            running=known.result is None and now < known.alive_until,
            fulfilled=known.result in FINAL,
            finished=known.finished_at,
            failed=known.result in (Result.FAILED, Result.REFUSED),
            detail=known.detail,
        )

    def verdicts(target: str, state: State) -> Mapping[str, Verdict]:
        return claims.originals_of(store, environment, target).verdicts(AUTOMATION, state)

    def originals(target: str) -> tuple[State, State]:
        saved = claims.originals_of(store, environment, target)
        return saved.found_by(AUTOMATION), saved.set_by(AUTOMATION)

    def considered(known: Memory | None) -> Memory:
        if known is not None and known.looked_at is not None and now < known.looked_at:
            result[:] = [Considered(known)]
            return known
        facts = Facts(
            now=now,
            seen=seen,
            outcome=outcome,
            verdicts=verdicts,
            queue=queue,
            looks=looks,
            quotas=quotas,
            maintenance=maintenance,
            originals=originals,
            dry_run=dry_run,
        )
        result[:] = [consider(scaling, known or Memory(), facts)]
        return replace(result[0].memory, looked_at=now)

    store.update(memory_name(environment), Memory, considered)
    return result[0]


def try_again(store: Store, environment: str) -> None:
    """Forget what was tried in vain, when all else was looked at, and that a person had changed something."""

    def fresh(known: Memory | None) -> Memory:
        memory = known or Memory()
        held = {
            name: replace(each.at(each.level, each.edited), edited=None) if each.edited else replace(each, tried=None)
            for name, each in memory.held.items()
        }
        courses = {key: replace(each, looked=None, quotas=None) for key, each in memory.courses.items()}
        return replace(memory, held=held, courses=courses)

    store.update(memory_name(environment), Memory, fresh)


def keep(services: Services, report: AfterAction) -> None:
    """Keep a report, and have it told. Twice is once."""

    def kept(known: list[AfterAction] | None) -> list[AfterAction]:
        others = [each for each in known or [] if each.peak != report.peak]
        return [*others, report][-REPORTS_KEPT:]

    services.store.update(reports_name(report.environment), list[AfterAction], kept)
    notice = Notice(
        kind="after_action",
        subject=f"peak:{report.environment}:{report.peak}",
        time=report.at,
        body={
            "detail": report.sentence,
            "cost": round(report.cost, 2),
            "missed": list(report.missed),
            "targets": [{"name": each.name, "advice": each.advice, "why": each.why} for each in report.targets],
        },
    )
    executor.record(services, _entry(report.environment, notice))


def tell(services: Services, environment: str) -> None:
    """Record what waits to be recorded, then forget that it waits: a crash in between records the same once more."""
    waiting = remembered(services.store, environment).notices
    for notice in waiting:
        executor.record(services, _entry(environment, notice))
    if waiting:

        def told(known: Memory | None) -> Memory:
            memory = known or Memory()
            return replace(memory, notices=tuple(each for each in memory.notices if each not in waiting))

        services.store.update(memory_name(environment), Memory, told)


def _entry(environment: str, notice: Notice) -> Entry:
    return Entry(
        automation=AUTOMATION,
        kind=notice.kind,
        subject=notice.subject,
        time=notice.time,
        environment=environment,
        body=notice.body,
    )
