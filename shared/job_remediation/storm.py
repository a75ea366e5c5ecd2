"""Storms: when so much is wrong at once in an environment that single repairs would make it worse."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.job_remediation.signal import Condition, Signal

WINDOW = timedelta(minutes=5)
_FEWEST_TARGETS = 3
"""One or two targets are single faults, however few the environment has."""
_MOST_LISTED = 200
_FORGOTTEN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Member:
    """The declared target that a fault is about.

    kind: as a person would count them, such as `workload`. root: the cluster or server that it hangs on, by its Azure
    resource id. of: how many of its kind the environment has.
    """

    kind: str
    name: str
    root: str
    of: int


@dataclass(frozen=True, slots=True)
class Faulty:
    """A declared target that is faulty since it was told so, by our clock."""

    member: Member
    told: datetime


@dataclass(frozen=True, slots=True)
class Weather:
    """What is wrong in one environment.

    last_told: when each fault, by fingerprint, was last told to have fired, by our clock: what counts is what arrives
        together. Only those of the last 5 minutes, at most 200 or as many as make a storm.
    faulty: the declared targets that are faulty, by the fault's fingerprint.
    signals: how many signals of faults that began arrived since the storm began, or within the window when there is
        none.
    storm_since: since when there is a storm, or was the last one; None when there never was one.
    storm_until: until when nothing is repaired.
    """

    last_told: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    faulty: Mapping[str, Faulty] = field(default_factory=dict[str, Faulty])
    signals: int = 0
    storm_since: datetime | None = None
    storm_until: datetime | None = None

    def is_stormy(self, now: datetime) -> bool:
        """Whether nothing is repaired at that time."""
        return self.storm_until is not None and now < self.storm_until


@dataclass(frozen=True, slots=True)
class Spread:
    """A common cause: so large a share of the targets of one kind is faulty at once that none is repaired singly.

    root: what all of them hang on, by its Azure resource id; empty when they hang on several. names: the faulty ones.
    """

    kind: str
    root: str
    names: tuple[str, ...]
    of: int


def weather_after(
    weather: Weather,
    signal: Signal,
    most_faults: int,
    cool_down: timedelta,
    share: float = 1.0,
    member: Member | None = None,
) -> Weather:
    """What is known after the signal of a fault.

    A storm begins with the fault number `most_faults` within 5 minutes, or when that share (0 to 1) of the declared
    targets of one kind, at least three of them, is faulty at once. It lasts the cool-down beyond the last time that so
    much was told. Copies of one fault are one; what is only told because it explains faults, such as a maintenance, is
    none. `member`: the declared target that the fault is about, if there is one.
    """
    now = signal.received_at
    recent = {key: told for key, told in weather.last_told.items() if told > now - WINDOW}
    faulty = {key: one for key, one in weather.faulty.items() if one.told > now - _FORGOTTEN}
    calm = not weather.is_stormy(now)
    counted = weather.signals + 1 if recent or not calm else 1
    if signal.condition is Condition.FIRED and signal.symptom.is_fault:
        recent[signal.fingerprint] = max(now, recent.get(signal.fingerprint, now))
        if member is not None:
            faulty[signal.fingerprint] = Faulty(member, now)
    listed = max(most_faults, _MOST_LISTED)
    newest = dict(sorted(recent.items(), key=lambda item: (item[1], item[0]))[-listed:])
    known = replace(weather, last_told=newest, faulty=faulty, signals=counted)
    if len(recent) < most_faults and spread_of(known, signal.fingerprint, share) is None:
        return known
    since = now if calm or weather.storm_since is None else weather.storm_since
    until = now + cool_down if calm or weather.storm_until is None else max(weather.storm_until, now + cool_down)
    return replace(known, storm_since=since, storm_until=until)


def weather_without(weather: Weather, fingerprint: str) -> Weather:
    """What is known when a fault is over. A storm goes on: it ends by itself."""
    return replace(weather, faulty={key: one for key, one in weather.faulty.items() if key != fingerprint})


def spread_of(weather: Weather, fingerprint: str, share: float) -> Spread | None:
    """The common cause that a fault belongs to; None while fewer targets of its kind than that share are faulty."""
    own = weather.faulty.get(fingerprint)
    if own is None:
        return None
    alike = {one.member.name: one.member for one in weather.faulty.values() if one.member.kind == own.member.kind}
    if len(alike) < max(_FEWEST_TARGETS, share * own.member.of):
        return None
    roots = {member.root for member in alike.values()}
    return Spread(own.member.kind, roots.pop() if len(roots) == 1 else "", tuple(sorted(alike)), own.member.of)
