"""What grandfather, father and son keep, against a reference that is slow and plain."""

from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.estate.policies.storage_tiering import DocumentClass
from shared.finance_calendar.days import YearEnd
from shared.finance_calendar.periods import FiscalCalendar
from shared.storage_tiering.frames import TIME
from shared.storage_tiering.retention import Retention, series_of
from tests.storage_tiering.world import Planned, blob, rules

NOW = datetime(2028, 3, 1, 3, tzinfo=UTC)
ZONES = ["Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "UTC"]
FISCAL = [
    FiscalCalendar(),
    FiscalCalendar((4, 1)),
    FiscalCalendar((10, 1), named_after_start=True),
    FiscalCalendar(pattern=(4, 4, 5), end=YearEnd(weekday=5, month=1, nearest=True)),
]

counts = st.fixed_dictionaries(
    {name: st.integers(0, 6) for name in ("last", "daily", "weekly", "monthly", "quarterly", "yearly")}
).filter(lambda keep: any(keep.values()))
# Some four years with a leap day, at uneven times; bursts, gaps and whole years without a backup happen.
moments = st.lists(
    st.integers(0, 4 * 366 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)), max_size=60, unique=True
)


def reference(times: Sequence[datetime], keep: dict[str, int], zone: ZoneInfo, fiscal: FiscalCalendar) -> set[datetime]:
    """As the estate's documentation says it: of each span that has a backup the newest, of the newest spans."""
    spans: dict[str, Callable[[date], Hashable]] = {
        "daily": lambda day: day,
        "weekly": lambda day: day.isocalendar()[:2],
        "monthly": lambda day: (day.year, day.month),
        "quarterly": lambda day: fiscal.position(day).quarter.label,
        "yearly": lambda day: fiscal.position(day).year.label,
    }
    newest_first = sorted(times, reverse=True)
    kept = set(newest_first[: keep["last"]])
    for rule, span_of in spans.items():
        seen: set[Hashable] = set()
        for time in newest_first:
            span = span_of(time.astimezone(zone).date())
            if span not in seen and len(seen) < keep[rule]:
                kept.add(time)
            seen.add(span)
    return kept


def kept(
    lots: Sequence[Sequence[datetime]], keep: dict[str, int], zone: ZoneInfo, fiscal: FiscalCalendar
) -> set[datetime]:
    retention = Retention(DocumentClass.model_validate({"keep": keep}), zone, fiscal, NOW)
    for lot in lots:
        rows = [(f"dumps/{time.isoformat()}", "dumps/*", time) for time in lot]
        retention.add(
            pl.DataFrame(rows, schema={"unit": pl.String, "series": pl.String, "created": TIME}, orient="row")
        )
    judged = retention.close()
    return set() if judged is None else set(judged.filter(pl.col("keeps_until").is_not_null())["created"].to_list())


@given(times=moments, keep=counts, zone=st.sampled_from(ZONES), fiscal=st.sampled_from(FISCAL))
@settings(max_examples=300, deadline=None)
def test_it_keeps_exactly_what_the_definition_says(
    times: list[datetime], keep: dict[str, int], zone: str, fiscal: FiscalCalendar
) -> None:
    assert kept([times], keep, ZoneInfo(zone), fiscal) == reference(times, keep, ZoneInfo(zone), fiscal)


@given(times=moments, keep=counts, cut=st.integers(0, 60))
@settings(max_examples=100, deadline=None)
def test_what_a_stream_keeps_does_not_depend_on_how_it_is_cut(
    times: list[datetime], keep: dict[str, int], cut: int
) -> None:
    zone, fiscal = ZoneInfo("Europe/Berlin"), FISCAL[1]
    survivors = sorted(kept([times[:cut]], keep, zone, fiscal))
    assert kept([[*survivors, *times[cut:]]], keep, zone, fiscal) == kept([times], keep, zone, fiscal)


