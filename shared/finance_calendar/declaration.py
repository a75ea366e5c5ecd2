"""The `calendar:` section of the estate. These models are its only definition.

Field errors carry the path of the field that is wrong, cross-references included. All sentences are checked here.
A file loader must hand times and dates over as text or as `datetime.date`; "18:00" without quotes is a number in
YAML 1.1 and is refused with that explanation.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, LiteralString, Self, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from shared.finance_calendar.business_days import check_holiday_source
from shared.finance_calendar.days import month_and_day_of, parse_days, parse_exception, parse_year_end
from shared.finance_calendar.offsets import parse_offset, problem_of_pair
from shared.finance_calendar.rules import parse_rule
from shared.finance_calendar.sentences import SentenceError, nearest_of

DEFAULT_REGION = "default"


class Kind(StrEnum):
    """What an event does: capacity (peak), changes (freeze), service levels (tighten)."""

    PEAK = "peak"
    FREEZE = "freeze"
    TIGHTEN = "tighten"


def _wrong(problem: str) -> PydanticCustomError:
    return PydanticCustomError("finance_calendar", "{problem}", {"problem": problem})


def _at(path: tuple[str | int, ...], problem: str, value: object) -> InitErrorDetails:
    return InitErrorDetails(type=_wrong(problem), loc=path, input=value)


def _text(value: object) -> object:
    """YAML reads 2027-02-01 as a date and 18:00 as 1080: the first is meant, the second is asked back."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int) and not isinstance(value, bool) and 60 <= value <= 24 * 60:
        time = f"{value // 60:02}:{value % 60:02}"
        raise _wrong(f'{value} is not text; if the time {time} is meant, put it in quotes: "{time}"')
    return value


def _checked(check: Callable[[str], object]) -> AfterValidator:
    def checked(value: str) -> str:
        try:
            check(value)
        except SentenceError as error:
            raise _wrong(str(error)) from None
        return " ".join(value.split())

    return AfterValidator(checked)


def _zone(value: str) -> None:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SentenceError(
            f'"{value}" is not a time zone of the IANA database{nearest_of(value, available_timezones())}'
        ) from None


def _again(error: ValidationError, skip: int = 0) -> list[InitErrorDetails]:
    return [
        InitErrorDetails(
            type=PydanticCustomError(
                cast(LiteralString, found["type"]), "{problem}", {"problem": found["msg"], **found.get("ctx", {})}
            ),
            loc=found["loc"][skip:],
            input=found["input"],
        )
        for found in error.errors()
    ]


def _one_or_many(value: object, validate: ValidatorFunctionWrapHandler) -> Any:
    """A single value stands for a list of one; its errors are at the field, not at an item that nobody wrote."""
    if isinstance(value, list | tuple):
        return validate(value)
    try:
        return validate((value,))
    except ValidationError as error:
        raise ValidationError.from_exception_data(error.title, _again(error, skip=1)) from None


