"""From the declaration, and the feeds it subscribes to, to the calendar that answers."""

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from shared.finance_calendar import declaration as declared
from shared.finance_calendar.business_days import BusinessDayCalendar
from shared.finance_calendar.calendar import FinanceCalendar
from shared.finance_calendar.days import month_and_day_of, parse_days, parse_exception, parse_year_end
from shared.finance_calendar.feeds import SubscribedFeed, parse_feed
from shared.finance_calendar.occurrences import DeclaredEvent, EventSource, Region
from shared.finance_calendar.offsets import Offset, parse_offset
from shared.finance_calendar.periods import FiscalCalendar
from shared.finance_calendar.rules import parse_rule
from shared.finance_calendar.sentences import WEEKDAYS


def compile_calendar(
    declaration: declared.CalendarDeclaration, feeds: Mapping[str, bytes] | None = None
) -> FinanceCalendar:
    """The calendar of a valid declaration.

    `feeds`: the ICS content of each subscription, by its name. A subscription without content is left out and named
    in `missing_feeds`. Raises FeedError for content that cannot be used.
    """
    feeds = feeds or {}
    default = Region(
        declared.DEFAULT_REGION,
        _business_days(declaration.business_days),
        _fiscal_calendar(declaration.fiscal_year),
        ZoneInfo(declaration.time_zone),
    )
    regions = {default.name: default}
    for name, region in declaration.regions.items():
        regions[name] = Region(
            name,
            _business_days(region),
            _fiscal_calendar(region.fiscal_year) if region.fiscal_year else default.fiscal,
            ZoneInfo(region.time_zone) if region.time_zone else default.zone,
        )
    sources: list[EventSource] = []
    for name, event in declaration.events.items():
        sources.extend(_events(name, event, regions))
    for name, subscription in declaration.subscriptions.items():
        if name in feeds:
            sources.extend(_feeds(name, subscription, feeds[name], regions))
    return FinanceCalendar(sources, regions, [name for name in declaration.subscriptions if name not in feeds])


def _business_days(days: declared.BusinessDays) -> BusinessDayCalendar:
    weekend = None if days.weekend is None else frozenset(WEEKDAYS.index(day.lower()) for day in days.weekend)
    return BusinessDayCalendar(
        days.holidays, [parse_days(text) for text in days.closed], [parse_days(text) for text in days.open], weekend
    )


def _fiscal_calendar(year: declared.FiscalYear) -> FiscalCalendar:
    after_start = year.named_after == "start"
    if year.pattern and year.ends:
        first, second, third = (int(weeks) for weeks in year.pattern.split("-"))
        return FiscalCalendar((1, 1), (first, second, third), parse_year_end(year.ends), after_start)
    return FiscalCalendar(month_and_day_of(year.starts or "01-01"), named_after_start=after_start)


def _at(names: tuple[str, ...], time_zone: str | None, regions: Mapping[str, Region]) -> Iterator[Region]:
    for name in names or (declared.DEFAULT_REGION,):
        region = regions[name]
        zone = ZoneInfo(time_zone) if time_zone else region.zone
        yield Region(region.name, region.business_days, region.fiscal, zone)


def _events(name: str, event: declared.Event, regions: Mapping[str, Region]) -> Iterator[DeclaredEvent]:
    begins = parse_offset(event.begins) if event.begins else Offset()
    ends = parse_offset(event.ends) if event.ends else Offset(day=begins.day)
    for region in _at(event.region, event.time_zone, regions):
        yield DeclaredEvent(
            name=name,
            title=event.title,
            kinds=frozenset(event.kinds),
            rules=tuple((text, parse_rule(text)) for text in event.when),
            begins=begins,
            ends=ends,
            how=f"from {event.begins or '00:00'} to {event.ends or '24:00'} {region.zone.key}",
            at=region,
            exceptions=tuple(parse_exception(text) for text in event.exceptions),
            since=event.since or DeclaredEvent.since,
            until=event.until or DeclaredEvent.until,
            keeps_documents_of=event.keeps_documents_of,
        )


def _feeds(
    name: str, subscription: declared.Subscription, content: bytes, regions: Mapping[str, Region]
) -> Iterator[SubscribedFeed]:
    kinds = {category.casefold(): frozenset(kinds) for category, kinds in subscription.kinds.items()}
    events = parse_feed(name, content)
    for region in _at(subscription.region, subscription.time_zone, regions):
        yield SubscribedFeed(name, events, kinds, region)
