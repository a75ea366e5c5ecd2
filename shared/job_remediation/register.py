"""The register of faults: what is known of each, kept across restarts and shared by all instances of the app."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from shared.changes.errors import NotKnownError
from shared.changes.state import Store
from shared.job_remediation.collapse import Fault, Verdict, collapse, end
from shared.job_remediation.signal import Signal

FAULTS = "remediation/faults/"
_FORGOTTEN = "remediation/forgotten/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One fault in the register.

    fault: what was told of it. Its counts are of signals that told something new: a copy writes nothing.
    signal: the one that began the newest occurrence; before any began, the first that came.
    begun_at: when that one was received, by our clock.
    begun_by: the user name of the person who told it by hand; empty where a machine did.
    remediated: the newest occurrence whose remediation was started.
    """

    fault: Fault
    signal: Signal
    begun_at: datetime
    begun_by: str = ""
    remediated: int = 0

    @property
    def is_due(self) -> bool:
        """Whether a remediation is to be started: the fault is there, and none was for this occurrence."""
        return self.signal.symptom.is_fault and self.fault.is_open and self.remediated < self.fault.occurrences

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be done about it any more; news never was anything to be done about."""
        return not (self.signal.symptom.is_fault and self.fault.is_open)

    @property
    def remediation(self) -> str:
        """The id of the newest occurrence's remediation, which is its orchestration's instance id."""
        return remediation_id(self.fault.fingerprint, self.fault.occurrences)


def remediation_id(fingerprint: str, occurrence: int) -> str:
    """The id of a remediation: the same fault and occurrence is the same remediation."""
    return f"remediation:{fingerprint}:{occurrence}"


def tell(store: Store, signal: Signal, by: str = "") -> tuple[Known, Verdict]:
    """Enter a signal; returns what is known now, and what the signal meant. Any order and count ends in the same.

    by: the user name of the person who tells it, since nobody may approve what they asked for.
    """
    verdict = Verdict.CONTINUES

    def told(known: Known | None) -> Known:
        nonlocal verdict
        before = known.fault if known else _left_behind(store, signal.fingerprint)
        after, verdict = collapse(before, signal)
        if known is None or verdict is Verdict.BEGINS:
            remediated = known.remediated if known else before.occurrences
            return Known(fault=after, signal=signal, begun_at=signal.received_at, begun_by=by, remediated=remediated)
        if replace(after, fired=before.fired, resolved=before.resolved) == before:
            return known
        return replace(known, fault=after)

    return store.update(FAULTS + signal.fingerprint, Known, told), verdict


def note_started(store: Store, fingerprint: str, occurrence: int) -> None:
    """Remember that the occurrence's remediation was started."""
    _change(store, fingerprint, lambda known: replace(known, remediated=max(known.remediated, occurrence)))


def note_concluded(store: Store, fingerprint: str, occurrence: int, at: datetime) -> Known:
    """Remember that the occurrence's remediation has concluded what fired up to that time; returns what is known then.

    One that is back meanwhile is another remediation's, and stays.
    """

    def concluded(known: Known) -> Known:
        return known if known.fault.occurrences > occurrence else replace(known, fault=end(known.fault, at))

    return _change(store, fingerprint, concluded)


def look_up(store: Store, fingerprint: str) -> Known:
    """What is known of a fault. Raises NotKnownError."""
    known = store.get(FAULTS + fingerprint, Known)
    if known is None:
        raise _unknown(fingerprint)
    return known


def known_faults(store: Store) -> Iterator[Known]:
    """Everything in the register, by fingerprint."""
    return store.all(FAULTS, Known)


def leave_behind(store: Store, known: Known) -> None:
    """Keep the times and the count of a fault that leaves the register, under 400 bytes: a late copy of what was told
    of it stays outdated, and when it comes back its remediation has a number that none had."""
    if known.signal.symptom.is_fault and known.fault.occurrences:
        left = replace(known.fault, alert_ids=frozenset())
        store.update(f"{_FORGOTTEN}{known.fault.fingerprint}", Fault, lambda _: left)


def _left_behind(store: Store, fingerprint: str) -> Fault:
    return store.get(_FORGOTTEN + fingerprint, Fault) or Fault(fingerprint)


def _change(store: Store, fingerprint: str, change: Callable[[Known], Known]) -> Known:
    def changed(known: Known | None) -> Known:
        if known is None:
            raise _unknown(fingerprint)
        return change(known)

    return store.update(FAULTS + fingerprint, Known, changed)


def _unknown(fingerprint: str) -> NotKnownError:
    return NotKnownError(f"no fault {fingerprint} is in the register")
