"""The `calendar:` section: what is accepted, and at which field each error is."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from shared.finance_calendar.declaration import CalendarDeclaration, Kind
from tests.finance_calendar.declared import COMPANY, GROUP


def problems(text: str) -> dict[str, str]:
    """Errors by path, of a declaration that has all that is needed but for `text`."""
    declared: dict[str, Any] = {"time_zone": "Europe/Berlin", **yaml.safe_load(text)}
    with pytest.raises(ValidationError) as found:
        CalendarDeclaration.model_validate(declared)
    return {".".join(str(part) for part in error["loc"]): error["msg"] for error in found.value.errors()}


@pytest.mark.parametrize("text", [COMPANY, GROUP])
def test_what_is_declared_survives_its_own_form(text: str) -> None:
    declared = CalendarDeclaration.model_validate(yaml.safe_load(text))
    again = CalendarDeclaration.model_validate(declared.model_dump(mode="json", by_alias=True))
    assert again == declared


def test_a_time_zone_is_all_that_is_needed() -> None:
    declared = CalendarDeclaration.model_validate({"time_zone": "UTC"})
    assert declared.events == {}
    with pytest.raises(ValidationError):
        CalendarDeclaration.model_validate({})


def test_one_value_stands_for_a_list_of_one() -> None:
    text = "{ when: 15 March, kinds: peak, region: uk, keeps_documents_of: 2026 }"
    many = "{ when: [15 March], kinds: [peak], region: [uk], keeps_documents_of: [2026] }"
    regions: dict[str, Any] = {"uk": {"holidays": "GB-ENG"}}
    one, other = (
        CalendarDeclaration.model_validate(
            {"time_zone": "UTC", "regions": regions, "events": {"close": yaml.safe_load(event)}}
        )
        for event in (text, many)
    )
    assert one == other
    assert one.events["close"].kinds == (Kind.PEAK,)
    assert one.regions["uk"].holidays == ("GB-ENG",)


MALFORMED = [
    ("time_zone: Europe/Berln", "time_zone", 'did you mean "Europe/Berlin"?'),
    ("time_zone: Europe", "time_zone", "not a time zone"),
    ("business_days: { holidays: DE-BX }", "business_days.holidays", 'DE has no subdivision "BX"'),
    ("business_days: { holidays: [DE-BY, XX] }", "business_days.holidays.1", "neither a country"),
    ("business_days: { holidays: NYSEE }", "business_days.holidays", 'did you mean "NYSE"?'),
    ("business_days: { closed: [24 Decembr] }", "business_days.closed.0", 'did you mean "24 december"?'),
    ("business_days: { weekend: [Saturday, Sonntag] }", "business_days.weekend.1", "Input should be"),
    ("fiscal_year: { starts: 31 March }", "fiscal_year.starts", "day 1 to 28"),
    ("fiscal_year: { pattern: 4-4-5 }", "fiscal_year.ends", "a 4-4-5 year needs `ends`"),
    ("fiscal_year: { ends: last Saturday of January }", "fiscal_year.ends", "add `pattern: 4-4-5`"),
    (
        "fiscal_year: { starts: 1 April, pattern: 4-4-5, ends: last Saturday of March }",
        "fiscal_year.ends",
        "exclude each other",
    ),
    ("fiscal_year: { pattern: 4-4-5, ends: last day of March }", "fiscal_year.ends", "is not understood after"),
    ("regions: { default: {} }", "regions.default", "taken by `business_days`"),
    ("regions: { uk: { time_zone: London } }", "regions.uk.time_zone", "not a time zone"),
    ("events: { a: { when: 15 March, kinds: peek } }", "events.a.kinds", "'peak', 'freeze' or 'tighten'"),
    ("events: { a: { when: 15 March } }", "events.a.kinds", "the event does nothing"),
    ("events: { a: { when: 15 Mrch, kinds: peak } }", "events.a.when", 'did you mean "15 march"?'),
    ("events: { a: { when: [15 March, 15], kinds: peak } }", "events.a.when.1", "valid string"),
    ("events: { a: { kinds: peak } }", "events.a.when", "say `when` it happens, or give dates"),
    ("events: { a: { from: -1 day, kinds: peak } }", "events.a.from", "add `when`"),
    ("events: { a: { when: 15 March, from: 2027-01-01, kinds: peak } }", "events.a.from", "`when` is a rule"),
    ("events: { a: { when: 15 March, from: 18:00, kinds: peak } }", "events.a.from", 'put it in quotes: "18:00"'),
    (
        'events: { a: { when: 15 March, from: "20:00", to: "06:00", kinds: peak } }',
        "events.a.to",
        'as in "+1 day 06:00"',
    ),
    ("events: { a: { when: 15 March, from: +2 days, to: +1 day, kinds: peak } }", "events.a.to", "before it begins"),
    ("events: { a: { when: 15 March, from: +2 days, kinds: peak } }", "events.a.to", "add `to`"),
    (
        "events: { a: { when: 15 March, from: +1 day, to: +2 business days, kinds: peak } }",
        "events.a.to",
        "mixed on one side",
    ),
    ("events: { a: { from: 2027-02-01, to: +2 days, kinds: peak } }", "events.a.to", "one end is a date"),
    ("events: { a: { from: 2027-02-01, to: 2027-01-31, kinds: peak } }", "events.a.to", "before it begins"),
    ("events: { a: { when: 15 March, kinds: peak, except: [Q4] } }", "events.a.except.0", '"2026 Q4"'),
    (
        "events: { a: { when: 15 March, kinds: peak, since: 2027-01-01, until: 2026-01-01 } }",
        "events.a.until",
        "before `since`",
    ),
    ("events: { a: { when: 15 March, kinds: peak, region: ukk } }", "events.a.region", "none is declared"),
    (
        "{ regions: { uk: {}, us: {} }, events: { a: { when: 15 March, kinds: peak, region: [uk, usa] } } }",
        "events.a.region.1",
        'did you mean "us"?',
    ),
    ("events: { a: { when: 15 March, kinds: peak, wen: x } }", "events.a.wen", "Extra inputs"),
    ("events: { Month End: { when: 15 March, kinds: peak } }", "events.Month End.[key]", "pattern"),
    ("events: { a: { when: 15 March, keeps_documents_of: soon } }", "events.a.keeps_documents_of", "no fiscal year"),
    ("subscriptions: { a: { ics: a.ics, kinds: {} } }", "subscriptions.a.kinds", "at least 1"),
    ("subscriptions: { a: { ics: a.ics, kinds: { X: [] } } }", "subscriptions.a.kinds.X", "at least 1"),
    (
        "{ subscriptions: { a: { ics: a, kinds: { X: freeze } } }, events: { a: { when: 15 March, kinds: peak } } }",
        "subscriptions.a",
        "same name",
    ),
]


@pytest.mark.parametrize(("text", "path", "message"), MALFORMED, ids=[text for text, _, _ in MALFORMED])
def test_an_error_is_at_its_field_and_says_what_would_be_right(text: str, path: str, message: str) -> None:
    found = problems(text)
    assert list(found) == [path]
    assert message in found[path]


def test_all_errors_come_at_once() -> None:
    found = problems("""
        time_zone: Mars
        business_days: { holidays: XX }
        events:
          a: { when: last working day of month, kinds: [peak], region: nowhere }
          b: { when: 15 March, from: "noon", to: 2027-01-01 }
    """)
    assert set(found) == {
        "time_zone",
        "business_days.holidays",
        "events.a.when",
        "events.a.region",
        "events.b.from",
        "events.b.kinds",
    }


def test_the_schema_for_editors_accepts_both_forms() -> None:
    schema = CalendarDeclaration.model_json_schema()
    when = schema["$defs"]["Event"]["properties"]["when"]
    assert {each.get("type") for each in when["anyOf"]} == {"string", "array"}
    assert set(schema["$defs"]["Event"]["properties"]) >= {"from", "to", "except"}
