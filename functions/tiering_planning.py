"""Planning the blobs of one storage account: read them, decide, write the work lists, and say what they come to."""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from functions import estate_in_force, tiering_inventory, tiering_outlook, tiering_scope
from functions.adapters.blob_containers import AUTOMATION, KIND, target_of
from shared.changes.change import Change, Originals
from shared.risk import Risk

if TYPE_CHECKING:
    import polars as pl

    from shared.estate.inventory.storage import StorageAccount
    from shared.estate.policies.storage_tiering import DeletionLimits, StorageTiering
    from shared.evidence.canonical import Json
    from shared.storage_tiering.account import AccountRules
    from shared.storage_tiering.decisions import Deletion, Move, Sum
    from shared.storage_tiering.plan import Plan
    from shared.storage_tiering.worklist import Step, Writer

_WITHIN = timedelta(hours=20)
_ARCHIVE = "Archive"


@dataclass(slots=True)
class ContainerSum:
    """What is seen and planned in one container. Money is in the currency of the estate's rates."""

    seen: int = 0
    bytes: int = 0
    moves: int = 0
    moved_bytes: int = 0
    deletions: int = 0
    deleted_bytes: int = 0
    saved_a_month: float = 0.0
    cost: float = 0.0
    early_deletion: float = 0.0
    to_archive: int = 0
    unplanned: str = ""
    """Why nothing is planned here."""


@dataclass
class _Lists:
    """The work lists of a container, as they grow."""

    tier: "Writer"
    delete: "Writer"
    sums: ContainerSum = field(default_factory=ContainerSum)


def plan_account(
    run: str, environment: str, account_name: str, only: tuple[str, ...], now: datetime
) -> tuple[list[Change], dict[str, Any]]:
    """The changes for an account's containers, and a summary as plain data. Raises LookupError."""
    from shared.storage_tiering.plan import Plan
    from shared.storage_tiering.worklist import Writer

    account = estate_in_force.get().environments[environment].storage[account_name]
    rules = tiering_scope.account_rules(environment, account_name, now)
    folder = f"tiering/runs/{now:%Y-%m-%d}/{environment}/{account_name}/{uuid4().hex[:12]}"
    state = tiering_scope.state()
    lists = {
        name: _Lists(Writer(state, f"{folder}/{name}/tier"), Writer(state, f"{folder}/{name}/delete"))
        for name in account.containers
        if not only or name in only
    }
    outlook = tiering_scope.outlook(environment, account_name, rules)
    with tiering_outlook.Outlook(outlook, now) as ahead:
        plan = Plan(rules, ahead.seeing(_batches(environment, account, lists, now)))
        for batch in plan:
            for move in batch.moves():
                _add_move(lists[move.target.container], move)
            for deletion in batch.deletions():
                _add_deletion(lists[deletion.target.container], deletion)
    changes: list[Change] = []
    policy = estate_in_force.get().storage_tiering
    for name, each in lists.items():
        changes += _changes(run, environment, account, name, each, policy.deletions if policy else None, rules)
    if policy is not None and policy.native_rules == "export" and not only:
        changes += _export(run, environment, account, policy, rules)
    declared = estate_in_force.get().rates
    currency = declared.currency if declared else ""
    foreseen = {"currency": currency, "forecast": ahead.months(), "plot": ahead.plot(currency)}
    return changes, _summary(run, account_name, lists, plan, now) | foreseen


def _batches(
    environment: str, account: "StorageAccount", lists: dict[str, _Lists], now: datetime
) -> Iterator["pl.DataFrame"]:
    """The blobs of the containers: those that the newest inventory report covers from it, the others by listing."""
    report = _report(environment, account, now)
    covered = {name for name in lists if report is not None and report.manifest.covers(name)}
    if report is not None and covered:
        for frame in report.batches():
            yield from _of_containers(frame, {name: lists[name] for name in covered})
    for name, each in lists.items():
        if name not in covered:
            yield from _listed(account, name, each)


def _report(environment: str, account: "StorageAccount", now: datetime) -> tiering_inventory.Report | None:
    if account.inventory is None:
        return None
    done = tiering_inventory.newest(str(account.id))
    return tiering_inventory.Report(environment, account, done, now) if done is not None else None


def _of_containers(frame: "pl.DataFrame", lists: dict[str, _Lists]) -> Iterator["pl.DataFrame"]:
    """The rows of these containers; they are counted."""
    import polars as pl

    of = pl.col("path").str.split_exact("/", 1).struct.field("field_0")
    for (name,), part in frame.group_by(of.alias("container"), maintain_order=True):
        if (each := lists.get(str(name))) is not None:
            each.sums.seen += part.height
            each.sums.bytes += int(part["size"].sum() or 0)
            yield part


def _listed(account: "StorageAccount", name: str, lists: _Lists) -> Iterator["pl.DataFrame"]:
    """The blobs of one container. Where it is too large, or breaks off, nothing of it is planned."""
    from shared.platforms.blob_listing import AzureBlobListing, ContainerNotListedError
    from shared.storage_tiering.frames import batch_of

    policy = estate_in_force.get().storage_tiering
    most = policy.list_up_to if policy else 0
    sums = lists.sums
    try:
        for page in AzureBlobListing(f"{account.blob_address}/{name}").pages():
            sums.seen += len(page)
            sums.bytes += sum(facts.size for facts in page)
            if sums.seen > most:
                sums.unplanned = f"more than {most:,} blobs (storage_tiering.list_up_to): give the account an inventory"
                return
            if page:
                yield batch_of(page)
    except ContainerNotListedError as error:
        sums.unplanned = str(error)


