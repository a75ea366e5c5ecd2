"""Many signals, one fault: duplicates, storms of one fault, and signals that come late or in the wrong order.

What is known of a fault is the newest time up to which something was told for each condition, so the order of arrival
does not matter: any order and any count of copies ends in the same knowledge. Only whether a *begin* was seen on the
way depends on the order, and a fault never begins on the word of a signal that a resolution has outdated.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.job_remediation.signal import Condition, Signal

_MOST_ALERTS = 100


class Verdict(StrEnum):
    """What a signal means for whoever remedies the fault."""

    BEGINS = "begins"
    """The fault is new, or back: start."""

    CONTINUES = "continues"
    """The fault is known to be there: nothing to do."""

    ENDS = "ends"
    """The fault is over: stop, or only verify."""

    OUTDATED = "outdated"
    """It speaks of a time before a resolution that is known: nothing to do."""

    UNKNOWN = "unknown"
    """It resolves what was never told: remember it, nothing to do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is known of one fault. Times are aware UTC, by the senders' clocks.

    fired_until, resolved_until: the newest time of which it was told that the fault is there, or not.
    began_at: since when it is there this time, as far as known; None when it is not there.
    occurrences: how often it began.
    fired, resolved: how many signals told either, copies included.
    alert_ids: the alerts of this occurrence, to be closed in Azure when it is over; at most 100.
    """

    fingerprint: str
    fired_until: datetime | None = None
    resolved_until: datetime | None = None
    began_at: datetime | None = None
    occurrences: int = 0
    fired: int = 0
    resolved: int = 0
    alert_ids: frozenset[str] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether the newest word is that it is there. Told both for one instant, it is not."""
        if self.fired_until is None:
            return False
        return self.resolved_until is None or self.fired_until > self.resolved_until


def collapse(fault: Fault, signal: Signal) -> tuple[Fault, Verdict]:
    """What is known after the signal, and what the signal means. Raises ValueError for another fault's signal."""
    if signal.fingerprint != fault.fingerprint:
        raise ValueError(f"signal {signal.fingerprint} is not about fault {fault.fingerprint}: look up its own fault")
    if signal.condition is Condition.FIRED:
        known = replace(fault, fired=fault.fired + 1, fired_until=_latest(fault.fired_until, signal.as_of))
    else:
        known = replace(fault, resolved=fault.resolved + 1, resolved_until=_latest(fault.resolved_until, signal.as_of))
    return _compared(fault, known, signal)


def end(fault: Fault, at: datetime) -> Fault:
    """What is known when the remediation has concluded at that time, by a verified repair or by handing it to a human.

    For what no sender ever resolves: what fired up to then is dealt with, what fires later begins anew.
    """
    known = replace(fault, resolved_until=_latest(fault.resolved_until, at))
    return known if known.is_open else replace(known, began_at=None)


def _compared(before: Fault, known: Fault, signal: Signal) -> tuple[Fault, Verdict]:
    if not known.is_open:
        known = replace(known, began_at=None)
        if before.is_open:
            return known, Verdict.ENDS
        was_told = signal.condition is Condition.FIRED or before.fired_until is not None
        return known, Verdict.OUTDATED if was_told else Verdict.UNKNOWN
    if signal.condition is Condition.RESOLVED:
        # A resolution between two firings: the remedy goes on, for what is there now.
        began_at = known.fired_until if _is_outdated(known, before.began_at) else before.began_at
        return replace(known, began_at=began_at), Verdict.OUTDATED
    if _is_outdated(known, signal.as_of):
        return known, Verdict.OUTDATED
    if before.is_open:
        alert_ids = _with(before.alert_ids, signal.alert_id)
        began_at = min(signal.as_of, before.began_at or signal.as_of)
        return replace(known, began_at=began_at, alert_ids=alert_ids), Verdict.CONTINUES
    alert_ids = _with(frozenset(), signal.alert_id)
    begun = replace(known, began_at=signal.as_of, occurrences=known.occurrences + 1, alert_ids=alert_ids)
    return begun, Verdict.BEGINS


def _is_outdated(known: Fault, time: datetime | None) -> bool:
    return time is not None and known.resolved_until is not None and time <= known.resolved_until


def _latest(one: datetime | None, other: datetime) -> datetime:
    return other if one is None or other > one else one


def _with(alert_ids: frozenset[str], alert_id: str | None) -> frozenset[str]:
    if alert_id is None or len(alert_ids) >= _MOST_ALERTS:
        return alert_ids
    return alert_ids | {alert_id.casefold()}
