"""Entries that are signed instead of hashed: Portugal's localisation keeps an RSA signature where others keep a hash.

It can be verified only with the company's key, which is not in the ledger's tables. So these entries are counted and
said, and no fault; an entry whose stored form is a digest is judged like any other, in Portugal too.
"""

from collections.abc import Sequence
from typing import LiteralString

from shared.backup_verification.catalogue import Catalogue
from shared.backup_verification.database import Database
from shared.backup_verification.findings import Fault

_SIGNED: LiteralString = r"""
    select m.id from account_move m
    join res_company c on c.id = m.company_id
    join res_country n on n.id = c.account_fiscal_country_id
    where n.code = 'PT' and m.id = any(%s) and m.inalterable_hash !~ '^([$][0-9]+[$])?[0-9a-f]{64}$'"""


def signed_entries(database: Database, catalogue: Catalogue, broken: Sequence[Fault]) -> frozenset[int]:
    """The ids of those entries that fit no hash because they are signed."""
    known = catalogue.has("res_company", "id", "account_fiscal_country_id") and catalogue.has(
        "res_country", "id", "code"
    )
    if not known or not broken:
        return frozenset()
    return frozenset(move for (move,) in database.rows(_SIGNED, [[fault.id for fault in broken]]))