def _add_move(lists: _Lists, move: "Move") -> None:
    cost = move.transaction + move.early_deletion
    lists.tier.add(_step(move, move.from_tier, move.to_tier, cost))
    sums = lists.sums
    sums.moves += 1
    sums.moved_bytes += move.target.size
    sums.saved_a_month += move.saved_a_month
    sums.cost += cost
    sums.early_deletion += move.early_deletion
    sums.to_archive += move.to_tier == _ARCHIVE


def _add_deletion(lists: _Lists, deletion: "Deletion") -> None:
    lists.delete.add(_step(deletion, deletion.tier or "", "", deletion.early_deletion))
    sums = lists.sums
    sums.deletions += 1
    sums.deleted_bytes += deletion.target.size
    sums.saved_a_month += deletion.saved_a_month
    sums.cost += deletion.early_deletion
    sums.early_deletion += deletion.early_deletion


def _step(decided: "Move | Deletion", was: str, to: str, cost: float) -> "Step":
    from shared.storage_tiering.worklist import Step

    target = decided.target
    return Step(
        name=target.name,
        version=target.version,
        snapshot=target.snapshot,
        etag=target.etag,
        modified=target.modified,
        size=target.size,
        was=was,
        to=to,
        document_class=decided.document_class,
        saved_a_month=decided.saved_a_month,
        cost=cost,
    )


def _changes(
    run: str,
    environment: str,
    account: "StorageAccount",
    container: str,
    lists: _Lists,
    limits: "DeletionLimits | None",
    rules: "AccountRules",
) -> Iterator[Change]:
    """A change for the moves and one for the deletions of a container, where there are any."""
    tier, delete, sums = lists.tier.close(), lists.delete.close(), lists.sums
    if sums.unplanned:
        return
    if not tier.empty:
        yield Change(
            automation=AUTOMATION,
            environment=environment,
            kind=KIND,
            target=target_of(account.id, container),
            action="tier",
            occasion=run,
            after={"folder": tier.folder, "work": tier.digest},
            reason=f"{tier.steps:,} blobs of {tier.bytes:,} bytes are due for a cooler tier, "
            f"saving {tier.saved_a_month:,.2f} a month for {tier.cost:,.2f}",
            risk=Risk.DISRUPTIVE if sums.to_archive else Risk.REVERSIBLE,
            originals=Originals.IGNORE,
            apply_within=_WITHIN,
        )
    if not delete.empty:
        over = over_ceiling(limits, sums)
        recoverable = rules.abilities.soft_delete or rules.abilities.versioning
        reason = f"{delete.steps:,} blobs of {delete.bytes:,} bytes are due for deletion"
        yield Change(
            automation=AUTOMATION,
            environment=environment,
            kind=KIND,
            target=target_of(account.id, container),
            action="delete",
            occasion=run,
            after={"folder": delete.folder, "work": delete.digest},
            reason=f"{reason}; {over}" if over else reason,
            risk=Risk.DISRUPTIVE if recoverable else Risk.IRREVERSIBLE,
            originals=Originals.IGNORE,
            requires_approval=bool(over),
            apply_within=_WITHIN,
        )


def _export(
    run: str, environment: str, account: "StorageAccount", policy: "StorageTiering", rules: "AccountRules"
) -> Iterator[Change]:
    """The change that writes our policy as the account's own rules, where these can say the same; none when they do."""
    from functions.adapters import lifecycle_rules
    from shared.storage_tiering.native_export import export

    audits = any(event.keeps_documents_of for event in estate_in_force.get().calendar.events.values())
    wanted = export(rules, longest_rehydration=policy.rehydration.longest, audits=audits)
    ours = [cast("Json", rule) for rule in wanted.rules]
    if ours == lifecycle_rules.ours(str(account.id)):
        return
    yield Change(
        automation=AUTOMATION,
        environment=environment,
        kind=lifecycle_rules.KIND,
        target=str(account.id),
        action="export-rules",
        occasion=run,
        after={"rules": ours},
        reason=f"{len(ours)} rules say what our policy says; {len(wanted.not_expressible)} steps stay with our plan",
        risk=Risk.DISRUPTIVE,
        originals=Originals.IGNORE,
    )


def over_ceiling(limits: "DeletionLimits | None", sums: ContainerSum) -> str:
    """Which ceiling the deletions of a container exceed, empty when none."""
    if limits is None:
        return "no ceiling is declared"
    if sums.deletions > limits.count:
        return f"more than the ceiling of {limits.count:,} (storage_tiering.deletions.count)"
    if sums.deletions > limits.share.of_one * sums.seen:
        return f"more than the ceiling of {limits.share} of {sums.seen:,} blobs (storage_tiering.deletions.share)"
    return ""


def _summary(run: str, account: str, lists: dict[str, _Lists], plan: "Plan", now: datetime) -> dict[str, Any]:
    totals = plan.totals
    return {
        "run": run,
        "account": account,
        "planned_at": now.isoformat(),
        "containers": {name: asdict(each.sums) for name, each in lists.items()},
        "seen": [_row(("class", "tier"), key, total) for key, total in totals.seen.items()],
        "moves": [_row(("class", "from", "to"), key, total) for key, total in totals.moves.items()],
        "deletions": [_row(("class", "rule"), key, total) for key, total in totals.deletions.items()],
        "blocked": [_row(("class", "wanted", "reason"), key, total) for key, total in totals.blocked.items()],
        "native": [_row(("rule", "action"), key, total) for key, total in totals.native.items()],
        "conflicts": [asdict(conflict) for conflict in totals.conflicts.values()],
    }


def _row(names: tuple[str, ...], key: tuple[str, ...], total: "Sum") -> dict[str, Any]:
    return dict(zip(names, map(str, key), strict=True)) | asdict(total)
