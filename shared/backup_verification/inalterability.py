"""Odoo's inalterability hash: the chain that a posted journal entry is sealed into.

Recomputed here from plain values, so that neither Odoo nor its database is needed. The recipe, in four versions:

| version | written by | fields of the entry | fields of a line | money as text |
|---|---|---|---|---|
| 1 | 16 (2022) and before | date, journal, company | debit, credit, account, partner | shortest float |
| 2 | 16 (early 2023) | and name | and name | shortest float |
| 3 | 16 (from 2023), 17 | as 2 | as 2 | fixed decimals of the line's own currency |
| 4 | 18, 19 | as 2 | as 2 | as 3; stored with the prefix `$4$` |

Each digest is the SHA-256 of the previous digest of the chain (hexadecimal, empty for the first entry) followed by a
JSON object of texts with sorted keys. Versions 1 to 3 chain a journal by `secure_sequence_number`; version 4 chains
each `sequence_prefix` of a journal by `sequence_number`, and goes on from that prefix's last entry of any version.

Versions 1 and 2 print the float that the server held when it posted, which may be 5.1000000000000005 where the
database keeps 5.10: such an entry can never be verified again although nobody touched it.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

LATEST_VERSION = 4


class Line(NamedTuple):
    """The values of a journal item that the hash covers; `currency_decimals` are those of the line's currency."""

    id: int
    name: str | None
    debit: Decimal | float
    credit: Decimal | float
    account_id: int | None
    partner_id: int | None
    currency_decimals: int


class Entry(NamedTuple):
    """The values of a journal entry that the hash covers. The lines may come in any order."""

    name: str | None
    date: date
    journal_id: int
    company_id: int | None
    lines: Sequence[Line]


def digest(entry: Entry, version: int, previous: str = "") -> str:
    """The entry's digest (64 hexadecimal digits) after `previous`, which may be a digest or its stored form."""
    return sha256((hexadecimal(previous) + _sealed_text(entry, version)).encode("ascii")).hexdigest()


def stored_form(digest: str, version: int) -> str:
    """What Odoo keeps in `account_move.inalterable_hash`."""
    return f"${version}${digest}" if version >= 4 else digest


def hexadecimal(stored: str) -> str:
    """The digest within a stored form: only this goes into the next entry's hash."""
    return stored.rpartition("$")[2]


def possible_versions(stored: str) -> tuple[int, ...]:
    """The versions that can have written this stored form, newest first: up to version 3 it does not say."""
    if stored.startswith("$"):
        version = stored.split("$")[1]
        return (int(version),) if version.isdecimal() and int(version) <= LATEST_VERSION else ()
    return (3, 2, 1)


def matching_version(entry: Entry, previous: str, stored: str) -> int | None:
    """The version under which the entry still has its stored hash; None when it was altered or cannot be verified."""
    wanted = hexadecimal(stored)
    return next((version for version in possible_versions(stored) if digest(entry, version, previous) == wanted), None)


def _sealed_text(entry: Entry, version: int) -> str:
    """The JSON object, written key by key in sorted order: several times faster than a dictionary and `json.dumps`."""
    with_names = version >= 2
    fields = [f'"company_id":"{_text(entry.company_id)}","date":"{entry.date}","journal_id":"{entry.journal_id}"']
    for line in sorted(entry.lines, key=_key):
        key = f'"line_{line.id}_'
        if version >= 3:
            credit = f"{float(line.credit):.{line.currency_decimals}f}"
            debit = f"{float(line.debit):.{line.currency_decimals}f}"
        else:
            credit, debit = str(float(line.credit)), str(float(line.debit))
        name = f'{key}name":{_quoted(line.name)},' if with_names else ""
        fields.append(
            f'{key}account_id":"{_text(line.account_id)}",{key}credit":"{credit}",{key}debit":"{debit}",'
            f'{name}{key}partner_id":"{_text(line.partner_id)}"'
        )
    if with_names:
        fields.append(f'"name":{_quoted(entry.name)}')
    return "{" + ",".join(fields) + "}"


def _key(line: Line) -> str:
    return f"{line.id}_"  # keys sort as text: line_10_ comes after line_100_


def _text(value: int | None) -> str:
    return "False" if value is None else str(value)


def _quoted(value: str | None) -> str:
    return '"False"' if value is None else encode_basestring_ascii(value)