@given(times=moments, keep=counts, zone=st.sampled_from(ZONES))
@settings(max_examples=100, deadline=None)
def test_pruning_every_day_ends_where_pruning_once_ends(times: list[datetime], keep: dict[str, int], zone: str) -> None:
    """What was deleted on an earlier day would not be wanted on a later one."""
    alive: set[datetime] = set()
    for time in sorted(times):
        alive = kept([[*alive, time]], keep, ZoneInfo(zone), FISCAL[0])
    assert alive == kept([times], keep, ZoneInfo(zone), FISCAL[0])


def test_a_day_begins_at_midnight_of_the_zone() -> None:
    times = [datetime(2028, 2, 28, 23, 30, tzinfo=UTC), datetime(2028, 2, 29, 12, tzinfo=UTC)]
    keep = dict.fromkeys(("last", "weekly", "monthly", "quarterly", "yearly"), 0) | {"daily": 5}
    assert kept([times], keep, ZoneInfo("Europe/Berlin"), FISCAL[0]) == {times[1]}
    assert kept([times], keep, ZoneInfo("UTC"), FISCAL[0]) == set(times)


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("dumps/contoso_2026-11-22.dump", "dumps/contoso_*.dump"),
        ("dumps/contoso_20261122T031500Z.dump.gz", "dumps/contoso_*.dump.gz"),
        ("dumps/2026/contoso-2026.11.22-03.15.dump", "dumps/2026/contoso-*.dump"),
        ("dumps/2026-11-22/contoso.dump", "dumps/*/contoso.dump"),
        ("dumps/2026-11-22/contoso-2026-11-22_0315.dump", "dumps/*/contoso-*.dump"),
        ("dumps/company-12345678.dump", "dumps/company-12345678.dump"),
        ("dumps/company-99991231.dump", "dumps/company-99991231.dump"),
        ("dumps/buchhaltung-münchen-2026-02-29.dump", "dumps/buchhaltung-münchen-*.dump"),
    ],
)
def test_a_series_has_one_name_but_for_its_dates(name: str, series: str) -> None:
    assert pl.select(series_of(pl.lit(name))).item() == series


def test_every_database_is_a_series_of_its_own() -> None:
    account = rules({"backup": {"keep": {"last": 1}}})
    blobs = [blob(f"backup/{name}_2026-11-{22 - age:02}.dump", age) for name in ("a", "b") for age in range(5)]
    assert Planned(account, blobs).deleted == {
        f"{name}_2026-11-{day}.dump" for name in "ab" for day in (18, 19, 20, 21)
    }


def test_a_folder_is_one_backup() -> None:
    account = rules({"backup": {"keep": {"each": "folder", "last": 2}}})
    blobs = [
        blob(f"backup/db/2026-11-{22 - age:02}/{part}", age + part / 1000) for age in range(4) for part in range(3)
    ]
    planned = Planned(account, blobs, batch=2)
    assert planned.deleted == {f"db/2026-11-{day}/{part}" for day in (19, 20) for part in range(3)}


def test_the_last_backup_of_a_fiscal_year_is_kept_as_long_as_the_law_says() -> None:
    account = rules({"backup": {"keep": {"last": 1}, "kept_by_law": "10y"}}, fiscal=FiscalCalendar((4, 1)))
    blobs = [
        blob(f"backup/db_{day}.dump", created=at, modified=at)
        for day in ("2014-03-30", "2014-03-31", "2025-03-30", "2025-03-31", "2025-04-01", "2026-11-20", "2026-11-21")
        for at in [datetime.fromisoformat(f"{day}T12:00Z")]
    ]
    # The year that ended in March 2014 is over for ten years; 2025-04-01 is the last of the next year.
    assert Planned(account, blobs).deleted == {
        "db_2014-03-30.dump", "db_2014-03-31.dump", "db_2025-03-30.dump", "db_2026-11-20.dump",
    }  # fmt: skip
