"""The effects of a rehydration, each of which may come twice, late, or after it is over."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from functions import estate_in_force, tiering_scope
from functions.adapters.blob_containers import AUTOMATION, KIND, target_of
from functions.records import write_record
from shared.changes.change import Change, Originals
from shared.changes.state import to_data
from shared.events import Event
from shared.finance_calendar.declaration import DEFAULT_REGION
from shared.platforms import event_grid, settings
from shared.risk import Risk
from shared.storage_tiering import rehydration
from shared.storage_tiering.rehydration import Rehydration, RehydrationRequest, Stage
from shared.storage_tiering.worklist import Writer
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.blob_facts import BlobFacts
    from shared.estate.policies.storage_tiering import Rehydration as Policy


def problems_of(request: RehydrationRequest, now: datetime) -> list[tuple[str, str]]:
    """Why that request cannot be served, by field; empty when it can."""
    estate = estate_in_force.get()
    environment = estate.environments.get(request.environment)
    if environment is None:
        return [("/environment", f"unknown; the estate declares {', '.join(sorted(estate.environments))}")]
    account = environment.storage.get(request.account)
    if account is None:
        return [("/account", f"unknown; {request.environment} has {', '.join(sorted(environment.storage)) or 'none'}")]
    if request.container not in account.containers:
        return [("/container", f"unknown; the account has {', '.join(sorted(account.containers)) or 'none'}")]
    if estate.storage_tiering is None or estate.rates is None or estate.rates.storage is None:
        return [("", "the estate declares no storage_tiering or no rates.storage: add them")]
    if request.until <= now:
        return [("/until", "is over already: give a time to come")]
    longest = estate.storage_tiering.rehydration.longest
    if request.until > now + longest:
        return [("/until", f"later than {longest.days} days from now (storage_tiering.rehydration.longest)")]
    return []


def register(request: RehydrationRequest, key: str, by: str, now: datetime) -> Rehydration:
    """Register the request before anything is done, so that the planner spares what it is about from now on."""
    estate = estate_in_force.get()
    place = estate.environments[request.environment]
    zone = ZoneInfo(place.time_zone or estate.calendar.time_zone)
    fiscal = estate_in_force.calendar(now).regions[place.region or DEFAULT_REGION].fiscal
    return rehydration.open_rehydration(
        tiering_scope.state(),
        Rehydration(
            id=f"rehydration:{request.environment}:{key or uuid4().hex[:16]}",
            request=request,
            requested_by=by,
            requested_at=now,
            selection=request.selection(fiscal, zone),
            priority=request.priority or _policy().priority,
            currency=estate.rates.currency if estate.rates else "",
        ),
    )


def plan(data: object) -> dict[str, Any]:
    """Find what is in archive and write the work list; the change, None when nothing is in archive."""
    known = rehydration.read(tiering_scope.state(), str(data))
    if known.work is None:
        known = _planned(known)
    work = known.work
    if work is None or work.empty:
        return {"change": None}
    request = known.request
    estate = estate_in_force.get()
    account = estate.environments[request.environment].storage[request.account]
    over = _over_budget(known)
    change = Change(
        automation=AUTOMATION,
        environment=request.environment,
        kind=KIND,
        target=target_of(account.id, request.container),
        action="rehydrate",
        occasion=known.id,
        after={"folder": work.folder, "work": work.digest},
        reason=f"{work.steps:,} blobs of {work.bytes:,} bytes are needed for {request.purpose!r} until "
        f"{request.until:%Y-%m-%d %H:%M} UTC, at a cost of {known.cost:,.2f} {known.currency}{over}",
        risk=Risk.FINANCIAL if over else Risk.REVERSIBLE,
        originals=Originals.IGNORE,
        requires_approval=bool(over),
        latest=request.until,
    )
    return {"change": to_data(change)}


def _planned(known: Rehydration) -> Rehydration:
    estate = estate_in_force.get()
    if estate.rates is None or estate.rates.storage is None:
        raise LookupError("the estate declares no rates.storage: what it would cost is unknown")
    writer = Writer(tiering_scope.state(), f"tiering/rehydrations/{known.id.rpartition(':')[2]}/{uuid4().hex[:12]}")
    for step in rehydration.steps(known.selection, known.priority, estate.rates.storage, _facts(known)):
        writer.add(step)
    work = writer.close()

    def fixed(latest: Rehydration) -> Rehydration:
        if latest.work is not None:  # another delivery was faster
            return latest
        wanted = rehydration.Count(blobs=work.steps, bytes=work.bytes)
        return latest.model_copy(update={"work": work, "cost": work.cost, "wanted": wanted, "pending": wanted})

    return rehydration.change(tiering_scope.state(), known.id, fixed)


def _over_budget(known: Rehydration) -> str:
    """Why the cost needs an approval, empty when it is within budget."""
    budgets = [budget for budget in (known.request.budget, _policy().budget) if budget is not None]
    if not budgets:
        return "; no budget is declared (storage_tiering.rehydration.budget)"
    least = min(budgets)
    return f"; that is over the budget of {least:,.2f}" if known.cost > least else ""


def look(data: object) -> dict[str, Any]:
    """How much is not back yet; the first look that finds nothing makes it ready."""
    known = rehydration.read(tiering_scope.state(), str(data))
    pending = rehydration.still_coming(known.selection, _facts(known))
    now = datetime.now(UTC)

    def looked(latest: Rehydration) -> Rehydration:
        if latest.stage not in (Stage.REQUESTED, Stage.COMING):
            return latest
        update: dict[str, Any] = {"pending": pending, "stage": Stage.COMING if pending.blobs else Stage.READY}
        if not pending.blobs:
            update["ready_at"] = now
        return latest.model_copy(update=update)

    seen = rehydration.change(tiering_scope.state(), known.id, looked)
    return _shown(seen)


def conclude(data: Any) -> dict[str, Any]:
    """Move to a stage, record it and tell; the same stage twice is one record."""
    stage, detail, at = Stage(data["stage"]), str(data["detail"]), datetime.fromisoformat(data["at"])

    def ended(latest: Rehydration) -> Rehydration:
        if latest.stage in (Stage.OVER, Stage.FAILED):
            return latest
        over = {"over_at": at} if stage in (Stage.OVER, Stage.FAILED) else {}
        return latest.model_copy(update={"stage": stage, "detail": detail, **over})

    known = rehydration.change(tiering_scope.state(), str(data["id"]), ended)
    _tell(known, stage, at)
    return _shown(known)


def _tell(known: Rehydration, stage: Stage, at: datetime) -> None:
    from shared.evidence.record import Kind, Record

    kinds = {Stage.READY: Kind.VERIFIED, Stage.FAILED: Kind.FAILED}
    body = known.model_dump(mode="json", exclude={"work"})
    write_record(
        Record(
            automation=AUTOMATION,
            kind=kinds.get(stage, f"rehydration_{stage}"),
            subject=known.id,
            time=at,
            environment=known.request.environment,
            actor=known.requested_by,
            estate_version=estate_in_force.get().version,
            app_version=VERSION,
            body=body,
        )
    )
    event_grid.topic().publish(
        [
            Event(
                id=f"{known.id}:{stage}",
                type=f"Closekeeper.StorageTiering.Rehydration{stage.capitalize()}",
                subject=f"environments/{known.request.environment}/rehydrations/{known.id}",
                time=at,
                data=body,
            )
        ]
    )


def release(identifier: str, now: datetime) -> Rehydration | None:
    """End the need early: from now on the policy may archive the documents again. None when there is none."""
    known = rehydration.find(tiering_scope.state(), identifier)
    if known is None:
        return None

    def released(latest: Rehydration) -> Rehydration:
        request = latest.request.model_copy(update={"until": min(latest.request.until, now)})
        return latest.model_copy(update={"request": request})

    return rehydration.change(tiering_scope.state(), identifier, released)


def shown(identifier: str) -> dict[str, Any] | None:
    """A rehydration as callers see it, None when there is none."""
    known = rehydration.find(tiering_scope.state(), identifier)
    return None if known is None else _shown(known)


def all_shown() -> list[dict[str, Any]]:
    """All of them, the newest first."""
    known = sorted(rehydration.every(tiering_scope.state()), key=lambda one: one.requested_at, reverse=True)
    return [_shown(one) for one in known]


def awaiting(account_id: str, container: str) -> Sequence[str]:
    """The rehydrations that wait for blobs of that container to come back."""
    estate = estate_in_force.get()
    found: list[str] = []
    for one in rehydration.every(tiering_scope.state()):
        environment = estate.environments.get(one.request.environment)
        account = environment.storage.get(one.request.account) if environment else None
        same = account is not None and str(account.id).casefold() == account_id.casefold()
        if same and one.request.container == container and one.stage in (Stage.REQUESTED, Stage.COMING):
            found.append(one.id)
    return found


def poll_seconds() -> float:
    """How often it is looked whether blobs are back, beside the events that tell so."""
    return float(settings.optional("REHYDRATION_POLL_SECONDS", "600"))


def _shown(known: Rehydration) -> dict[str, Any]:
    return known.model_dump(mode="json", exclude={"work"})


def _facts(known: Rehydration) -> "Iterator[BlobFacts]":
    from shared.platforms.blob_listing import AzureBlobListing

    request = known.request
    account = estate_in_force.get().environments[request.environment].storage[request.account]
    include = ("tags",) if known.selection.tags else ()
    for page in AzureBlobListing(f"{account.blob_address}/{request.container}").pages(known.selection.prefix, include):
        yield from page


def _policy() -> "Policy":
    policy = estate_in_force.get().storage_tiering
    if policy is None:
        raise LookupError("the estate no longer declares storage_tiering")
    return policy.rehydration
