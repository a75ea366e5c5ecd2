"""The hash recipe against a naive reading of its description."""

import hashlib
import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backup_verification import inalterability
from shared.backup_verification.inalterability import Entry, Line

PREVIOUS = "ab" * 32
INVOICE = Entry(
    "INV/2026/00042",
    date(2026, 11, 5),
    journal_id=1,
    company_id=2,
    lines=(
        Line(10, 'Conseil «étranger»\n2ᵉ ligne \\ "citée"', Decimal("0.00"), Decimal("12.50"), 27, 15, 0),
        Line(100, None, Decimal("0"), Decimal("2.5"), 22, None, 3),
        Line(9, "INV/2026/00042", Decimal("15.00"), Decimal("0"), 7, 15, 2),
    ),
)


def naive_digest(entry: Entry, version: int, previous: str) -> str:
    values: dict[str, object] = {"date": entry.date, "journal_id": entry.journal_id, "company_id": entry.company_id}
    if version > 1:
        values["name"] = entry.name
    for line in entry.lines:
        for field in ("debit", "credit"):
            amount = float(getattr(line, field))
            values[f"line_{line.id}_{field}"] = "%.*f" % (line.currency_decimals, amount) if version > 2 else amount  # noqa: UP031
        for field in ("account_id", "partner_id") if version == 1 else ("account_id", "partner_id", "name"):
            values[f"line_{line.id}_{field}"] = getattr(line, field)
    texts = {key: str(False if value is None else value) for key, value in values.items()}
    text = json.dumps(texts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256((previous + text).encode()).hexdigest()


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("previous", ["", PREVIOUS])
def test_every_version_is_the_described_recipe(version: int, previous: str) -> None:
    assert inalterability.digest(INVOICE, version, previous) == naive_digest(INVOICE, version, previous)


money = st.decimals(min_value=0, max_value=10**9, places=3)
lines = st.builds(
    Line,
    id=st.integers(1, 10**6),
    name=st.none() | st.text(),
    debit=money,
    credit=money,
    account_id=st.none() | st.integers(1, 999),
    partner_id=st.none() | st.integers(1, 999),
    currency_decimals=st.sampled_from([0, 2, 3]),
)
entries = st.builds(
    Entry,
    name=st.none() | st.text(),
    date=st.dates(),
    journal_id=st.integers(1, 99),
    company_id=st.none() | st.integers(1, 9),
    lines=st.lists(lines, max_size=6, unique_by=lambda line: line.id),
)


@given(entries, st.sampled_from([1, 2, 3, 4]))
def test_any_entry_has_the_naive_digest(entry: Entry, version: int) -> None:
    assert inalterability.digest(entry, version, PREVIOUS) == naive_digest(entry, version, PREVIOUS)


def test_money_is_printed_with_the_decimals_of_the_transaction_currency() -> None:
    yen = INVOICE._replace(lines=(INVOICE.lines[0]._replace(credit=Decimal("12.40")),))
    rounded_alike = INVOICE._replace(lines=(INVOICE.lines[0]._replace(credit=Decimal("11.60")),))
    assert inalterability.digest(yen, 4) == inalterability.digest(rounded_alike, 4)
    assert inalterability.digest(yen, 2) != inalterability.digest(rounded_alike, 2)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_the_version_is_found_again(version: int) -> None:
    stored = inalterability.stored_form(inalterability.digest(INVOICE, version, PREVIOUS), version)
    assert inalterability.matching_version(INVOICE, PREVIOUS, stored) == version
    assert inalterability.matching_version(INVOICE, inalterability.stored_form(PREVIOUS, 4), stored) == version


@pytest.mark.parametrize(
    "altered",
    [
        INVOICE._replace(name="INV/2026/00043"),
        INVOICE._replace(date=date(2026, 11, 6)),
        INVOICE._replace(lines=INVOICE.lines[:2]),
        INVOICE._replace(lines=(*INVOICE.lines[:2], INVOICE.lines[2]._replace(debit=Decimal("15.01")))),
        INVOICE._replace(lines=(*INVOICE.lines[:2], INVOICE.lines[2]._replace(account_id=8))),
        INVOICE._replace(lines=(*INVOICE.lines[:2], INVOICE.lines[2]._replace(partner_id=None))),
    ],
)
def test_an_altered_entry_matches_no_version(altered: Entry) -> None:
    for version in (3, 4):
        stored = inalterability.stored_form(inalterability.digest(INVOICE, version, PREVIOUS), version)
        assert inalterability.matching_version(altered, PREVIOUS, stored) is None


def test_a_future_version_is_not_guessed() -> None:
    assert inalterability.possible_versions("$5$" + PREVIOUS) == ()
    assert inalterability.possible_versions("$x$" + PREVIOUS) == ()
    assert inalterability.matching_version(INVOICE, "", "$5$" + PREVIOUS) is None
