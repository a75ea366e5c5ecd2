"""What is looked at before a peak: whether everything declared is there and answers, and whether anything comes up.

Each look is one `Look`, for people too. What cannot be seen is no good news (ok is None), and hides no other.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from functions import estate_in_force
from shared.changes.change import State
from shared.peak_scaling.readiness import Look
from shared.peak_scaling.targets import Kind, Target
from shared.platforms import settings

if TYPE_CHECKING:
    from shared.estate.estate import Estate
    from shared.estate.inventory.clusters import Cluster
    from shared.estate.inventory.environments import Environment
    from shared.estate.inventory.postgres import PostgresServer
    from shared.estate.inventory.redis import Redis
    from shared.estate.policies.peak_scaling import Readiness
    from shared.platforms.quotas import Usage

_LOG = logging.getLogger("closekeeper.peak_scaling")
_AT_ONCE = 8
_ANSWER_WITHIN_SECONDS = 10
_MOST_NAMED = 3

type Looks = Callable[[], Iterable[Look]]


def readiness(environment: str, start: datetime, end: datetime, now: datetime) -> Sequence[Look]:
    """Everything but the targets themselves, for a peak from `start` to `end` (aware).

    Checks: `room`, `answers`, `backup`, `certificate`, `deployment`, `upgrade`, `maintenance`.
    """
    estate = estate_in_force.get()
    declared, rules = estate.environments[environment], _rules(estate, environment)
    looks: list[tuple[str, str, Looks]] = [("backup", "backups", lambda: _backups(environment, rules, start, now))]
    for name, cluster in declared.clusters.items():
        looks += [
            ("room", name, lambda name=name, cluster=cluster: _room(name, cluster)),
            ("deployment", name, lambda name=name, cluster=cluster: _deployments(name, cluster)),
            ("upgrade", name, lambda name=name, cluster=cluster: _upgrades(name, cluster, start, end)),
        ]
    for name, server in declared.postgres.items():
        looks += [
            ("answers", name, lambda name=name, server=server: _answers(name, server)),
            ("maintenance", name, lambda name=name, server=server: _maintenance(name, server, start, end)),
        ]
    for name, cache in declared.redis.items():
        looks.append(("answers", name, lambda name=name, cache=cache: [_redis(name, cache)]))
    for host, port in sorted(_hosts(declared)):
        looks.append(("certificate", host, lambda host=host, port=port: [_certificate(host, port, end, rules)]))
    return _all(looks)


def quotas(environment: str, wanted: Mapping[str, State], now: datetime) -> Sequence[Look]:
    """Whether the subscription may have what is wanted, by the ids of node pools and servers. Check: `quota`.

    Of a pool with an autoscaler the most that it may become counts. AKS wants a node more than that while it upgrades.
    """
    from functions import peak_needs

    needs, unseen = peak_needs.more_cores(wanted)
    looks: list[tuple[str, str, Looks]] = [
        ("quota", f"{kind} {location}", lambda key=key, cores=cores: _quota(key, cores))
        for key, cores in needs.items()
        for kind, _, location in [key]
    ]
    return [*unseen, *_all(looks)]


def collisions(scaled: Mapping[str, tuple[str, datetime, datetime]]) -> Sequence[Look]:
    """Whether Azure maintains node pools and servers while they are scaled: id, from and until, by how they are called.

    Check: `maintenance`. A channel of AKS without a window may upgrade at any time, which `readiness` tells.
    """
    return _all(
        [
            ("maintenance", name, lambda name=name, id=id, start=start, end=end: [_collision(name, id, start, end)])
            for name, (id, start, end) in scaled.items()
        ]
    )


def queues(environment: str) -> int | None:
    """How many queue jobs wait in all databases; None when one of them cannot be asked."""
    from shared.platforms import odoo_tables, sql

    waiting = 0
    try:
        for _, host, server in servers(environment):
            for name in server.databases:
                with sql.read_only(host, name, statement_timeout_seconds=_ANSWER_WITHIN_SECONDS) as database:
                    if odoo_tables.has_table(database, "queue_job"):
                        query = "select count(*) from queue_job where state in ('pending', 'enqueued', 'started')"
                        waiting += database.rows(query)[0][0]
    except sql.DatabaseUnavailableError:
        return None
    return waiting


def max_connections(environment: str) -> Mapping[str, int]:
    """What each server lets in, by the server's name; one that does not answer is left out."""
    from functions.adapters import postgres_answers
    from shared.platforms import sql

    found: dict[str, int] = {}
    for name, host, _ in servers(environment):
        try:
            found[name] = postgres_answers.max_connections(host)
        except sql.DatabaseUnavailableError:
            continue
    return found


