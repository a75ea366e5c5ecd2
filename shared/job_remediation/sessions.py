"""What the sessions of a PostgreSQL server mean: which block others, and which of those a machine may end. Pure."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from shared.database_sessions import Session, Sessions
from shared.estate.policies.job_remediation import Sessions as Policy
from shared.job_remediation.evidence import MOST_ITEMS, Evidence, Item, Value

_NEVER_USERS = frozenset({"azuresu", "azure_superuser", "azure_pg_admin", "replication", "postgres"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a session that blocks others is ended. protected_users is what the ending statement is told, too."""

    idle_in_transaction: timedelta
    waiting: timedelta
    protected_users: frozenset[str]
    protected_applications: tuple[str, ...]


def thresholds(policy: Policy, own_user: str, *, tight: bool) -> Thresholds:
    """The policy's thresholds, while the finance calendar tightens or not. Our own sessions are never ended."""
    return Thresholds(
        idle_in_transaction=policy.idle_in_transaction_tight if tight else policy.idle_in_transaction,
        waiting=policy.waiting_tight if tight else policy.waiting,
        protected_users=_NEVER_USERS | set(policy.protected_users) | {own_user},
        protected_applications=tuple(policy.protected_applications),
    )


def evidence_of(server: str, seen: Sessions, limits: Thresholds) -> Evidence:
    """The facts of `postgres-sessions`, and the sessions that could be ended as items."""
    sessions, used, most = seen.sessions, seen.used_connections, seen.most_connections
    roots = [one for one in sessions if one.blocks and not one.waits]
    idle = [one for one in sessions if _is_idle_too_long(one, limits) and not _is_protected(one, limits)]
    endable = [one for one in idle if one in roots and one.longest_wait >= limits.waiting]
    applications = Counter(one.application or one.user for one in sessions)
    facts: dict[str, Value] = {
        "sessions.waiting": sum(1 for one in sessions if one.waits),
        "sessions.roots": len(roots),
        "sessions.endable": len(endable),
        "sessions.protected": sum(1 for one in roots if _is_protected(one, limits)),
        "sessions.working": sum(1 for one in roots if one.state == "active"),
        "sessions.prepared": seen.prepared,
        "sessions.longest_wait": round(max((one.longest_wait.total_seconds() for one in roots), default=0.0)),
        "connections.used": used,
        "connections.most": most,
        "connections.free": round(1 - used / most, 3) if most else 0.0,
        "connections.leaked": len(idle),
        "connections.greediest": applications.most_common(1)[0][0] if applications else "",
    }
    if roots:
        facts["sessions.root"] = max(roots, key=lambda one: (one.blocks, -one.pid)).pid
    crowded = most > 0 and used / most > 0.75
    ends = endable or (idle if crowded else [])
    return Evidence(facts, tuple(_item(server, one) for one in ends[:MOST_ITEMS]))


def _is_idle_too_long(one: Session, limits: Thresholds) -> bool:
    return one.state.startswith("idle in transaction") and one.in_state >= limits.idle_in_transaction


def _is_protected(one: Session, limits: Thresholds) -> bool:
    named = any(one.application.startswith(name) for name in limits.protected_applications)
    return named or one.user in limits.protected_users


def _item(server: str, one: Session) -> Item:
    return {
        "kind": "session",
        "id": f"{one.pid}@{one.backend_start.isoformat()}",
        "server": server,
        "pid": one.pid,
        "backend_start": one.backend_start.isoformat(),
        "xact_start": one.xact_start.isoformat() if one.xact_start else "",
        "state": one.state,
        "user": one.user,
        "application": one.application,
        "database": one.database,
        "endable": True,
        "weight": float(one.blocks or one.in_state.total_seconds() / 1e6),
    }
