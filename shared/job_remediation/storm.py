"""Storms: when so many different faults are told at once that single repairs would make it worse."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.job_remediation.signal import Condition, Signal

WINDOW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Weather:
    """The faults that were told lately in one environment.

    last_told: when each fault, by fingerprint, was last told to have fired, by our clock: what counts is what arrives
        together. No more are kept than make a storm.
    signals: how many signals arrived, copies included, since the storm began, or within the window when there is none.
    storm_since: since when there is a storm; None when there is none.
    storm_until: until when nothing is repaired.
    """

    last_told: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    signals: int = 0
    storm_since: datetime | None = None
    storm_until: datetime | None = None

    def is_stormy(self, now: datetime) -> bool:
        """Whether nothing is repaired at that time."""
        return self.storm_until is not None and now < self.storm_until


def weather_after(weather: Weather, signal: Signal, most_faults: int, cool_down: timedelta) -> Weather:
    """What is known after the signal. A storm begins with the fault number `most_faults` within 5 minutes.

    It lasts the cool-down beyond the last time that so many were told. Copies of one fault are one; what is only told
    because it explains faults, such as a maintenance, is none.
    """
    now = signal.received_at
    recent = {key: told for key, told in weather.last_told.items() if told > now - WINDOW}
    calm = not weather.is_stormy(now)
    counted = weather.signals + 1 if recent or not calm else 1
    if signal.condition is Condition.FIRED and signal.symptom.is_fault:
        recent[signal.fingerprint] = max(now, recent.get(signal.fingerprint, now))
    newest = dict(sorted(recent.items(), key=lambda item: (item[1], item[0]))[-most_faults:])
    since, until = (None, None) if calm else (weather.storm_since, weather.storm_until)
    if len(recent) >= most_faults:
        since, until = since or now, max(until or now, now + cool_down)
    return Weather(newest, counted, since, until)