def as_paid(targets: Mapping[str, Target]) -> dict[str, Target]:
    """The targets as Azure charges them: pools by the size of their machines, servers with their standby.

    What cannot be seen is left as it is declared.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return dict(zip(targets, threads.map(_as_paid, targets.values()), strict=True))


# --- one by one ------------------------------------------------------------------------------------------------------


def _all(looks: Sequence[tuple[str, str, Looks]]) -> list[Look]:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return [look for found in threads.map(_guarded, looks) for look in found]


def _guarded(one: tuple[str, str, Looks]) -> list[Look]:
    from azure.core.exceptions import AzureError

    from shared.platforms.kubernetes import ClusterError

    check, subject, looks = one
    try:
        return list(looks())
    except (AzureError, ClusterError, LookupError, ValueError) as error:
        return [Look(check, subject, None, f"it could not be looked at: {str(error).strip().partition('\n')[0]}")]


def _room(name: str, cluster: "Cluster") -> Iterator[Look]:
    """Every declared pool has nodes that take pods, and on one of them the largest pod would fit once more."""
    from shared.platforms import kubernetes_room, managed_clusters

    room = kubernetes_room.look(managed_clusters.connect(str(cluster.id)), cluster.namespaces)
    facts = managed_clusters.get(str(cluster.id))
    growing = {pool.name for pool in (facts.pools if facts else ()) if pool.autoscaler and pool.count < (pool.max or 0)}
    for pool, declared in cluster.pools.items():
        seen = room.pools.get(pool, kubernetes_room.PoolRoom())
        said = f"{seen.takes} of {seen.nodes} nodes take pods, {seen.fits} have room for one more"
        if not seen.fits and pool in growing:
            said += ", and its autoscaler may add nodes"
        room_left = bool(seen.fits) or pool in growing or declared.mode == "system"
        yield Look("room", f"{name}/{pool}", bool(seen.takes) and room_left and seen.takes == seen.nodes, said)
    if room.homeless:
        yield Look("room", name, False, f"{len(room.homeless)} pods find no node: {_few(room.homeless)}")


def _deployments(name: str, cluster: "Cluster") -> Iterator[Look]:
    from functions.adapters.observation import observe_cluster

    seen = observe_cluster(str(cluster.id), cluster.namespaces)
    if not seen.answers:
        yield Look("deployment", name, None, seen.why)
        return
    rolling = sorted(one.target.partition("//")[2] for one in seen.workloads if one.rolling)
    said = f"being rolled out: {_few(rolling)}" if rolling else "nothing is being rolled out"
    yield Look("deployment", name, not rolling, said)


def _upgrades(name: str, cluster: "Cluster", start: datetime, end: datetime) -> Iterator[Look]:
    from shared.platforms import cluster_upgrades

    found = cluster_upgrades.read(str(cluster.id), start, end)
    if found is None:
        raise LookupError(f"there is no cluster {cluster.id}")
    bad = [f"it is {found.now} now"] if found.now else []
    bad += [f"{what} may come at any time: plan a maintenance window" for what in found.at_any_time]
    bad += [
        f"{what} may come {opens:%Y-%m-%d %H:%M} to {closes:%H:%M} UTC: bar these dates"
        for what, opens, closes in found.windows
    ]
    yield Look("upgrade", name, not bad, "; ".join(bad) or "no upgrade comes into it")


def _answers(name: str, server: "PostgresServer") -> Iterator[Look]:
    from functions.adapters import postgres_answers
    from shared.platforms import postgres_scaling

    for subject, id in _with_replicas(name, server):
        found = postgres_scaling.read(id)
        if found is None or found.state != "Ready":
            yield Look("answers", subject, False, f"the server is {found.state}" if found else "there is none")
            continue
        silent = postgres_answers.silence(str((server.host if subject == name else None) or found.host))
        said = f"it does not answer SQL: {silent}" if silent else f"{found.sku} answers SQL"
        yield Look("answers", subject, not silent, said)


def _with_replicas(name: str, server: "PostgresServer") -> Iterator[tuple[str, str]]:
    """The server and each of its replicas: how it is called, and its id."""
    yield name, str(server.id)
    for key, replica in server.replicas.items():
        yield f"{name}/{key}", str(replica.id)


def _redis(name: str, cache: "Redis") -> Look:
    from shared.platforms import redis_scaling

    found = redis_scaling.read(str(cache.id))
    if found is None or found.state != "Running":
        return Look("answers", name, False, f"the cache is {found.state}" if found else "there is none")
    silent = redis_scaling.answers(str(cache.id), str(cache.host or found.host))
    return Look("answers", name, not silent, f"it does not answer: {silent}" if silent else f"{found.sku} answers")


def _maintenance(name: str, server: "PostgresServer", start: datetime, end: datetime) -> Iterator[Look]:
    from shared.platforms import postgres_maintenance

    for subject, id in _with_replicas(name, server):
        spans = postgres_maintenance.planned(id, start, end)
        said = ", ".join(f"{begins:%Y-%m-%d %H:%M} to {ends:%H:%M} UTC" for begins, ends in spans)
        remedy = f"Azure maintains it {said}: reschedule that"
        yield Look("maintenance", subject, not spans, remedy if spans else "Azure plans no maintenance of it")


def _collision(name: str, id: str, start: datetime, end: datetime) -> Look:
    from functions.adapters.targets import split_pool
    from shared.platforms import cluster_upgrades, postgres_maintenance

    if "/agentpools/" in id.lower():
        found = cluster_upgrades.read(split_pool(id)[0], start, end)
        spans, remedy = [(opens, closes) for _, opens, closes in (found.windows if found else ())], "bar these dates"
    else:
        spans, remedy = postgres_maintenance.planned(id, start, end), "reschedule that"
    if not spans:
        return Look("maintenance", name, True, "Azure plans no maintenance while it is scaled")
    said = ", ".join(f"{begins:%Y-%m-%d %H:%M} to {ends:%H:%M} UTC" for begins, ends in spans[:_MOST_NAMED])
    between = f"it is scaled from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    return Look("maintenance", name, False, f"{between}, and Azure maintains it {said}: {remedy}")


def _backups(environment: str, rules: "Readiness", start: datetime, now: datetime) -> Iterator[Look]:
    from functions.drill_requests import covered_servers

    for one in covered_servers(now):
        if one.environment == environment:
            yield backup_look(one.server, one.proven_at, start, rules.backup_verified_within)


def backup_look(server: str, proven_at: datetime | None, start: datetime, within: timedelta) -> Look:
    """Whether the last proof of a server's restore is recent enough when the peak starts."""
    if proven_at is None:
        return Look("backup", server, False, "no restore of it was ever proven: start a drill")
    said = f"its restore was proven {proven_at:%Y-%m-%d}"
    if start - proven_at <= within:
        return Look("backup", server, True, said)
    return Look("backup", server, False, f"{said}, which will be more than {within.days} days: start a drill")


