"""When something is to be awake: over clock changes, holidays, month ends, for several teams, on request."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.changes.overrides import Override
from shared.changes.policy import OverrideKind
from shared.estate.problems import EstateInvalidError
from shared.shutdown_schedules.considering import Sleep
from shared.shutdown_schedules.memory import Habit, Memory
from shared.shutdown_schedules.wishes import Timeline, Want, Why, Wish
from tests.shutdown_schedules.declared import NIGHTS, SERVER, sleep

DAY = timedelta(days=1)
TICK = timedelta(minutes=5)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def timeline(of: Sleep, around: datetime, *overrides: Override, memory: Memory | None = None) -> Timeline:
    server = next(each for each in of.resources if each.target == SERVER)
    return of.timeline(server, overrides, memory or Memory(), around, around)


def wish(of: Sleep, at: str, *overrides: Override) -> Wish:
    moment = utc(at)
    return timeline(of, moment, *overrides).wish(moment, of.hours["nights"].rests_because(moment))


def keep_awake(start: str, end: str, **more: object) -> Override:
    given = {
        "id": start,
        "kind": OverrideKind.KEEP_AWAKE,
        "environment": "staging",
        "automation": None,
        "target": None,
        "set_by": "alice@contoso.example",
        "set_at": utc(start),
        "reason": "demo",
        "start": utc(start),
        "end": utc(end),
    }
    return Override(**{**given, **more})


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "hours",
    [
        pytest.param("02:30-23:00", id="wakes in the gap and in the fold"),
        pytest.param("04:00-02:15", id="sleeps in the gap and in the fold, overnight"),
        pytest.param("07:00-20:00", id="far from the change"),
    ],
)
def test_over_a_clock_change_there_is_one_off_and_one_on_a_day_where_cloud_custodian_has_none_or_two(
    zone: str, hours: str
) -> None:
    """Probe 1. c7n's onhour/offhour never fires in the gap hour and fires twice in the fold hour."""
    own = ZoneInfo(zone)
    daily = NIGHTS.replace("Mon-Fri 07:00-20:00", hours).replace("30m", "1m") + "  holidays: as any day\n"
    nights = sleep(daily, zone=zone)
    counted = 0
    for first in (datetime(2026, 3, 1, 12, tzinfo=own), datetime(2026, 9, 25, 12, tzinfo=own)):
        for number in range(45):
            noon = (first + number * DAY).replace(tzinfo=own)
            start, end = noon.astimezone(UTC), (noon + DAY).astimezone(UTC)
            found = timeline(nights, start).transitions(start, end)
            assert sorted(want for _, want in found) == [Want.ASLEEP, Want.AWAKE], (noon, found)
            counted += 1
    assert counted == 90


def test_windows_may_last_over_midnight_and_over_the_weekend_where_py_kube_downscaler_matches_nothing() -> None:
    night_shift = sleep(NIGHTS.replace("Mon-Fri 07:00-20:00", "Mon-Thu 20:00-06:00, Fri 20:00-Mon 06:00"))
    assert wish(night_shift, "2026-11-18T23:00").want is Want.AWAKE
    assert wish(night_shift, "2026-11-19T03:00").want is Want.AWAKE
    assert wish(night_shift, "2026-11-22T12:00").want is Want.AWAKE, "Sunday"
    assert wish(night_shift, "2026-11-18T12:00").want is Want.ASLEEP


def test_a_lost_tick_of_any_length_changes_nothing_about_what_is_wanted_where_kube_green_loses_the_day() -> None:
    """Probe 2. c7n acts in the exact hour only, kube-green within 60 s: what came later is lost until the next day."""
    nights = sleep()
    for lost in (timedelta(hours=1), timedelta(hours=6), timedelta(days=2)):
        friday_evening = utc("2026-11-20T19:00")
        late = wish(nights, (friday_evening + lost).replace(tzinfo=None).isoformat())
        assert (late.want, late.stretch) == (Want.ASLEEP, friday_evening)
        monday = utc("2026-11-23T06:00")
        late = wish(nights, (monday + lost).replace(tzinfo=None).isoformat())
        assert late.want is Want.AWAKE


def test_says_why_and_until_when() -> None:
    nights = sleep()
    assert wish(nights, "2026-11-20T12:00") == Wish(
        want=Want.AWAKE,
        why=Why.NEEDED,
        sentence="working hours Mon-Fri 07:00-20:00",
        stretch=utc("2026-11-20T06:00"),
        until=utc("2026-11-20T19:00"),
    )
    assert wish(nights, "2026-11-20T20:00") == Wish(
        want=Want.ASLEEP,
        why=Why.NOBODY_NEEDS_IT,
        sentence="outside the working hours",
        stretch=utc("2026-11-20T19:00"),
        until=utc("2026-11-23T05:30"),
    )
    assert wish(nights, "2026-11-21T12:00").sentence == "weekend, outside the working hours"
    assert wish(nights, "2026-12-25T12:00").sentence == "2026-12-25 is closed: Erster Weihnachtstag"


def test_waking_begins_ahead_by_what_was_measured() -> None:
    nights = sleep()
    early = wish(nights, "2026-11-23T05:31")
    assert (early.want, early.why) == (Want.AWAKE, Why.WAKE_AHEAD)
    assert "2026-11-23 06:00" in early.sentence
    assert early.stretch == wish(nights, "2026-11-23T08:00").stretch, "one occasion, however early waking begins"
    measured = Memory(habits={"nights": Habit(since=utc("2026-11-01T00:00"), wakes=(600.0, 2400.0, 900.0))})
    monday = utc("2026-11-23T00:00")
    (waking, _), *_ = timeline(nights, monday, memory=measured).transitions(monday, monday + DAY)
    assert waking == utc("2026-11-23T05:00"), "2400 s and a quarter, and ten minutes"


