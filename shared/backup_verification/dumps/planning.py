"""From the estate and listings to the verifications that are to be done. Pure; times are aware UTC."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.dumps.names import owner_of
from shared.backup_verification.dumps.parts import Dump
from shared.backup_verification.dumps.plan import DumpPlan, dump_id, scratch_name

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.estate import Estate
    from shared.estate.inventory.storage import Container
    from shared.estate.policies.backup_verification import Dumps

CATCH_UP = timedelta(days=2)
"""How far back the schedule looks for dumps that no event told of; the newest of each tenant is always looked at."""
SETTLED = timedelta(minutes=10)
"""How long a folder must be quiet before its dump is complete: its files arrive in any order."""


class DumpPlace(NamedTuple):
    """A container with dumps of an environment, and the tenants whose they are, by database."""

    environment: str
    account: str
    container: str
    url: str
    tenants: Mapping[str, str]


def places(estate: "Estate", environment: str = "") -> list[DumpPlace]:
    """Every container that tenants declare as the one of their dumps."""
    found: list[DumpPlace] = []
    for name, declared in estate.environments.items():
        if environment not in ("", name):
            continue
        tenants: dict[tuple[str, str], dict[str, str]] = {}
        for tenant_name, tenant in declared.tenants.items():
            if tenant.dumps is not None:
                at = (tenant.dumps.account, tenant.dumps.container)
                tenants.setdefault(at, {})[tenant.database.database] = tenant_name
        found.extend(
            DumpPlace(name, account, container, f"{declared.storage[account].blob_address}/{container}", of)
            for (account, container), of in tenants.items()
        )
    return found


def is_dump(container: "Container", name: str, document_class: str) -> bool:
    """Whether blobs of that name are of the class that dumps are; the longest beginning that fits decides."""
    fitting = [beginning for beginning in container.folders if name.startswith(beginning)]
    declared = container.folders[max(fitting, key=len)] if fitting else container.document_class
    return declared == document_class


def level_for(policy: "Dumps", last_restored: datetime | None, now: datetime) -> Level:
    """How far a new dump is checked: wholly restored when the last one that was is older than `restore_every`."""
    if policy.restore_every is not None and (last_restored is None or now - last_restored >= policy.restore_every):
        return Level.RESTORED
    return Level(policy.level.value)


def to_look_at(dumps: Iterable[Dump], tenants: Mapping[str, str], now: datetime) -> list[tuple[str, Dump]]:
    """Of a container's dumps, with the database they are of: the newest of each, and every one of the last two days.

    Folders that are not quiet yet come later.
    """
    newest: dict[str, Dump] = {}
    chosen: dict[str, tuple[str, Dump]] = {}
    for dump in dumps:
        if not dump.is_file and now - dump.last_modified < SETTLED:
            continue
        database = owner_of(dump.name, tenants)
        if now - dump.last_modified < CATCH_UP:
            chosen[dump.name] = (database, dump)
        if database and (database not in newest or _age(newest[database]) < _age(dump)):
            newest[database] = dump
    chosen.update({dump.name: (database, dump) for database, dump in newest.items()})
    return sorted(chosen.values(), key=lambda each: each[1].last_modified)


def newest_of(dumps: Iterable[Dump], tenants: Mapping[str, str], database: str) -> Dump | None:
    """The newest dump of a database, None when there is none."""
    own = (dump for dump in dumps if owner_of(dump.name, tenants) == database)
    return max(own, key=_age, default=None)


def _age(dump: Dump) -> tuple[datetime, str]:
    """What is newer; Azure counts whole seconds, and of one second the later name is meant."""
    return dump.last_modified, dump.name


def make_plan(
    estate: "Estate", place: DumpPlace, dump: Dump, database: str, level: Level, key: str, now: datetime
) -> DumpPlan:
    """Fix everything that a verification needs. `key` sets apart what is asked for by hand or by a drill."""
    policy = estate.backup_verification.dumps if estate.backup_verification else None
    if policy is None:
        raise ValueError("the estate declares no dumps in backup_verification")
    tenant = place.tenants.get(database, "")
    signature = f"{dump.signature}+{dump.manifest_etag}" if dump.manifest_etag else dump.signature
    verification = dump_id(place.environment, tenant, place.url, dump.name, signature, level, key)
    return DumpPlan(
        id=verification,
        environment=place.environment,
        tenant=tenant,
        database=database,
        container_url=place.url,
        dump=dump.name,
        signature=dump.signature,
        manifest=dump.manifest,
        size=dump.size,
        last_modified=dump.last_modified,
        level=level,
        key=str(policy.key) if policy.key else "",
        scratch_id=str(policy.scratch) if policy.scratch else "",
        scratch_database=scratch_name(verification),
        requested_at=now,
        estate_version=estate.version,
    )


def same_or_deeper(plan: DumpPlan, estate: "Estate", place: DumpPlace, dump: Dump) -> Iterator[str]:
    """The ids of verifications of the same bytes that make this one needless: to its level or a deeper one."""
    for level in Level:
        if level.reaches(plan.level):
            yield make_plan(estate, place, dump, plan.database, level, "", plan.requested_at).id


def declared_servers(estate: "Estate") -> Collection[str]:
    """The resource ids of every server with books on it, in lower case."""
    return {
        str(resource).lower()
        for environment in estate.environments.values()
        for server in environment.postgres.values()
        for resource in (server.id, *(replica.id for replica in server.replicas.values()))
    }