def _certificate(host: str, port: int, end: datetime, rules: "Readiness") -> Look:
    from shared.platforms import hosts

    addresses = hosts.resolve(host)
    if not addresses:
        return Look("certificate", host, False, "the name does not resolve")
    shaken = hosts.shake_hands(addresses[0], host, port)
    if shaken.certificate_ends is None:
        return Look("certificate", host, False, f"it does not answer by TLS: {shaken.error}")
    said = f"its certificate ends {shaken.certificate_ends:%Y-%m-%d %H:%M} UTC"
    good = shaken.certificate_ends - end >= rules.certificate_left
    return Look("certificate", host, good, said if good else f"{said}, too soon after the peak: renew it")


def _as_paid(target: Target) -> Target:
    from azure.core.exceptions import AzureError

    from functions.adapters.targets import split_pool
    from shared.platforms import managed_clusters, postgres_scaling

    try:
        if target.kind is Kind.POOL:
            pool = managed_clusters.get_pool(*split_pool(target.target))
            return replace(target, size=pool.size) if pool else target
        if target.kind in (Kind.POSTGRES, Kind.STORAGE):
            server = postgres_scaling.read(target.target)
            return replace(target, copies=2 if server.standby else 1) if server else target
    except AzureError as error:
        _LOG.warning("what %s costs cannot be seen: %s", target.name, str(error).partition("\n")[0])
    return target


def _quota(key: tuple[str, str, str], needed: Mapping[str, int]) -> Iterator[Look]:
    from shared.platforms import quotas as platform

    kind, subscription, location = key
    usages = (platform.compute if kind == "machines" else platform.postgres)(subscription, location)
    if needed and not any(name in usages for name in needed):
        names = ", ".join(needed)
        yield Look("quota", f"{kind} {location}", None, f"Azure tells of no quota called {names}")
    for name, cores in needed.items():
        if name in usages:
            yield _one_quota(f"{kind} {location} {name}", cores, usages[name])


def _one_quota(subject: str, cores: int, usage: "Usage") -> Look:
    said = f"{cores} more vCPUs are needed, {usage.free} of {usage.limit} are free"
    good = usage.free >= cores
    return Look("quota", subject, good, said if good else f"{said}: ask for {usage.used + cores} now")


def servers(environment: str) -> Iterator[tuple[str, str, "PostgresServer"]]:
    """The servers that have an address: name, host, declaration."""
    from shared.platforms import postgres_scaling

    for name, server in estate_in_force.get().environments[environment].postgres.items():
        host = server.host or getattr(postgres_scaling.read(str(server.id)), "host", "")
        if host:
            yield name, host, server


def _hosts(declared: "Environment") -> set[tuple[str, int]]:
    """The names that people type, each with its port."""
    from urllib.parse import urlsplit

    port = int(settings.optional("RECOVERY_TLS_PORT", "443"))
    found = {(str(tenant.host), port) for tenant in declared.tenants.values() if tenant.host}
    for endpoint in declared.odoo.values():
        url = urlsplit(str(endpoint.url))
        if url.scheme == "https" and url.hostname:
            found.add((url.hostname, url.port or 443))
    return found


def _rules(estate: "Estate", environment: str) -> "Readiness":
    from shared.estate.policies.peak_scaling import Readiness

    scaling = estate.peak_scaling.get(environment)
    return scaling.readiness if scaling else Readiness()


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
