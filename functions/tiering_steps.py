"""The effects of a tiering run, each of which may come twice, late, or after the run is over."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from functions import estate_in_force, tiering_scope
from functions.adapters.blob_containers import AUTOMATION
from functions.records import write_record
from shared.blob_container import BlobAlreadyExistsError, BlobChangedError, BlobNotFoundError
from shared.changes.change import Change
from shared.changes.execution import GOOD, Result
from shared.changes.state import from_data, to_data
from shared.events import Event
from shared.platforms import event_grid
from shared.storage_tiering import checkpoint, worklist
from shared.version import VERSION

_LATEST = "tiering/latest/"


class RunRequest(BaseModel):
    """What a caller asks for: a run in an environment, in one account, or in one container of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: str = Field(min_length=1, max_length=100, description="The environment's name in the estate")
    account: str = Field(default="", max_length=100, description="The storage account's name there; all if left out")
    container: str = Field(default="", max_length=63, description="A container of the account; all if left out")
    dry_run: bool = Field(default=False, description="Whether to plan and rehearse only")


class Run(BaseModel):
    """A run that was started: its id is its orchestration's, and the occasion of its changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    request: RunRequest
    requested_by: str
    requested_at: AwareDatetime


class AccountPlan(BaseModel):
    """What was planned for an account: changes as data, and the summary; or why nothing was."""

    account: str
    changes: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    problem: str = ""


def run_id(environment: str, key: str) -> str:
    """The id of a run: the same environment and key is the same run."""
    return f"tiering:{environment}:{key}"


def due(now: datetime) -> list[Run]:
    """The daily runs whose time has come. One that was begun is not begun again: its id is the day's."""
    estate = estate_in_force.get()
    policy = estate.storage_tiering
    if policy is None or estate.rates is None or estate.rates.storage is None:
        return []
    found: list[Run] = []
    for name, environment in estate.environments.items():
        enabled = AUTOMATION in map(str, estate.changes.gate_of(name).automations)
        if enabled and environment.storage:
            day = day_of(now, policy.at, ZoneInfo(environment.time_zone or estate.calendar.time_zone))
            request = RunRequest(environment=name)
            key = day.isoformat()
            found.append(Run(id=run_id(name, key), request=request, requested_by=AUTOMATION, requested_at=now))
    return found


def day_of(now: datetime, at: str, zone: ZoneInfo) -> date:
    """The day whose run has begun, each at `at` (HH:MM): until then it is still the day before's, whose tick may have
    been lost or not have come any more before midnight."""
    local = now.astimezone(zone)
    return local.date() if f"{local:%H:%M}" >= at else local.date() - timedelta(days=1)


def problems_of(request: RunRequest) -> list[tuple[str, str]]:
    """Why that run cannot be planned, by field; empty when it can."""
    estate = estate_in_force.get()
    environment = estate.environments.get(request.environment)
    if environment is None:
        return [("/environment", f"unknown; the estate declares {', '.join(sorted(estate.environments))}")]
    if estate.storage_tiering is None:
        return [("", "the estate declares no storage_tiering: add it")]
    if estate.rates is None or estate.rates.storage is None:
        return [("", "the estate declares no prices: add rates.storage, or nothing can be weighed")]
    account = environment.storage.get(request.account) if request.account else None
    if request.account and account is None:
        return [("/account", f"unknown; {request.environment} has {', '.join(sorted(environment.storage)) or 'none'}")]
    if request.container and account is None:
        return [("/container", "name its account, too")]
    if request.container and account is not None and request.container not in account.containers:
        return [("/container", f"unknown; the account has {', '.join(sorted(account.containers)) or 'none'}")]
    return []


def accounts_of(data: object) -> list[str]:
    """The accounts of a run."""
    request = Run.model_validate(data).request
    return (
        [request.account]
        if request.account
        else sorted(estate_in_force.get().environments[request.environment].storage)
    )


def plan(data: Any) -> dict[str, Any]:
    """Plan one account of a run, from its blobs as they are now."""
    from functions.tiering_planning import plan_account
    from shared.platforms.inventory_files import InventoryFileError
    from shared.storage_tiering.inventory_manifest import InventoryError
    from shared.storage_tiering.native_rules import NativeRuleError

    run, account = Run.model_validate(data["run"]), str(data["account"])
    only = (run.request.container,) if run.request.container else ()
    try:
        changes, summary = plan_account(run.id, run.request.environment, account, only, datetime.now(UTC))
    except (LookupError, NativeRuleError, InventoryError, InventoryFileError) as error:
        return AccountPlan(account=account, problem=str(error)).model_dump(mode="json")
    _keep_latest(run.request.environment, account, summary)
    planned = AccountPlan(account=account, changes=[to_data(change) for change in changes], summary=summary)
    return planned.model_dump(mode="json")


