"""What a copy has lost or changed since an anchor of its live database. Pure.

Two rules, by what the copy itself says. Always: nothing that only grows may have shrunk, and nothing that is closed may
have changed. And when the copy holds no write that is newer than the anchor's newest, it must be what the anchor saw.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from shared.backup_verification.anchors import Anchor, Chain
from shared.backup_verification.entries import Period
from shared.backup_verification.findings import NOTHING_ACCEPTED, Accepted, Baseline, Fault, Finding, Severity, finding


class _Rule(NamedTuple):
    severity: Severity
    complaint: str
    explanation: str


_RULES: Mapping[str, _Rule] = {
    "identity": _Rule(
        Severity.CRITICAL,
        "another database came back",
        "Odoo's database.uuid is the one of the live database.",
    ),
    "newest writes": _Rule(
        Severity.CRITICAL,
        "the newest writes are missing in",
        "No table ends earlier than it did when the anchor was taken.",
    ),
    "chain heads": _Rule(
        Severity.CRITICAL,
        "sealed entries are missing, or others, in",
        "Every chain has at least as many sealed entries up to its anchored head, and that head is the same.",
    ),
    "closed periods": _Rule(
        Severity.CRITICAL,
        "closed periods that have changed",
        "What is booked in a month that was locked when the anchor was taken is the same, to the last line.",
    ),
    "open periods": _Rule(
        Severity.CRITICAL,
        "periods that have changed without a write",
        "Nothing was written since the anchor, so what is booked is the same.",
    ),
    "open items": _Rule(
        Severity.ERROR,
        "open items that have changed without a write, in",
        "Nothing was written since the anchor, so what is to be reconciled is the same.",
    ),
    "tables": _Rule(
        Severity.ERROR,
        "tables that have changed without a write",
        "Nothing was written since the anchor, so every row is the same.",
    ),
    "schema": _Rule(
        Severity.ERROR,
        "missing or defined otherwise",
        "Every column, index, constraint, trigger and view of the live database is there. A changed set of module "
        "versions excuses it.",
    ),
    "modules": _Rule(
        Severity.ERROR,
        "modules that are not as they were",
        "What was installed is installed, in the same version.",
    ),
    "sequences": _Rule(
        Severity.ERROR,
        "sequences that are missing or have gone back",
        "No sequence stands before where it stood: numbers would be given out twice.",
    ),
    "crons": _Rule(
        Severity.ERROR,
        "scheduled actions that are no longer active",
        "Odoo switches a failing cron off without a trace; the anchor remembers which were active.",
    ),
    "jobs": _Rule(
        Severity.ERROR,
        "queue jobs that are not as they were",
        "Nothing was written since the anchor, so no job has come, gone, or changed its state.",
    ),
    "companies": _Rule(
        Severity.CRITICAL,
        "companies that are missing",
        "Every company of the live database is there.",
    ),
    "users": _Rule(
        Severity.ERROR,
        "users who can no longer log in",
        "Whoever was active is active.",
    ),
    "collation and extensions": _Rule(
        Severity.WARNING,
        "not as on the live server",
        "Extensions and the collation's version are those of the live server.",
    ),
}
CHECKS = tuple(f"anchor: {name}" for name in _RULES)
"""The names of the comparisons, as their findings have them."""
EXPLANATIONS = {f"anchor: {name}": rule.explanation for name, rule in _RULES.items()}
"""What must hold, by the name of the comparison."""


def compare(anchor: Anchor, copy: Anchor, baseline: Baseline = NOTHING_ACCEPTED) -> list[Finding]:
    """What is wrong with a copy. `copy` was taken of it with `up_to=anchor`."""
    return [
        finding(name, rule.severity, rule.complaint, rule.explanation, new)
        for name, rule, faults in _judged(anchor, copy)
        if (new := baseline.new(name, faults))
    ]


def accepted(anchor: Anchor, copy: Anchor, baseline: Baseline) -> list[Accepted]:
    """What would be wrong with a copy, and is accepted."""
    known = (baseline.known(name, rule.complaint, faults) for name, rule, faults in _judged(anchor, copy))
    return [each for each in known if each is not None]


def _judged(anchor: Anchor, copy: Anchor) -> list[tuple[str, _Rule, list[Fault]]]:
    return [(f"anchor: {name}", _RULES[name], faults) for name, faults in _faults(anchor, copy).items()]


def unchanged_since(anchor: Anchor, copy: Anchor) -> bool:
    """Whether the copy holds no write that is newer than the anchor's newest."""
    return (copy.newest_write or anchor.taken_at) <= (anchor.newest_write or anchor.taken_at)


