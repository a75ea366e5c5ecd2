"""Events in the Event Grid schema and as CloudEvents 1.0, also those that Event Grid has given up to deliver.

Sources: azure-docs `event-grid/cloud-event-schema`, `delivery-and-retry` and the pages of each event source.
"""

from dataclasses import replace

from shared.job_remediation.intake.event_types import Event, read_event_type
from shared.job_remediation.intake.observation import Found, Observation, Unreadable
from shared.job_remediation.intake.values import Fields
from shared.job_remediation.signal import Condition, Severity, Source, Target
from shared.job_remediation.symptoms import Symptom

VALIDATION = "microsoft.eventgrid.subscriptionvalidationevent"


def is_event(item: Fields) -> bool:
    """Whether it is meant as an event of either schema."""
    return "eventType" in item or "specversion" in item or ("type" in item and "source" in item)


def is_validation(item: Fields) -> bool:
    """Whether it is the handshake that Event Grid wants answered before it sends events."""
    return (item.text("eventType") or "").casefold() == VALIDATION


def read_event(item: Fields) -> Found:
    """What the event says; of a dead letter also what the event in it says, since nobody has received that."""
    type_ = item.text("eventType", "type")
    source = item.text("topic", "source")
    missing = tuple(path for path, text in (("eventType or type", type_), ("topic or source", source)) if text is None)
    if type_ is None or source is None:
        return [Unreadable("an event that does not say what happened, or where", missing)]
    event = Event(
        type=type_,
        source=source,
        subject=item.text("subject") or "",
        id=item.text("id") or "",
        time=item.time("eventTime", "time"),
        data=item.fields("data"),
    )
    found = read_event_type(event)
    if "deadLetterReason" not in item:
        return [*found] or [Unreadable(f"events of type {type_} are not known, or tell of no fault")]
    return [_dead_letter(item, event), *(replace(one, notes=(*one.notes, "was a dead letter")) for one in found)]


def _dead_letter(item: Fields, event: Event) -> Observation:
    """Same fault: the same type of event from the same source for the same reason."""
    reason = item.text("deadLetterReason") or "unknown"
    return Observation(
        source=Source.EVENT_GRID,
        condition=Condition.FIRED,
        symptom=Symptom.EVENT_DEAD_LETTERED,
        title=f"{event.type} could not be delivered: {reason}",
        identity=(event.type, event.source.rstrip("/"), reason),
        target=Target(resource=event.source),
        fired_at=item.time("lastDeliveryAttemptTime", "publishTime") or event.time,
        facts={
            "event_id": event.id or None,
            "event_type": event.type,
            "subject": event.subject or None,
            "reason": reason,
            "attempts": item.number("deliveryAttempts"),
            "outcome": item.text("lastDeliveryOutcome"),
        },
        severity=Severity.ERROR,
    )
