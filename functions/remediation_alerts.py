"""Closing an alert in Azure after a verified repair: an afterthought that never holds up, undoes or hides the repair.

An alert that stays open swallows the next fault of its rule: Azure Monitor tells nothing new while it is fired. What
Azure Monitor has resolved, or a person has closed, is left alone. What could not be closed is tried again by the poll.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from functions import intake_steps
from functions import remediation_steps as steps
from functions.change_execution import services
from shared.changes.ports import Entry
from shared.job_remediation import register
from shared.job_remediation.actions import AUTOMATION

_LOG = logging.getLogger("closekeeper.job_remediation")
_DUE = "remediation/closings/"
_DONE = "remediation/closed/"


class Closed(StrEnum):
    """What became of an alert."""

    CLOSED = "closed"
    RESOLVED = "resolved"
    """Azure Monitor found itself that its condition holds no more."""
    BY_ANOTHER = "closed-by-another"
    GONE = "gone"
    """Azure keeps alerts for 30 days."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The alerts of a remediation that are to be closed. `failed`: what Azure said when it could not be done."""

    fingerprint: str
    occurrence: int
    comment: str
    at: datetime
    alert_ids: tuple[str, ...]
    failed: str = ""

    @property
    def remediation(self) -> str:
        """The id of the remediation."""
        return register.remediation_id(self.fingerprint, self.occurrence)

    @property
    def key(self) -> str:
        """Its name in the store."""
        return f"{self.fingerprint}-{self.occurrence:06}"


def close_after(told: "steps.Conclusion") -> None:
    """Close the alerts of a remediation that ended as fixed; what that does not work for, the poll does again."""
    from shared.platforms import alerts

    if told.outcome is not steps.Outcome.FIXED:
        return
    known = register.look_up(steps.store(), told.fingerprint)
    if known.fault.occurrences != told.occurrence:
        return  # it is back, and its alerts are those of the new occurrence
    ids = tuple(sorted(alert_id for alert_id in known.fault.alert_ids if alerts.is_alert(alert_id)))
    if not ids:
        return
    comment = (
        f"Closekeeper: {told.decision.says} {' '.join(told.tried)} Verified at {told.at.isoformat(timespec='seconds')}."
        f" {steps.known_id(told)}"
    )
    closing = Closing(told.fingerprint, told.occurrence, comment, told.at, ids)
    if steps.store().get(_DONE + closing.key, Closing) is None:
        steps.store().create(_DUE + closing.key, Closing, closing)
        _close(closing)


def close_due() -> list[str]:
    """Try again what could not be closed; returns what still cannot, one sentence each."""
    return [said for closing in steps.store().all(_DUE, Closing) if (said := _close(closing))]


def _close(closing: Closing) -> str:
    """Close all its alerts; returns what is in the way, empty when all is done. Twice is once."""
    from azure.core.exceptions import AzureError

    from shared.platforms import alerts

    left: list[str] = []
    for alert_id in closing.alert_ids:
        try:
            became = _close_one(alert_id, closing.comment[: alerts.LONGEST_COMMENT])
        except AzureError as error:
            left.append(f"{alert_id}: {str(error).partition(chr(10))[0]}")
        else:
            _record(closing, alert_id, became)
    if not left:
        steps.store().create(_DONE + closing.key, Closing, closing)
        intake_steps.state().delete(f"{_DUE}{closing.key}.json")
        return ""
    said = "; ".join(left)
    _LOG.warning("alerts of %s could not be closed: %s", closing.remediation, said)
    if not closing.failed:
        _record_failure(closing, said)
    steps.store().update(_DUE + closing.key, Closing, lambda kept: replace(kept or closing, failed=said))
    return f"{closing.remediation}: {said}"


def _close_one(alert_id: str, comment: str) -> Closed:
    from shared.platforms import alerts

    alert = alerts.get(alert_id)
    if alert is None:
        return Closed.GONE
    if alert.condition == "Resolved":
        return Closed.RESOLVED
    if alert.state == "Closed":  # by us, when the answer was lost or this comes twice
        return Closed.CLOSED if comment in alerts.comments(alert_id) else Closed.BY_ANOTHER
    alerts.close(alert_id, comment)
    return Closed.CLOSED


def _record(closing: Closing, alert_id: str, became: Closed) -> None:
    body: dict[str, object] = {"alert": alert_id, "became": became, "remediation": closing.remediation}
    if became is Closed.CLOSED:
        body["comment"] = closing.comment
    _entry(closing, "alert_closed", alert_id, body)


def _record_failure(closing: Closing, said: str) -> None:
    body: dict[str, object] = {
        "alerts": list(closing.alert_ids),
        "failed": said,
        "remediation": closing.remediation,
        "next": "tried again by the poll; the repair stands",
    }
    _entry(closing, "alert_not_closed", "alerts", body)


def _entry(closing: Closing, kind: str, what: str, body: dict[str, object]) -> None:
    signal = register.look_up(steps.store(), closing.fingerprint).signal
    services().recorder.record(
        Entry(
            automation=AUTOMATION,
            kind=kind,
            subject=f"{closing.remediation}:{what.rpartition('/')[2]}",
            time=closing.at,
            environment=signal.environment,
            tenant=signal.tenant,
            body=body,
        )
    )