def _faults(anchor: Anchor, copy: Anchor) -> dict[str, list[Fault]]:
    # What was digested in another way can be compared by what it adds up to only.
    alike = anchor.digests == copy.digests
    ledger, still_open = ("ledger", "open") if alike else ("debit", "lines")
    found = {
        "identity": _named([str(copy.database_uuid)] if copy.database_uuid != anchor.database_uuid else []),
        "newest writes": _named(
            _older(table, at, copy.newest_writes.get(table)) for table, at in anchor.newest_writes.items()
        ),
        "chain heads": _chains(anchor, copy),
        "closed periods": _periods(anchor, copy, closed=True, part=ledger),
        "modules": _named(_changed(anchor.modules, copy.modules)),
        "schema": _named(_changed(anchor.schema_objects, copy.schema_objects))
        if anchor.modules == copy.modules or unchanged_since(anchor, copy)
        else [],
        "sequences": _named(
            name for name, last in anchor.sequences.items() if copy.sequences.get(name, last - 1) < last
        ),
        "crons": [
            Fault(cron, name, str(cron)) for cron, name in anchor.active_crons.items() if cron not in copy.active_crons
        ],
        "companies": [
            Fault(company, f"company {company}", str(company))
            for company in anchor.companies
            if company not in copy.companies
        ],
        "users": [
            Fault(user, f"user {user}", str(user)) for user in anchor.active_users if user not in copy.active_users
        ],
        "collation and extensions": _named(
            [
                *_changed(anchor.extensions, copy.extensions),
                *(["collation"] if anchor.collation_version != copy.collation_version else []),
            ]
        ),
    }
    if unchanged_since(anchor, copy):
        found["open periods"] = _periods(anchor, copy, closed=False, part=ledger)
        found["open items"] = _periods(anchor, copy, closed=None, part=still_open)
        found["tables"] = _named(
            f"{name} ({table.rows} rows, {there.rows if there else 'none'} came back)"
            for name, table in anchor.tables.items()
            if (there := copy.tables.get(name)) is None or there.rows != table.rows or (alike and there != table)
        )
        found["jobs"] = _named(
            f"{state}: {copy.jobs.get(state, 0)} instead of {anchor.jobs.get(state, 0)}"
            for state in sorted(anchor.jobs.keys() | copy.jobs.keys())
            if copy.jobs.get(state, 0) != anchor.jobs.get(state, 0)
        )
    elif anchor.jobs and not copy.jobs:
        found["jobs"] = _named(["all of them are gone"])
    return found


def _named(names: Iterable[str | None]) -> list[Fault]:
    return [Fault(None, name, name) for name in names if name is not None]


def _older(table: str, anchored: datetime, there: datetime | None) -> str | None:
    if there is None:
        return f"{table} (none is there, the newest was of {anchored.isoformat()})"
    return f"{table} ({there.isoformat()} instead of {anchored.isoformat()})" if there < anchored else None


def _changed(anchored: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    return [name for name, value in anchored.items() if there.get(name) != value]


def _chains(anchor: Anchor, copy: Anchor) -> list[Fault]:
    there = {(chain.journal, chain.prefix): chain for chain in copy.chains}
    faults: list[Fault] = []
    for head in anchor.chains:
        chain = there.get((head.journal, head.prefix))
        if chain is None or chain.count < head.count or (chain.number, chain.hash) != (head.number, head.hash):
            name = f"{head.prefix or 'no prefix'} of journal {head.journal} ({_difference(head, chain)})"
            faults.append(Fault(head.journal, name, f"{head.journal}:{head.prefix}"))
    return faults


def _difference(head: Chain, chain: Chain | None) -> str:
    if chain is None:
        return f"all {head.count} are missing"
    if chain.count < head.count:
        return f"{head.count - chain.count} of {head.count} are missing"
    return f"number {head.number} is not the one that was sealed"


def _periods(anchor: Anchor, copy: Anchor, *, closed: bool | None, part: str) -> list[Fault]:
    """Months whose digest of that part changed. A month that is in the copy only has changed as well."""
    before = {_place(period): period for period in anchor.periods}
    after = {_place(period): period for period in copy.periods}
    faults: list[Fault] = []
    for place in sorted(before.keys() | after.keys()):
        one, other = before.get(place), after.get(place)
        known = one or other
        if known is None or (closed is not None and known.closed is not closed):
            continue
        if getattr(one, part, None) != getattr(other, part, None):
            company, month, state = place
            lines = f"{one.lines if one else 0} lines, {other.lines if other else 0} came back"
            faults.append(
                Fault(company, f"{month} of company {company}, {state} ({lines})", f"{company}:{month}:{state}")
            )
    return faults


def _place(period: Period) -> tuple[int, str, str]:
    return period.company, period.month, period.state