def test_holidays_are_asleep_unless_declared_otherwise_where_kube_green_and_keda_know_none() -> None:
    day = "2026-12-25T12:00"
    assert wish(sleep(), day).want is Want.ASLEEP
    assert wish(sleep(NIGHTS + "  holidays: as any day\n"), day).want is Want.AWAKE


def test_single_days_are_as_declared() -> None:
    nights = sleep(NIGHTS + "  exceptions: { 2026-12-05: awake, 2026-12-07: asleep, 2026-12-25: awake }\n")
    assert wish(nights, "2026-12-05T22:00").want is Want.AWAKE, "the whole Saturday"
    assert wish(nights, "2026-12-05T23:30").want is Want.ASLEEP, "Sunday, in Berlin"
    assert wish(nights, "2026-12-07T12:00").sentence == "2026-12-07 is declared to be asleep"
    assert wish(nights, "2026-12-25T12:00").want is Want.AWAKE


def test_it_is_awake_when_any_team_needs_it() -> None:
    teams = """
nights:
  covers: { environment: staging }
  wake_ahead: 1m
  teams:
    berlin: { awake: Mon-Fri 07:00-18:00 }
    new-york: { awake: Mon-Fri 08:00-17:00, time_zone: America/New_York, region: america }
"""
    both = sleep(teams)
    assert wish(both, "2026-11-25T15:00").sentence == (
        "team berlin works Mon-Fri 07:00-18:00 Europe/Berlin; team new-york works Mon-Fri 08:00-17:00 America/New_York"
    )
    assert wish(both, "2026-11-25T21:00").until == utc("2026-11-25T22:00")
    assert wish(both, "2026-11-26T20:00").want is Want.ASLEEP, "Thanksgiving in New York, evening in Berlin"
    assert wish(both, "2026-11-26T15:00").sentence == "team berlin works Mon-Fri 07:00-18:00 Europe/Berlin"


def test_what_is_needed_at_the_peak_does_not_sleep_from_a_business_day_before() -> None:
    """The month ends on Monday 30 November: the business day before is Friday, so the weekend is awake."""
    eve = sleep(NIGHTS + "  needed_for: [month-end]\n")
    for at in ("2026-11-27T20:00", "2026-11-28T12:00", "2026-11-29T23:00", "2026-11-30T22:00", "2026-12-01T18:30"):
        assert wish(eve, at).want is Want.AWAKE, at
        assert wish(sleep(), at).want is (Want.AWAKE if at == "2026-12-01T18:30" else Want.ASLEEP), at
    assert wish(eve, "2026-11-26T20:00").want is Want.ASLEEP
    assert wish(eve, "2026-12-01T19:30").want is Want.ASLEEP
    assert "needed for month-end 2026-11" in wish(eve, "2026-11-28T12:00").sentence


def test_sleeps_by_default_and_wakes_on_request() -> None:
    on_request = sleep("nights: { covers: { environment: staging } }")
    asleep = wish(on_request, "2026-11-25T12:00")
    assert (asleep.want, asleep.stretch, asleep.sentence) == (
        Want.ASLEEP,
        None,
        "it sleeps until it is woken on request",
    )
    awake = wish(on_request, "2026-11-25T12:00", keep_awake("2026-11-25T11:00", "2026-11-25T15:00"))
    assert awake.want is Want.AWAKE
    assert awake.sentence == "kept awake by alice@contoso.example until 2026-11-25 15:00 UTC: demo"
    assert awake.until == utc("2026-11-25T15:00")


def test_a_keep_awake_lengthens_the_day_and_ends_when_it_is_revoked() -> None:
    longer = keep_awake("2026-11-25T18:00", "2026-11-25T23:00")
    nights = sleep()
    assert wish(nights, "2026-11-25T22:00", longer).until == utc("2026-11-25T23:00")
    assert wish(nights, "2026-11-25T22:00", longer).stretch == utc("2026-11-25T06:00"), "the same day goes on"
    revoked = keep_awake("2026-11-25T18:00", "2026-11-25T23:00", revoked_at=utc("2026-11-25T21:00"), revoked_by="bob")
    assert wish(nights, "2026-11-25T22:00", revoked).stretch == utc("2026-11-25T21:00")


def test_only_the_target_that_is_kept_awake_stays_so_with_what_it_stands_on() -> None:
    nights = sleep()
    web = next(each for each in nights.resources if each.name == "main/web")
    held = keep_awake("2026-11-25T20:00", "2026-11-25T23:00", target=web.target.upper())
    at = utc("2026-11-25T22:00")
    wants = {each.name: nights.timeline(each, [held], Memory(), at, at).wish(at, "").want for each in nights.resources}
    awake = {name for name, want in wants.items() if want is Want.AWAKE}
    assert awake == {"main/web", "main/work", "erp", "erp/r1", "erp/r2"}


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("[workers, web, workers]", "has workers twice, so that it would wait for itself"),
        ("[pools, web]", "has pools before web, which stands on it"),
        ("[web, cluster, pools]", "has cluster before pools, which stands on it"),
        ("[postgres, workers]", "has postgres before workers, which stands on it"),
    ],
)
def test_an_order_in_which_steps_would_wait_for_each_other_is_refused(order: str, said: str) -> None:
    with pytest.raises(EstateInvalidError, match=said):
        sleep(NIGHTS + f"  order: {order}\n")