class _Conclusion(BaseModel):
    run: Run
    plans: list[AccountPlan]
    ended: list[dict[str, Any]]
    dry_run: str | None
    concluded_at: AwareDatetime


def conclude(data: object) -> dict[str, Any]:
    """Report, record and tell: from the same facts the same report, record and event."""
    from shared.evidence.record import Kind, Record

    facts = _Conclusion.model_validate(data)
    run = facts.run
    ended = {one["change_id"]: one for one in facts.ended}
    problems = [f"{plan.account}: {plan.problem}" for plan in facts.plans if plan.problem]
    problems += [
        f"{plan.account}/{name}: {container['unplanned']}"
        for plan in facts.plans
        for name, container in plan.summary.get("containers", {}).items()
        if container["unplanned"]
    ]
    done = [_done(change, ended) for plan in facts.plans for change in plan.changes]
    outcome: Literal["completed", "incomplete"] = (
        "incomplete" if problems or any(one["result"] not in GOOD for one in done) else "completed"
    )
    report: dict[str, Any] = {
        "id": run.id,
        "outcome": outcome,
        "dry_run": facts.dry_run,
        "requested_by": run.requested_by,
        "requested_at": run.requested_at.isoformat(),
        "concluded_at": facts.concluded_at.isoformat(),
        "problems": problems,
        "changes": done,
        "accounts": [
            {name: value for name, value in plan.summary.items() if name != "plot"}
            for plan in facts.plans
            if plan.summary
        ],
    }
    write_record(
        Record(
            automation=AUTOMATION,
            kind=Kind.DRY_RUN if facts.dry_run else Kind.VERIFIED if outcome == "completed" else Kind.FAILED,
            subject=run.id,
            time=facts.concluded_at,
            environment=run.request.environment,
            estate_version=estate_in_force.get().version,
            app_version=VERSION,
            body=report,
        )
    )
    event_grid.topic().publish(
        [
            Event(
                id=run.id,
                type=f"Closekeeper.StorageTiering.Run{outcome.capitalize()}",
                subject=f"environments/{run.request.environment}/tiering",
                time=facts.concluded_at,
                data={name: report[name] for name in ("id", "outcome", "dry_run", "problems", "changes")},
            )
        ]
    )
    return report


def _done(change: dict[str, Any], ended: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """How a change ended, and what its work list came to."""
    planned = from_data(Change, change)
    end = ended.get(planned.id, {"result": Result.SKIPPED, "detail": "not begun"})
    folder = planned.after.get("folder")  # writing the account's own rules has no work list
    work = worklist.find(tiering_scope.state(), str(folder)) if folder else None
    progress = checkpoint.find(tiering_scope.state(), work) if work else None
    return {
        "id": planned.id,
        "action": planned.action,
        "target": planned.target,
        "result": end["result"],
        "detail": end["detail"],
        "planned": work.model_dump(mode="json", include={"steps", "bytes", "saved_a_month", "cost"}) if work else None,
        "progress": progress.model_dump(mode="json", exclude={"part", "digest"}) if progress else None,
    }


def latest() -> list[dict[str, Any]]:
    """The latest plan of each account, by environment and account."""
    import json

    state = tiering_scope.state()
    return [json.loads(state.read(facts.name).data) for facts in state.list(_LATEST)]


def latest_of(environment: str, account: str) -> dict[str, Any] | None:
    """The latest plan of one account, None when none was made."""
    import json

    try:
        return json.loads(tiering_scope.state().read(_latest_name(environment, account)).data)
    except BlobNotFoundError:
        return None


def _keep_latest(environment: str, account: str, summary: dict[str, Any]) -> None:
    """Keep the summary unless a later one is there: the last to be planned is the latest, not the last to arrive."""
    import json

    state, name = tiering_scope.state(), _latest_name(environment, account)
    data = json.dumps({"environment": environment, **summary}).encode()
    while True:
        try:
            known = state.read(name)
        except BlobNotFoundError:
            known = None
        if known is not None and json.loads(known.data)["planned_at"] >= summary["planned_at"]:
            return
        try:
            if known is None:
                state.create(name, data)
            else:
                state.replace(name, data, known.etag)
        except (BlobAlreadyExistsError, BlobChangedError):
            continue
        return


def _latest_name(environment: str, account: str) -> str:
    return f"{_LATEST}{environment}/{account}.json"
