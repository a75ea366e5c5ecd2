"""What a sender's format says, before it is known when it was received and whose it is; and the signal made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.job_remediation.intake.values import one_line
from shared.job_remediation.places import Places
from shared.job_remediation.signal import Condition, Fact, Severity, Signal, Source, Target, fingerprint
from shared.job_remediation.symptoms import Symptom, symptom_named

_LONGEST_TITLE = 300
_LONGEST_FACT = 500
_LONGEST_NAME = 100
_MOST_FACTS = 60
_MOST_NOTES = 20
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one alert or event says.

    identity: what makes it the same fault, besides the symptom: equal for what fired and for what resolved it, for
        every delivery, and whatever order the sender's lists have.
    labels: what the rule's author or the split by dimensions says, by lower-case name.
    The rest is as in `Signal`.
    """

    source: Source
    condition: Condition
    symptom: Symptom
    title: str
    identity: tuple[str, ...]
    severity: Severity = Severity.WARNING
    target: Target = field(default_factory=Target)
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    alert_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Mapping[str, Fact | None] = field(default_factory=dict[str, Fact | None])
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why something is no signal. `missing` are the fields, as paths, that would have made it one."""

    reason: str
    missing: tuple[str, ...] = ()


type Found = list[Observation | Unreadable]
"""What one item of a delivery holds; never empty."""


def signal_of(observed: Observation, places: Places, received_at: datetime, raw: str) -> Signal:
    """The signal, bounded in size, with its place. A `symptom` among the labels counts before the sender's format."""
    notes = list(observed.notes)
    symptom = observed.symptom
    if named := observed.labels.get("symptom"):
        symptom = symptom_named(named) or symptom
        if symptom_named(named) is None:
            notes.append(f"symptom {named} is not known: taken as {symptom}")
    fired_at = _believable(observed.fired_at, received_at, "time of firing", notes)
    resolved_at = _believable(observed.resolved_at, received_at, "time of resolution", notes)
    if observed.condition is Condition.FIRED and fired_at is None:
        notes.append("no time of firing: taken as received")
        fired_at = received_at
    if observed.condition is Condition.RESOLVED and fired_at is None and resolved_at is None:
        notes.append("no time of resolution: taken as received")
        resolved_at = received_at
    if fired_at and resolved_at and resolved_at < fired_at:
        notes.append("resolved before it fired: the time of firing is taken for both")
        resolved_at = fired_at
    place = places.place_of(observed.target, observed.labels)
    return Signal(
        source=observed.source,
        condition=observed.condition,
        # Not the named symptom: Azure sends a rule's custom properties when it fires, and none when it resolves.
        fingerprint=fingerprint((observed.source, observed.symptom, *observed.identity)),
        symptom=symptom,
        title=one_line(observed.title)[:_LONGEST_TITLE] or symptom.value,
        severity=observed.severity,
        target=observed.target,
        tenant=place.tenant,
        environment=place.environment,
        fired_at=fired_at,
        resolved_at=resolved_at,
        received_at=received_at,
        alert_id=(observed.alert_id or "")[:_LONGEST_FACT] or None,
        facts=_bounded(observed, notes),
        notes=tuple(note[:_LONGEST_FACT] for note in notes[:_MOST_NOTES]),
        raw=raw,
    )


def _believable(time: datetime | None, received_at: datetime, what: str, notes: list[str]) -> datetime | None:
    """A time ahead of our clock would outdate everything that follows, so it is not believed."""
    if time is not None and time > received_at + _CLOCK_SKEW:
        notes.append(f"{what} {time.isoformat()} is in the future: taken as received")
        return received_at
    return time


def _bounded(observed: Observation, notes: list[str]) -> dict[str, Fact]:
    said = [(name, fact) for name, fact in observed.facts.items() if fact is not None]
    said += [(f"label.{name}", text) for name, text in observed.labels.items()]
    if len(said) > _MOST_FACTS:
        notes.append(f"{len(said) - _MOST_FACTS} facts left out")
    return {name[:_LONGEST_NAME]: _short(fact) for name, fact in said[:_MOST_FACTS]}


def _short(fact: Fact) -> Fact:
    return one_line(fact)[:_LONGEST_FACT] if isinstance(fact, str) else fact
