"""Which dumps there are, and which verifications are asked for: by an event, the schedule, a caller, a drill."""

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from functions import estate_in_force
from functions.dump_steps import state
from shared.backup_verification.dumps import planning, register
from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.dumps.manifests import SIDECAR
from shared.backup_verification.dumps.names import dump_of_blob, dumps_in, owner_of
from shared.backup_verification.dumps.parts import Dump
from shared.backup_verification.dumps.plan import DumpPlan
from shared.backup_verification.dumps.planning import DumpPlace
from shared.backup_verification.dumps.request import DumpRequest
from shared.platforms import blob_reading

if TYPE_CHECKING:
    from shared.estate.estate import Estate
    from shared.estate.policies.backup_verification import Dumps


_LOG = logging.getLogger("closekeeper.backup_verification")


def due(now: datetime) -> Iterator[DumpPlan]:
    """What no event told of, or what it told was lost: every new dump that has no report, and restores that are due.

    A container that cannot be read is passed over: the hourly look at the backups tells of it.
    """
    from azure.core.exceptions import AzureError

    estate, policy = estate_in_force.get(), _policy()
    if policy is None:
        return
    for place in planning.places(estate):
        try:
            yield from _due_in(estate, policy, place, now)
        except AzureError as error:
            _LOG.warning("the dumps in %s could not be looked at: %s", place.url, error)


def _due_in(estate: "Estate", policy: "Dumps", place: DumpPlace, now: datetime) -> Iterator[DumpPlan]:
    restored: dict[str, datetime | None] = {}
    dumps = list(_dumps(estate, policy, place))
    newest = {database: planning.newest_of(dumps, place.tenants, database) for database in place.tenants}
    for database, dump in planning.to_look_at(dumps, place.tenants, now):
        tenant = place.tenants.get(database, "")
        if tenant not in restored:
            restored[tenant] = register.last_restored(state(), place.environment, tenant) if tenant else now
        level = planning.level_for(policy, restored[tenant], now)
        if level is Level.RESTORED and dump != newest.get(database):
            level = Level(policy.level.value)  # one restore proves the tenant's; it is the newest dump's
        plan = planning.make_plan(estate, place, dump, database, level, "", now)
        if not any(_is_reported(verification) for verification in planning.same_or_deeper(plan, estate, place, dump)):
            yield plan


def of_event(topic: str, subject: str, now: datetime) -> DumpPlan | None:
    """The verification that a new blob asks for; None when it is no dump of ours. `topic` is the account's resource
    id, `subject` the blob's path as Event Grid writes both."""
    estate, policy = estate_in_force.get(), _policy()
    container, _, name = subject.partition("/blobServices/default/containers/")[2].partition("/blobs/")
    file = dump_of_blob(name)
    if policy is None or not file or file.endswith("/"):
        return None  # the files of a folder come one by one: the schedule looks once they are all there
    for place in planning.places(estate):
        account = estate.environments[place.environment].storage[place.account]
        if str(account.id).lower() != topic.lower() or place.container != container:
            continue
        if not planning.is_dump(account.containers[container], file, policy.document_class):
            continue
        if (dump := _find(place, file)) is None:
            return None  # a manifest that came before its dump
        database = owner_of(file, place.tenants)
        tenant = place.tenants.get(database, "")
        last = register.last_restored(state(), place.environment, tenant) if tenant else now
        return planning.make_plan(estate, place, dump, database, planning.level_for(policy, last, now), "", now)
    return None


def of_request(request: DumpRequest, key: str, now: datetime) -> DumpPlan | list[tuple[str, str]]:
    """The verification that a caller asks for, or why there is none: pairs of field and sentence."""
    estate, policy = estate_in_force.get(), _policy()
    if policy is None:
        return [("", "the estate declares no dumps: add them to backup_verification")]
    environment = estate.environments.get(request.environment)
    if environment is None:
        return [("/environment", f"unknown; the estate declares {', '.join(sorted(estate.environments))}")]
    tenant = environment.tenants.get(request.tenant)
    if tenant is None or tenant.dumps is None:
        known = ", ".join(sorted(name for name, each in environment.tenants.items() if each.dumps)) or "none"
        return [("/tenant", f"has no dumps declared; these have: {known}")]
    at = (tenant.dumps.account, tenant.dumps.container)
    place = next(each for each in planning.places(estate, request.environment) if (each.account, each.container) == at)
    database = tenant.database.database
    if request.dump:
        dump = _find(place, request.dump)
    else:
        dump = planning.newest_of(_dumps(estate, policy, place), place.tenants, database)
    if dump is None:
        return [("/dump", f"there is no such dump in {tenant.dumps}" if request.dump else f"none in {tenant.dumps}")]
    level = request.level or Level(policy.level.value)
    return planning.make_plan(estate, place, dump, database, level, key, now)


def of_drill(environment: str, server: str, key: str, now: datetime) -> Iterator[DumpPlan | str]:
    """The newest dump of each tenant database of that server, to be restored; a sentence where there is none."""
    declared = estate_in_force.get().environments[environment]
    for name, tenant in declared.tenants.items():
        if tenant.database.server != server or tenant.dumps is None:
            continue
        request = DumpRequest(environment=environment, tenant=name, level=Level.RESTORED)
        plan = of_request(request, key, now)
        yield plan if isinstance(plan, DumpPlan) else f"{name}: {'; '.join(sentence for _, sentence in plan)}"


def _policy() -> "Dumps | None":
    policy = estate_in_force.get().backup_verification
    return policy.dumps if policy else None


def _dumps(estate: "Estate", policy: "Dumps", place: DumpPlace) -> Iterator[Dump]:
    container = estate.environments[place.environment].storage[place.account].containers[place.container]
    listing = blob_reading.readable(place.url).list()
    return dumps_in(facts for facts in listing if planning.is_dump(container, facts.name, policy.document_class))


def _find(place: DumpPlace, name: str) -> Dump | None:
    container = blob_reading.readable(place.url)
    if name.endswith("/"):
        return next(dumps_in(container.list(name)), None)
    facts = container.properties(name)
    if facts is None:
        return None
    manifest = container.properties(name + SIDECAR)
    return Dump(
        name,
        facts.etag,
        facts.size,
        facts.last_modified,
        manifest.name if manifest else "",
        manifest.etag if manifest else "",
    )


def _is_reported(verification: str) -> bool:
    entry = register.find_entry(state(), verification)
    return entry is not None and entry.evidence is not None
