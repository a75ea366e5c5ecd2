"""Which drills are due, when they may start, which instant they restore, and what a request gets wrong."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.backup_verification import targets
from shared.backup_verification.coverage import coverage
from shared.backup_verification.drill import DrillKind, DrillRequest, DrillsRequest, Target
from shared.backup_verification.planning import plan_drill, problems, requests_of
from shared.backup_verification.schedule import Past, ServerName, calendar_of, due, why_not_now
from shared.estate.estate import Estate
from shared.estate.loading import load_estate
from shared.finance_calendar.compilation import compile_calendar

TEXT = (Path(__file__).resolve().parents[2] / "examples" / "single-company" / "estate.yaml").read_text()
ESTATE = load_estate(TEXT)
CALENDAR = compile_calendar(ESTATE.calendar)
NOW = datetime(2026, 11, 16, 22, tzinfo=UTC)
"""A Monday night within the declared window, outside of every peak and freeze."""
PRODUCTION = ("production", "erp")
SERVERS = {(name, server) for name, environment in ESTATE.environments.items() for server in environment.postgres}
DAY = timedelta(days=1)


def passed(*days_ago: float) -> list[Past]:
    return [Past(NOW - days * DAY, True) for days in days_ago]


def requests(past: Mapping[ServerName, list[Past]], now: datetime = NOW, estate: Estate = ESTATE) -> list[DrillRequest]:
    return due(estate, compile_calendar(estate.calendar), past, now)


def asked(past: Mapping[ServerName, list[Past]], now: datetime = NOW) -> set[ServerName]:
    return {(request.environment, request.server) for request in requests(past, now)}


def test_what_was_never_drilled_is_due_at_once() -> None:
    assert asked({}) == SERVERS


@pytest.mark.parametrize(("ago", "is_due"), [(26, False), (27, True), (300, True)])
def test_a_monthly_server_is_due_before_its_proof_ends_and_stays_due(ago: int, is_due: bool) -> None:
    assert ESTATE.tiers[ESTATE.environments["production"].tier].drill == "monthly"
    assert (PRODUCTION in asked({PRODUCTION: passed(ago)})) == is_due


def test_a_failed_drill_proved_nothing_and_a_running_one_is_waited_for() -> None:
    assert PRODUCTION in asked({PRODUCTION: [Past(NOW - DAY, False)]})
    assert PRODUCTION not in asked({PRODUCTION: [Past(NOW - DAY, None)]})
    assert due(ESTATE, CALENDAR, {}, NOW, SERVERS) == []


def test_a_tier_that_is_never_drilled_is_not_due() -> None:
    estate = load_estate(TEXT.replace("drill: monthly", "drill: never").replace("drill: quarterly", "drill: never"))
    assert requests({}, estate=estate) == []


def test_the_longest_unproven_server_comes_first() -> None:
    staging = ("staging", "erp")
    assert [one.environment for one in requests({PRODUCTION: passed(40), staging: passed(100)})] == [
        "staging",
        "production",
    ]
    assert [one.environment for one in requests({staging: passed(100)})] == ["production", "staging"]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (datetime(2026, 11, 16, 12, tzinfo=UTC), "outside of Mon-Thu 20:00-04:00"),
        (datetime(2026, 11, 16, 18, 59, tzinfo=UTC), "outside of"),  # 19:59 in Berlin
        (datetime(2026, 11, 16, 19, 0, tzinfo=UTC), ""),
        (datetime(2026, 11, 30, 22, tzinfo=UTC), "peak until"),
        (datetime(2026, 12, 30, 22, tzinfo=UTC), "year-end"),
    ],
)
def test_the_schedule_starts_nothing_outside_its_windows_and_in_peaks_and_freezes(now: datetime, words: str) -> None:
    assert words in why_not_now(ESTATE, CALENDAR, "production", now)
    assert bool(requests({}, now)) == (not words)


def test_a_freeze_alone_holds_drills_and_that_of_another_region_does_not() -> None:
    text = TEXT.replace("within: Mon-Thu 20:00-04:00", "not_during: [freeze]").replace(
        "  events:\n",
        "  regions:\n    south: { holidays: DE-BY }\n    north: { holidays: DE-HH }\n  events:\n"
        "    stocktaking: { when: 16th of month, kinds: freeze, region: south }\n",
        1,
    )
    for region, held in (("south", True), ("north", False)):
        estate = load_estate(
            text.replace("    location: westeurope\n", f"    location: westeurope\n    region: {region}\n")
        )
        calendar = calendar_of(estate, compile_calendar(estate.calendar), "production")
        reason = why_not_now(estate, calendar, "production", datetime(2026, 11, 16, 12, tzinfo=UTC))
        assert ("stocktaking" in reason) == held, region


def test_every_server_is_drilled_some_days_before_year_end() -> None:
    """Year end begins five business days before the last of the year; `always_before` is ten days ahead of it."""
    ahead = next(e for e in CALENDAR.events_between(NOW, NOW + 90 * DAY) if e.event == "year-end").start
    late = ahead - 5 * DAY  # a Thursday night or so: move into the window
    while why_not_now(ESTATE, CALENDAR, "production", late):
        late -= timedelta(hours=1)
    assert late > ahead - 10 * DAY
    before_the_lead, within_the_lead = [Past(ahead - 11 * DAY, True)], [Past(ahead - 9 * DAY, True)]
    assert PRODUCTION in asked({PRODUCTION: before_the_lead}, late)
    assert PRODUCTION not in asked({PRODUCTION: within_the_lead}, late)
    early = ahead - 10.5 * DAY
    while why_not_now(ESTATE, CALENDAR, "production", early):
        early -= timedelta(hours=1)
    assert PRODUCTION not in asked({PRODUCTION: [Past(early - DAY, True)]}, early)


def test_kinds_and_targets_take_turns_until_every_pair_was_there() -> None:
    text = TEXT.replace("    within: Mon", "    kinds: [point-in-time, geo-restore]\n    within: Mon")
    estate = load_estate(text)
    seen: list[Any] = []
    for done in range(6):
        past = passed(*[100 + number for number in range(done)])
        (one,) = [each for each in requests({PRODUCTION: past}, estate=estate) if each.environment == "production"]
        seen.append((one.kind.value, one.target and one.target.value))
    geo = ("geo-restore", None)
    assert seen == [
        ("point-in-time", "latest"),
        geo,
        ("point-in-time", "random"),
        geo,
        ("point-in-time", "before-event"),
        geo,
    ]
    (staging,) = [
        each for each in requests({("staging", "erp"): passed(100)}, estate=estate) if each.environment == "staging"
    ]
    assert staging.kind is DrillKind.POINT_IN_TIME, "it has no paired region"


def chosen(request: DrillRequest, drill: str = "drill:x") -> tuple[datetime, str]:
    return targets.choose(
        request, drill, now=NOW, earliest=NOW - 14 * DAY, calendar=CALENDAR, events=("month-end-close",)
    )


def test_a_random_instant_is_the_same_for_the_same_drill_and_spread_over_the_retention() -> None:
    request = DrillRequest(environment="production", server="erp", target=Target.RANDOM)
    assert chosen(request)[0] == chosen(request)[0] != chosen(request, "drill:y")[0]
    drawn = [chosen(request, f"drill:{number}")[0] for number in range(200)]
    assert min(drawn) >= NOW - 14 * DAY
    assert max(drawn) <= NOW
    assert all(any(NOW - (day + 1) * DAY <= at < NOW - day * DAY for at in drawn) for day in range(14))


def test_an_event_is_restored_from_just_before_it_began() -> None:
    request = DrillRequest(environment="production", server="erp", target=Target.BEFORE_EVENT)
    at, words = chosen(request)
    assert words.startswith("the newest state, since no month-end-close began")  # it began on 28 October
    at, words = chosen(request.model_copy(update={"event": "payroll"}))
    assert (at, words.startswith("the newest state")) == (NOW, True)
    at, words = chosen(request.model_copy(update={"event": "vat-return"}))
    assert at == datetime(2026, 11, 9, 22, 59, 59, tzinfo=UTC)  # 10 November in Berlin, less a second
    assert words == "just before vat-return 2026-11"


@pytest.mark.parametrize(
    ("wish", "field", "words"),
    [
        ({"environment": "nowhere"}, "/environment", "production, staging"),
        ({"server": "nope"}, "/server", "erp"),
        ({"tenant": "nobody"}, "/tenant", "contoso, fabrikam"),
        ({"target": NOW + timedelta(seconds=1)}, "/target", "future"),
        ({"kind": "geo-restore", "environment": "staging"}, "/kind", "paired_location"),
        ({"kind": "geo-restore", "target": "random"}, "/target", "takes the newest"),
        ({"event": "payroll"}, "/event", "before-event only"),
        ({"target": "before-event", "event": "easter"}, "/event", "unknown"),
        ({"target": "before-event", "event": "audit"}, "/event", "within the point-in-time window"),
        ({"keep": "PT1H"}, "/keep", "no keep_copies"),
    ],
)
def test_a_request_that_cannot_be_planned_names_the_field(wish: dict[str, Any], field: str, words: str) -> None:
    request = DrillsRequest.model_validate({"environment": "production", **wish})
    ((found, message),) = problems(ESTATE, CALENDAR, request, NOW)
    assert found == field
    assert words in message


def test_a_copy_is_kept_no_longer_than_declared() -> None:
    estate = load_estate(
        TEXT.replace("    self_test_every: 4", "    self_test_every: 4\n    keep_copies: { up_to: 8h }")
    )
    for keep, errors in (("PT8H", 0), ("PT9H", 1)):
        wish = DrillsRequest.model_validate({"environment": "production", "keep": keep})
        assert len(problems(estate, CALENDAR, wish, NOW)) == errors


def test_a_wish_for_an_environment_is_a_drill_of_each_server_and_for_a_tenant_of_its_own() -> None:
    production = "      erp:\n        id: " + str(ESTATE.environments["production"].postgres["erp"].id)
    second = production.replace("erp:", "second:", 1).replace("pg-erp", "pg-second") + "\n        databases: [other]\n"
    text = TEXT.replace(production, second + production, 1)
    estate = load_estate(text)
    every = requests_of(estate, DrillsRequest(environment="production"))
    assert [one.server for one in every] == ["second", "erp"]
    (one,) = requests_of(estate, DrillsRequest(environment="production", tenant="contoso"))
    plan = plan_of(one, estate)
    assert (one.server, [database.name for database in plan.databases]) == ("erp", ["contoso"])


def plan_of(request: DrillRequest, estate: Estate = ESTATE) -> Any:
    return plan_drill(
        estate,
        CALENDAR,
        request,
        drill="drill:x",
        location="westeurope",
        earliest=None,
        asked_at=NOW,
        requested_at=NOW,
        poll_seconds=30,
    )


def test_a_plan_is_fixed_by_the_estate_and_the_request() -> None:
    plan = plan_of(DrillRequest(environment="production", server="erp", target=NOW - timedelta(hours=1)))
    assert ESTATE.backup_verification is not None
    policy = ESTATE.backup_verification.drills
    assert plan.target == NOW - timedelta(hours=1)
    assert plan.server_id.startswith(
        f"{policy.resource_group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp-drill-"
    )
    assert {database.tenant for database in plan.databases} == set(ESTATE.environments["production"].tenants)
    assert plan.restore_deadline == NOW + policy.time_limit < plan.expires_at
    assert (plan.rto_seconds, plan.rpo_seconds) == (7200, 300)
    assert plan.network.subnet.endswith("/subnets/drills")
    assert plan.estate_version == ESTATE.version


def test_a_geo_restore_goes_into_the_paired_region_and_may_lose_the_hour_that_azure_may() -> None:
    plan = plan_of(DrillRequest(environment="production", server="erp", kind=DrillKind.GEO_RESTORE))
    assert (plan.location, plan.target, plan.rpo_seconds) == ("northeurope", NOW, 3600)
    assert "takes no instant" in plan.target_chosen


def test_coverage_says_what_is_proven_until_when_and_what_is_overdue() -> None:
    seen = {"production/erp": NOW - 40 * DAY, "staging/erp": NOW - DAY}
    first, second = coverage(ESTATE, CALENDAR, {}, seen, NOW)
    assert (first.environment, first.overdue, first.proven_until) == ("production", True, None)
    assert first.due_by == NOW - 10 * DAY
    assert (second.environment, second.overdue, second.every_days) == ("staging", False, 91)
    (proven,) = [one for one in coverage(ESTATE, CALENDAR, {PRODUCTION: passed(29)}, seen, NOW) if one.proven_at]
    assert (proven.overdue, proven.proven_until) == (False, NOW + DAY)
    (late,) = [one for one in coverage(ESTATE, CALENDAR, {PRODUCTION: passed(31)}, seen, NOW) if one.proven_at]
    assert late.overdue