def _fiscal_year(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_fiscal_year(value: str) -> None:
    if not re.fullmatch(r"\d{4}|(this|previous) fiscal year", value):
        raise SentenceError(f'"{value}" is no fiscal year; write 2026, "this fiscal year" or "previous fiscal year"')


Text = Annotated[str, BeforeValidator(_text, json_schema_input_type=str)]
RuleText = Annotated[Text, _checked(parse_rule)]
OffsetText = Annotated[Text, _checked(parse_offset)]
DaysText = Annotated[Text, _checked(parse_days)]
ExceptionText = Annotated[Text, _checked(parse_exception)]
YearStartText = Annotated[Text, _checked(month_and_day_of)]
YearEndText = Annotated[str, _checked(parse_year_end)]
HolidaySource = Annotated[str, _checked(check_holiday_source)]
TimeZone = Annotated[str, _checked(_zone)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
Weekday = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
FiscalYearText = Annotated[
    str, BeforeValidator(_fiscal_year, json_schema_input_type=int | str), _checked(_check_fiscal_year)
]
Kinds = Annotated[
    tuple[Kind, ...], Field(max_length=3), WrapValidator(_one_or_many, json_schema_input_type=Kind | list[Kind])
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class BusinessDays(_Model):
    """Which days are business days: no weekend, no holiday of any source, plus own changes.

    A source is a country, "DE", a country and its subdivision, "DE-BY", or a financial centre's calendar such as
    "ECB" (TARGET), "FED" (Federal Reserve) or "NYSE", all as the library `holidays` knows them. Several sources:
    a day must be open in all of them.
    """

    holidays: Annotated[
        tuple[HolidaySource, ...], WrapValidator(_one_or_many, json_schema_input_type=str | list[str])
    ] = ()
    closed: tuple[DaysText, ...] = Field(default=(), description="Own closing days, added to the holidays.")
    open: tuple[DaysText, ...] = Field(default=(), description="Business days in spite of a holiday or weekend.")
    weekend: tuple[Weekday, ...] | None = Field(
        default=None,
        max_length=6,
        description="By default that of the holiday sources, else Saturday and Sunday.",
    )


class FiscalYear(_Model):
    """Twelve months from a day of the year on, or a 52/53-week year in 4-4-5, 4-5-4 or 5-4-4 weeks.

    The 53rd week belongs to the last period. A year is named after the calendar year in which it ends (`named_after:
    end`) or starts; for weekly years the month that `ends` names counts, not the odd day over.
    """

    starts: YearStartText | None = Field(default=None, description='For example "1 April"; by default 1 January.')
    pattern: Literal["4-4-5", "4-5-4", "5-4-4"] | None = None
    ends: YearEndText | None = Field(
        default=None, description='"last Saturday of January" or "Saturday nearest the end of January"; with a pattern.'
    )
    named_after: Literal["end", "start"] = "end"

    @field_validator("ends")
    @classmethod
    def _fits(cls, ends: str | None, info: ValidationInfo) -> str | None:
        pattern, starts = info.data.get("pattern"), info.data.get("starts")
        if pattern and ends is None:
            raise _wrong(f'a {pattern} year needs `ends`, such as "Saturday nearest the end of January"')
        if ends is not None and "pattern" in info.data and not pattern:
            raise _wrong("`ends` is for a 52/53-week year; add `pattern: 4-4-5`, or say `starts` alone")
        if ends is not None and starts is not None:
            raise _wrong("`starts` and `ends` exclude each other; a 52/53-week year has `pattern` and `ends`")
        return ends


class Region(BusinessDays):
    """A part of a group: its business days and, where they differ from the calendar's, time zone and fiscal year."""

    time_zone: TimeZone | None = None
    fiscal_year: FiscalYear | None = None


class Event(_Model):
    """A peak, a freeze, a tightening, or several at once: by rule (`when`), or once (`from` and `to` as dates).

    The window goes from `from` to `to`, relative to the anchor day that `when` names. Without a time, `from` is the
    beginning of its day and `to` the end of it; without both, the window is the anchor day. `to` itself is outside.
    Business days, time zone and fiscal year are those of the event's region. An event of several regions happens in
    each; one without region uses the calendar's own business days and concerns everybody.
    """

    title: str = Field(default="", max_length=200)
    when: Annotated[tuple[RuleText, ...], WrapValidator(_one_or_many, json_schema_input_type=str | list[str])] = ()
    begins: OffsetText | None = Field(default=None, alias="from")
    ends: OffsetText | None = Field(default=None, alias="to")
    region: Annotated[tuple[Name, ...], WrapValidator(_one_or_many, json_schema_input_type=str | list[str])] = ()
    time_zone: TimeZone | None = None
    keeps_documents_of: Annotated[
        tuple[FiscalYearText, ...], WrapValidator(_one_or_many, json_schema_input_type=int | str | list[int | str])
    ] = Field(default=(), description="Fiscal years whose documents stay at hand during the window (audits).")
    kinds: Kinds = ()
    exceptions: tuple[ExceptionText, ...] = Field(
        default=(), alias="except", description='Occurrences to leave out, by anchor day, range or period ("2026-12").'
    )
    since: date | None = Field(default=None, description="First anchor day.")
    until: date | None = Field(default=None, description="Last anchor day.")

    @field_validator("begins")
    @classmethod
    def _begins_somewhere(cls, begins: str | None, info: ValidationInfo) -> str | None:
        if "when" not in info.data or begins is None:
            return begins
        absolute = parse_offset(begins).day is not None
        if info.data["when"] and absolute:
            raise _wrong('`from` is a date, but `when` is a rule; say "-2 business days", or leave `when` out')
        if not info.data["when"] and not absolute:
            raise _wrong('without `when`, `from` must be a date such as "2027-02-01"; or add `when`')
        return begins

    @field_validator("ends")
    @classmethod
    def _ends_after_beginning(cls, ends: str | None, info: ValidationInfo) -> str | None:
        if "begins" not in info.data or ends is None:
            return ends
        if problem := problem_of_pair(parse_offset(info.data["begins"] or "00:00"), parse_offset(ends)):
            raise _wrong(problem)
        return ends

    @field_validator("kinds")
    @classmethod
    def _does_something(cls, kinds: tuple[Kind, ...], info: ValidationInfo) -> tuple[Kind, ...]:
        if not kinds and not info.data.get("keeps_documents_of", True):
            raise _wrong("the event does nothing; give one or more of peak, freeze, tighten, or `keeps_documents_of`")
        return tuple(sorted(set(kinds), key=list(Kind).index))

    @field_validator("until")
    @classmethod
    def _until_after_since(cls, until: date | None, info: ValidationInfo) -> date | None:
        since = info.data.get("since")
        if until and since and until < since:
            raise _wrong(f"`until` is before `since` ({since}); there would be no occurrence")
        return until

    @model_validator(mode="after")
    def _happens(self) -> Self:
        missing: list[InitErrorDetails] = []
        if not self.when and self.begins is None:
            missing.append(_at(("when",), "say `when` it happens, or give dates as `from` and `to`", None))
        elif self.ends is None and parse_offset(self.begins or "00:00").amount > 0:
            missing.append(_at(("to",), "the window would end on the anchor day, before it begins; add `to`", None))
        if missing:
            raise ValidationError.from_exception_data(type(self).__name__, missing)
        return self


class Subscription(_Model):
    """A calendar that somebody else keeps: an ICS file in the package or a blob, read by the caller.

    Its events count when one of their categories is in `kinds` (upper or lower case does not matter). In answers the
    event's name is the subscription's. Times without zone and whole days are of `time_zone`.
    """

    ics: str = Field(min_length=1, description="Path in the package, or blob://container/name.ics")
    kinds: dict[Annotated[str, Field(min_length=1)], Annotated[Kinds, Field(min_length=1)]] = Field(min_length=1)
    region: Annotated[tuple[Name, ...], WrapValidator(_one_or_many, json_schema_input_type=str | list[str])] = ()
    time_zone: TimeZone | None = None


def _reference_errors(declared: dict[str, Any]) -> Iterator[InitErrorDetails]:
    def named(section: str) -> dict[str, Any]:
        value = declared.get(section)
        return cast(dict[str, Any], value) if isinstance(value, dict) else {}

    regions, events = named("regions"), named("events")
    if DEFAULT_REGION in regions:
        yield _at(("regions", DEFAULT_REGION), "this name is taken by `business_days`; choose another", None)
    for section in ("events", "subscriptions"):
        for name, entry in named(section).items():
            if section == "subscriptions" and name in events:
                yield _at((section, name), "an event has the same name; answers could not tell them apart", None)
            used = cast(dict[str, object], entry).get("region") if isinstance(entry, dict) else None
            for index, region in enumerate(cast(list[object], used) if isinstance(used, list) else [used]):
                if isinstance(region, str) and region not in regions:
                    path = (section, name, "region", index) if isinstance(used, list) else (section, name, "region")
                    known = f"; declared: {', '.join(map(str, regions))}" if regions else "; none is declared"
                    yield _at(path, f'no region "{region}" in `regions`{nearest_of(region, regions) or known}', region)


class CalendarDeclaration(_Model):
    """The finance calendar of an estate."""

    time_zone: TimeZone = Field(description='IANA name, such as "Europe/Berlin".')
    business_days: BusinessDays = BusinessDays()
    fiscal_year: FiscalYear = FiscalYear()
    regions: dict[Name, Region] = {}
    events: dict[Name, Event] = {}
    subscriptions: dict[Name, Subscription] = {}

    @model_validator(mode="wrap")
    @classmethod
    def _references(cls, value: Any, validate: ValidatorFunctionWrapHandler) -> Self:
        """Reports references to what is not declared together with all other errors, each at its own field."""
        wrong = list(_reference_errors(cast(dict[str, Any], value))) if isinstance(value, dict) else []
        try:
            declared = validate(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(error.title, [*_again(error), *wrong]) from None
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return declared
