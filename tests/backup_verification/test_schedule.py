"""Which drills are due, and what a request gets wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.backup_verification.drill import DrillRequest
from shared.backup_verification.schedule import due, plan_drill, problems
from shared.estate.loading import load_estate

TEXT = (Path(__file__).resolve().parents[2] / "examples" / "single-company" / "estate.yaml").read_text()
ESTATE = load_estate(TEXT)
NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
PRODUCTION = ("production", "erp")
SERVERS = {(name, server) for name, environment in ESTATE.environments.items() for server in environment.postgres}


def asked(proven: dict[tuple[str, str], datetime]) -> set[tuple[str, str]]:
    return {(request.environment, request.server) for request in due(ESTATE, proven, NOW)}


def test_what_was_never_drilled_is_due_at_once() -> None:
    assert asked({}) == SERVERS


@pytest.mark.parametrize(("ago", "is_due"), [(29, False), (30, True), (300, True)])
def test_a_monthly_server_is_due_a_month_after_its_last_proof_and_stays_due(ago: int, is_due: bool) -> None:
    assert ESTATE.tiers[ESTATE.environments["production"].tier].drill == "monthly"
    assert (PRODUCTION in asked({PRODUCTION: NOW - timedelta(days=ago)})) == is_due


def test_a_tier_that_is_never_drilled_is_not_due() -> None:
    estate = load_estate(TEXT.replace("drill: monthly", "drill: never").replace("drill: quarterly", "drill: never"))
    assert due(estate, {}, NOW) == []


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (DrillRequest(environment="nowhere", server="erp"), "/environment", "production, staging"),
        (DrillRequest(environment="production", server="nope"), "/server", "erp"),
        (DrillRequest(environment="production", server="erp", target=NOW + timedelta(seconds=1)), "/target", "future"),
    ],
)
def test_a_request_that_cannot_be_planned_names_the_field(request_: DrillRequest, field: str, words: str) -> None:
    ((found, message),) = problems(ESTATE, request_, NOW)
    assert found == field
    assert words in message


def test_a_plan_is_fixed_by_the_estate_and_the_request() -> None:
    request = DrillRequest(environment="production", server="erp", target=NOW - timedelta(hours=1))
    plan = plan_drill(ESTATE, request, drill="drill:x", location="westeurope", requested_at=NOW, poll_seconds=30)
    assert ESTATE.backup_verification is not None
    policy = ESTATE.backup_verification.drills
    assert plan.target == NOW - timedelta(hours=1)
    assert plan.server_id.startswith(
        f"{policy.resource_group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp-drill-"
    )
    assert {database.tenant for database in plan.databases} == set(ESTATE.environments["production"].tenants)
    assert plan.restore_deadline == NOW + policy.time_limit < plan.expires_at
    assert (plan.rto_seconds, plan.rpo_seconds) == (7200, 300)
    assert plan.estate_version == ESTATE.version
