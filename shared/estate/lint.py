"""Declarations that are legal but unwise."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from shared.estate.estate import Estate
from shared.estate.inventory.environments import Environment, Stage
from shared.estate.inventory.tiers import DrillRhythm, Tier
from shared.estate.lint_times import sleep_in_peaks, unready_postgres
from shared.estate.policies.backup_verification import DrillKind
from shared.estate.problems import Path
from shared.estate.values import show_duration
from shared.finance_calendar.calendar import FinanceCalendar

# What the platform gives at best: WAL is archived every few minutes, and copied to the paired region within the hour.
BEST_RPO, BEST_REGIONAL_RPO = timedelta(minutes=5), timedelta(hours=1)
# Restoring a server takes minutes at the least, whatever its size; what is below only a replica can do.
BEST_RESTORE = timedelta(minutes=15)


class Advice(NamedTuple):
    """Something unwise: where, what it leads to, and what would be better."""

    path: Path
    what: str
    remedy: str


def lint(estate: Estate, calendar: FinanceCalendar, now: datetime) -> list[Advice]:
    """All advice on a valid estate. Events of the calendar count from `now` (aware) for the next 400 days."""
    advice = [*_promises(estate), *_drills(estate), *_documents(estate), *_acting(estate)]
    advice += [Advice(*found) for found in sleep_in_peaks(estate, calendar, now)]
    advice += [Advice(*found) for found in unready_postgres(estate, calendar, now)]
    return advice


def _tiers(estate: Estate, name: str, environment: Environment) -> Iterator[tuple[Path, str, Tier]]:
    """The tiers that something in the environment refers to, with the place of the reference."""
    at: Path = ("environments", name)
    yield (*at, "tier"), environment.tier, estate.tiers[environment.tier]
    for section, things in (("postgres", environment.postgres), ("tenants", environment.tenants)):
        for thing_name, thing in things.items():
            if thing.tier is not None:
                yield (*at, section, thing_name, "tier"), thing.tier, estate.tiers[thing.tier]


def _promises(estate: Estate) -> Iterator[Advice]:
    for name, tier in estate.tiers.items():
        if tier.rpo < BEST_RPO:
            yield Advice(
                ("tiers", name, "rpo"),
                f"{show_duration(tier.rpo)} is less than the platform can give",
                f"continuous backup loses up to {show_duration(BEST_RPO)}; promise no less",
            )
        if tier.rto < BEST_RESTORE:
            yield Advice(
                ("tiers", name, "rto"),
                f"{show_duration(tier.rto)} is less than a restore takes",
                f"promise {show_duration(BEST_RESTORE)} or more, or plan with a replica and another tier",
            )
    policy = estate.backup_verification
    if not policy:
        return
    for name, environment in estate.environments.items():
        regional = name in policy.recovery or (
            DrillKind.GEO_RESTORE in policy.drills.kinds and environment.paired_location is not None
        )
        if not regional:
            continue
        for server_name, server in environment.postgres.items():
            path: Path = ("environments", name, "postgres", server_name)
            tier = estate.tier_of(name, server=server_name)
            near = any(replica.location == environment.paired_location for replica in server.replicas.values())
            if not server.geo_redundant and not near:
                yield Advice(
                    path,
                    "is recovered into the paired region, but has neither a replica there nor geo-redundant backups",
                    "declare a replica there; geo-redundancy can only be chosen when a server is created",
                )
            elif tier.rpo < BEST_REGIONAL_RPO and not near:
                yield Advice(
                    path,
                    f"promises {show_duration(tier.rpo)}; a geo-restore loses up to {show_duration(BEST_REGIONAL_RPO)}",
                    "declare a replica in the paired region, or keep the promise for disasters inside the region",
                )


def _drills(estate: Estate) -> Iterator[Advice]:
    policy = estate.backup_verification
    for name, environment in estate.environments.items():
        for path, tier_name, tier in _tiers(estate, name, environment):
            if environment.stage is Stage.PRODUCTION and tier.drill is DrillRhythm.NEVER:
                yield Advice(
                    path, f"production with no drill: tier `{tier_name}`", "say in the tier how often to drill"
                )
            elif environment.stage is Stage.PRODUCTION and not policy:
                yield Advice(path, "production with no drill", "add a section `backup_verification`")
            if policy and tier.drill is not DrillRhythm.NEVER and policy.drills.time_limit < tier.rto:
                yield Advice(
                    ("backup_verification", "drills", "time_limit"),
                    f"is shorter than the {show_duration(tier.rto)} that tier `{tier_name}` promises",
                    "give drills more time, or the promise is never measured",
                )
        owned = {str(tenant.database) for tenant in environment.tenants.values()}
        for server_name, server in environment.postgres.items():
            for index, database in enumerate(server.databases):
                if f"{server_name}/{database}" not in owned:
                    yield Advice(
                        ("environments", name, "postgres", server_name, "databases", index),
                        f"`{database}` is no tenant's database",
                        "declare its tenant, or nobody is told when it cannot be restored",
                    )
    if policy and policy.drills.cost_limit is not None and (estate.rates is None or not estate.rates.postgres_hour):
        yield Advice(
            ("backup_verification", "drills", "cost_limit"),
            "the cost of a drill is not known",
            "declare `rates.postgres_hour`",
        )


def _documents(estate: Estate) -> Iterator[Advice]:
    policy = estate.storage_tiering
    secondary = estate.backup_verification is not None and estate.backup_verification.drills.secondary_documents
    for name, environment in estate.environments.items():
        at: Path = ("environments", name, "storage")
        for tenant_name, tenant in environment.tenants.items():
            window = environment.postgres[tenant.database.server].point_in_time_window
            for account_name in dict.fromkeys(place.account for place in tenant.documents):
                account = environment.storage[account_name]
                kept = account.soft_delete
                if (kept is None and not account.versioning) or (kept is not None and kept < window):
                    yield Advice(
                        (*at, account_name, "soft_delete") if kept else (*at, account_name),
                        f"keeps deleted files for {show_duration(kept) if kept else 'no time'}, but the database of"
                        f" `{tenant_name}` can go back {show_duration(window)}",
                        f"keep them for {show_duration(window)} or more: restored books need the files of that day",
                    )
                if secondary and account.secondary != "readable":
                    yield Advice(
                        (*at, account_name),
                        "drills look for documents in the secondary region, which cannot be read",
                        "declare `secondary: readable`, or leave out `secondary_documents`",
                    )
        for account_name, account in environment.storage.items():
            for container_name, container in account.containers.items():
                path = (*at, account_name, "containers", container_name)
                classes = {(*path, "class"): container.document_class}
                classes |= {(*path, "folders", prefix): folder for prefix, folder in container.folders.items()}
                for place, document_class in classes.items():
                    if policy and document_class not in policy.classes:
                        yield Advice(
                            place,
                            f"class `{document_class}` has no policy",
                            "add it to `storage_tiering.classes`; until then its documents are left alone",
                        )
                    elif policy and container.layout and policy.classes[document_class].archive_after:
                        yield Advice(
                            ("storage_tiering", "classes", document_class, "archive_after"),
                            "Odoo reads these documents, and archived ones are hours away",
                            "leave it out; cold is the cheapest tier that can be read at once",
                        )


def _acting(estate: Estate) -> Iterator[Advice]:
    for name, environment in estate.environments.items():
        if environment.stage is Stage.PRODUCTION and not estate.changes.gate_of(name).freeze_holds:
            own = name in estate.changes.gates
            path: Path = ("changes", "gates", name, "freeze_holds") if own else ("changes", "gate", "freeze_holds")
            yield Advice(path, "a freeze holds nothing back in production", "name the risks that wait for its end")
    for name, schedule in estate.shutdown_schedules.items():
        for cluster_name, cluster in estate.environments[schedule.covers.environment].clusters.items():
            covered = not schedule.covers.clusters or cluster_name in schedule.covers.clusters
            if covered and cluster.node_auto_provisioning and schedule.clusters in ("stop", "stop pools"):
                yield Advice(
                    ("shutdown_schedules", name, "clusters"),
                    f"cluster `{cluster_name}` provisions its nodes itself and cannot be stopped",
                    "write `zero pools` or `leave`",
                )
