"""What is known and accepted: by the estate's own word, and by how a live database was when it was first met. Pure.

Of the faults that came later only warnings become known by themselves (a deleted draft leaves a gap every other day).
An error that the live database began to show stays new, in every drill, until it is gone or the estate accepts it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from shared.backup_verification import anchor_comparison, checks
from shared.backup_verification.books import HASH_CHAIN
from shared.backup_verification.findings import Baseline, Fault, Finding, Severity, finding

if TYPE_CHECKING:
    from shared.estate.policies.backup_verification import BackupVerification

_UNANSWERED = "unanswered"  # what could not be looked at is never known


def known_after(before: Baseline | None, shown: Mapping[str, Sequence[Fault]], mild: frozenset[str]) -> Baseline:
    """What is known of a live database once it has been looked at again; `before` is None at the first look.

    `mild` are the checks whose faults become known whenever they come. What is no longer shown is no longer known.
    """
    known: dict[str, frozenset[str]] = {}
    for check, faults in shown.items():
        keys = frozenset(fault.key for fault in faults if fault.key != _UNANSWERED)
        if before is not None and check not in mild:
            keys &= before.accepted.get(check, frozenset())
        if keys:
            known[check] = keys
    return Baseline(accepted=known)


def news(findings: Sequence[Finding], shown: Mapping[str, Sequence[Fault]], known: Baseline) -> list[Finding]:
    """What a look at a live database shows beyond what is known, as findings of what is new only."""
    fresh: list[Finding] = []
    for each in findings:
        if faults := known.new(each.check, shown.get(each.check, ())):
            complaint = each.message.partition(":")[0]
            fresh.append(finding(each.check, each.severity, complaint, each.explanation, faults))
    return fresh


def with_declared(known: Baseline, policy: "BackupVerification", tenant: str, today: date) -> Baseline:
    """The baseline for a copy: what is known, and what the estate accepts for that tenant on that day."""
    reasons = {
        _named(each.check): f"{each.why} (until {each.until.isoformat()}: {name})"
        for name, each in policy.accepted.items()
        if today <= each.until and (not each.tenants or tenant in each.tenants)
    }
    spelled = {check: reasons[_named(check)] for check in _ALL if _named(check) in reasons}
    spelled |= {f"assertion: {name}": reasons[key] for name in policy.assertions if (key := _named(name)) in reasons}
    return known.model_copy(update={"whole": known.whole | spelled.keys(), "reasons": {**known.reasons, **spelled}})


def _named(check: str) -> str:
    """A check's name however it is spelled: `hash chain`, `hash-chain`, `assertion: trial-balance`."""
    return re.sub(r"[^a-z0-9]+", " ", check.lower()).strip().removeprefix("assertion ")


_ALL: tuple[str, ...] = (HASH_CHAIN, *(check.name for check in checks.ALL), *anchor_comparison.CHECKS)
MILD = frozenset(check.name for check in checks.ALL if check.severity in {Severity.NOTE, Severity.WARNING})
"""The checks whose faults become known whenever a live database shows them."""
