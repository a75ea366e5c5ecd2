"""Drills to report on, with books of generated databases: one that passed, and one of an injured copy."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from psycopg import Connection

from local.odoo.damage import INJURIES
from shared.backup_verification.aftermath import InjectedFault, Kept, NeutralisedDatabase, SelfTested
from shared.backup_verification.anchors import take_anchor
from shared.backup_verification.books import Books, accept, examine
from shared.backup_verification.cost import Cost
from shared.backup_verification.documents.report import Documents
from shared.backup_verification.drill import (
    DatabaseUnderTest,
    DrillPlan,
    DrillReport,
    Phase,
    conclude,
)
from shared.backup_verification.preflight import CheckState, PreflightCheck
from shared.backup_verification.self_test import run_self_test
from shared.backup_verification.trend import EarlierDrill, compare
from shared.platforms.sql import ReadOnlyDatabase

T = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
_GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups"
PLAN = DrillPlan(
    id="drill:production:erp:2026-11-22",
    environment="production",
    server="erp",
    source_id=f"{_GROUP}/rg-erp/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp",
    server_id=f"{_GROUP}/rg-drills/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp-drill-5ad1c0ffee",
    location="westeurope",
    databases=(DatabaseUnderTest(name="odoo", tenant="contoso"),),
    target=T - timedelta(hours=3),
    requested_at=T,
    restore_deadline=T + timedelta(hours=6),
    expires_at=T + timedelta(hours=7),
    rto_seconds=3600,
    rpo_seconds=300,
    poll_seconds=30,
    estate_version="9f8e7d",
)
_MOMENTS = (2, 724, 745, 751, 763, 812, 1033)


def examined(connection: Connection, injuries: Sequence[str] = ()) -> tuple[Books, SelfTested]:
    """The books of a copy after these injuries, and how the self-test went on it."""
    with connection.transaction(force_rollback=True):
        database = ReadOnlyDatabase(connection)
        anchor, baseline = take_anchor(database), accept(database)
        for injury in injuries:
            INJURIES[injury](connection)
        newest = T - timedelta(hours=3, seconds=21)
        books = examine(database, "odoo", "contoso", T - timedelta(hours=3), newest, anchor=anchor, baseline=baseline)
        documents = Documents(rows=61, files=53, bytes=130_000, read=20, read_bytes=50_000, orphans=2, seed="s")
        shown = {"newest_write": newest, "write_lag_seconds": 21.0, "documents": documents}
        books = books.model_copy(update=shown)
        test = run_self_test(database, books, 2026, anchor=anchor, baseline=baseline)
    return books, SelfTested(
        database="odoo",
        seed=test.seed,
        injected=tuple(InjectedFault(name=one.fault, check=one.check, found=one.found) for one in test.injections),
        not_injected=tuple(test.not_injected.items()),
        score=test.score,
    )


def report_of(books: Sequence[Books], self_test: SelfTested | None = None, failures: Sequence[str] = ()) -> DrillReport:
    """The drill's report, with everything that a drill can have."""
    phases = {phase: T + timedelta(seconds=at) for phase, at in zip(list(Phase)[1:], _MOMENTS, strict=True)}
    report = conclude(PLAN, {Phase.REQUESTED: T, **phases}, books, failures, T + timedelta(seconds=1040))
    earlier = [
        EarlierDrill(
            id=f"drill:production:erp:2026-{month:02}-22",
            at=T.replace(month=month),
            passed=month != 8,
            rto_seconds=480.0 + 23 * month,
            rpo_seconds=12.0,
        )
        for month in range(5, 11)
    ]
    return report.model_copy(
        update={
            "location": "westeurope",
            "asked_at": T - timedelta(minutes=4),
            "target_chosen": "a random instant of the last 14 days",
            "isolation": "subnet snet-drills of its own, no public address",
            "carried": ("parameter azure.extensions", "2 Entra administrators", "tags"),
            "preflight": (
                PreflightCheck(name="locks", state=CheckState.GOOD, message="none on rg-drills"),
                PreflightCheck(name="vCores", state=CheckState.GOOD, message="4 of 96 left are needed"),
                PreflightCheck(name="maintenance", state=CheckState.UNKNOWN, message="the app may not read the events"),
            ),
            "cost": Cost(currency="EUR", hour=0.41, bound=2.87, limit=5.0, spent=0.41),
            "trend": compare(earlier, report.rto_seconds),
            "self_test": (self_test,) if self_test else (),
            "kept": Kept(
                until=T + timedelta(hours=8),
                databases=(
                    NeutralisedDatabase(database="odoo", proven=True, done=("15 scheduled actions", "1 mail server")),
                ),
            ),
        }
    )
