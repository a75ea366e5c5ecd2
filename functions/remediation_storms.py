"""The weather of each environment: storms, common causes, and the one word about each of them."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import JsonValue

from functions import estate_in_force
from functions.change_execution import services
from shared.changes.errors import NotKnownError
from shared.changes.ports import Entry
from shared.changes.state import to_data
from shared.events import Event
from shared.job_remediation import register
from shared.job_remediation.actions import AUTOMATION
from shared.job_remediation.declared_targets import member_of
from shared.job_remediation.register import Known
from shared.job_remediation.signal import Signal
from shared.job_remediation.storm import Spread, Weather, spread_of, weather_after, weather_without

if TYPE_CHECKING:
    from shared.estate.policies.job_remediation import Storm

_NOWHERE = "unknown-place"
_MOST_LISTED = 100


def note_weather(signal: Signal) -> Weather:
    """Count a fault that begins towards a storm of its environment. Twice is once."""
    estate, policy = estate_in_force.get(), _policy()
    environment = estate.environments.get(signal.environment or "")
    member = member_of(environment, signal) if environment else None
    share = policy.share.of_one

    def after(known: Weather | None) -> Weather:
        return weather_after(known or Weather(), signal, policy.signals, policy.cool_down, share, member)

    return services().store.update(_name(signal.environment), Weather, after)


def note_over(known: Known) -> None:
    """A fault is over, unless it fired again meanwhile: its target is no longer faulty."""
    name = _name(known.signal.environment)
    if not known.fault.is_open and services().store.get(name, Weather) is not None:
        fingerprint = known.fault.fingerprint
        services().store.update(name, Weather, lambda now: weather_without(now or Weather(), fingerprint))


def weather_of(environment: str | None) -> Weather:
    """What is wrong there."""
    return services().store.get(_name(environment), Weather) or Weather()


def common_cause_of(weather: Weather, fingerprint: str) -> Spread | None:
    """What makes a fault one of many with one cause, by the share that the estate in force declares."""
    return spread_of(weather, fingerprint, _policy().share.of_one)


def tell_storm(environment: str | None, weather: Weather) -> None:
    """Record and tell a storm once, with what is known to be wrong by then: instead of each fault."""
    if weather.storm_since is None or weather.storm_until is None:
        return
    at = weather.storm_since
    told = sorted({*weather.last_told, *weather.faulty})
    spread = next((found for one in told if (found := common_cause_of(weather, one))), None)
    body: dict[str, object] = {
        "environment": environment,
        "since": at.isoformat(),
        "until": weather.storm_until.isoformat(),
        "count": len(told),
        "faults": _listed(told),
        **(_cause(spread) if spread else {}),
        "ask": "Look for the common cause. Until the storm is over nothing is repaired.",
    }
    _tell_once(f"storm:{environment or _NOWHERE}:{at.isoformat()}", "Storm", environment, at, body)


def tell_common_cause(known: Known, at: datetime) -> None:
    """Tell a human once of all that has the cause of this fault: instead of one escalation for each."""
    environment, weather = known.signal.environment, weather_of(known.signal.environment)
    spread = common_cause_of(weather, known.fault.fingerprint)
    since = (weather.storm_since or at).isoformat()
    alike = [
        fingerprint
        for fingerprint, faulty in weather.faulty.items()
        if spread is not None and faulty.member.kind == spread.kind
    ]
    body: dict[str, object] = {
        "environment": environment,
        "since": since,
        "count": len(alike),
        "faults": _listed(alike or [known.fault.fingerprint]),
        **(_cause(spread) if spread else {}),
        "ask": "Mend what they have in common. None of them is repaired singly.",
    }
    kind = spread.kind if spread else "target"
    _tell_once(f"common-cause:{environment or _NOWHERE}:{since}:{kind}", "Escalated", environment, at, body)


def _policy() -> "Storm":
    from shared.estate.policies.job_remediation import JobRemediation

    return (estate_in_force.get().job_remediation or JobRemediation()).storm


def _name(environment: str | None) -> str:
    return f"remediation/weather/{environment or _NOWHERE}"


def _cause(spread: Spread) -> dict[str, object]:
    what = f"{len(spread.names)} of {spread.of} declared targets of kind {spread.kind} are faulty at once"
    where = f"; all hang on {spread.root}" if spread.root else ""
    return {"cause": f"{what}{where}", "root": spread.root, "targets": list(spread.names[:_MOST_LISTED])}


def _listed(fingerprints: list[str]) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = []
    for fingerprint in fingerprints[:_MOST_LISTED]:
        try:
            known = register.look_up(services().store, fingerprint)
        except NotKnownError:
            continue
        signal = known.signal
        listed.append(
            {"id": known.remediation, "title": signal.title, "symptom": signal.symptom, "target": str(signal.target)}
        )
    return listed


@dataclass(frozen=True, slots=True)
class _Word:
    """What is told once: as it was first made, so that all who tell it at the same time tell the same."""

    at: datetime
    body: dict[str, JsonValue]
    told: bool = False


def _tell_once(id: str, word: str, environment: str | None, at: datetime, body: dict[str, object]) -> None:
    """It is noted last that it was told: a crash before that tells it again, under the same id."""
    store = services().store
    name = f"remediation/told/{hashlib.sha256(id.encode()).hexdigest()[:32]}"
    store.create(name, _Word, _Word(at, to_data(body)))
    kept = store.get(name, _Word)
    if kept is None or kept.told:
        return
    said: dict[str, object] = {**kept.body}
    services().recorder.record(
        Entry(automation=AUTOMATION, kind="storm", subject=id, time=kept.at, environment=environment, body=said)
    )
    publisher = services().publisher
    if publisher is not None:
        place = f"environments/{environment}/" if environment else ""
        type = f"Closekeeper.JobRemediation.{word}"
        publisher.publish([Event(id=id, type=type, subject=f"{place}storms", time=kept.at, data=said)])
    store.update(name, _Word, lambda now: replace(now or kept, told=True))
