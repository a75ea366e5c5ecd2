"""What something is to be at an instant, by the hours of its schedules and what people said. Pure, level-triggered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.changes.overrides import Override
from shared.changes.policy import OverrideKind
from shared.changes.reasons import spell_moment
from shared.shutdown_schedules.hours import Because, Cause, Stretch, joined

LOOK_BACK = timedelta(days=16)
LOOK_AHEAD = timedelta(days=40)


class Want(StrEnum):
    """What something is to be. LEAVE: neither is wanted now, whatever it is stays."""

    AWAKE = "awake"
    ASLEEP = "asleep"
    LEAVE = "leave"


class Why(StrEnum):
    """The rule that decides."""

    NEEDED = "needed"
    WAKE_AHEAD = "wake-ahead"
    NOBODY_NEEDS_IT = "nobody-needs-it"
    PRODUCTION = "production"
    PAUSED = "paused"
    CREATED = "just-created"
    WOKEN_BY_PERSON = "woken-by-a-person"
    MAINTENANCE = "maintenance"
    BUSY = "busy"
    GAVE_UP = "gave-up-for-tonight"
    STOOD_ON = "something-awake-stands-on-it"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted, and why.

    stretch: since when the hours say so; it names the occasion. None: for longer than is looked back.
    until: the next instant at which the hours say something else, None beyond what is looked ahead.
    """

    want: Want
    why: Why
    sentence: str
    stretch: datetime | None
    until: datetime | None

    @property
    def occasion(self) -> str:
        """The same for every tick of the stretch."""
        since = self.stretch.isoformat() if self.stretch else "ever"
        return f"{self.want} since {since}"


def kept_awake(overrides: Iterable[Override], environment: str, target: str | None = None) -> list[Cause]:
    """What people asked to be awake: the environment, or just that target in it."""
    causes: list[Cause] = []
    for each in overrides:
        concerns = each.target is None or (target is not None and each.target.casefold() == target.casefold())
        if each.kind is OverrideKind.KEEP_AWAKE and each.environment == environment and concerns:
            end = min(each.end, each.revoked_at) if each.revoked_at else each.end
            words = f"kept awake by {each.set_by} until {spell_moment(each.end)}: {each.reason}"
            causes.append(Cause(each.start, end, Because.KEEP_AWAKE, words))
    return causes


@dataclass(frozen=True)
class Timeline:
    """When something is to be awake, over the days that are looked at."""

    stretches: Sequence[Stretch]

    @classmethod
    def of(cls, causes: Sequence[Cause], wake_ahead: timedelta) -> "Timeline":
        """The timeline of these causes. Waking begins ahead of what can be foreseen, not of what a person asks for.

        Who would have to be woken before sleep has begun does not sleep at all.
        """
        foreseen = joined(cause for cause in causes if cause.because is not Because.KEEP_AWAKE)
        ahead = [
            Cause(each.start - wake_ahead, each.start, Because.WAKE_AHEAD, each.causes[0].sentence) for each in foreseen
        ]
        return cls(joined([*causes, *ahead]))

    def wish(self, at: datetime, rests_because: str) -> Wish:
        """What is wanted at the instant; `rests_because` are the words for nobody needing it."""
        before: Stretch | None = None
        for stretch in self.stretches:
            if at < stretch.start:
                return _asleep(before, stretch.start, rests_because)
            if at < stretch.end:
                return _awake(stretch, at)
            before = stretch
        return _asleep(before, None, rests_because)

    def transitions(self, start: datetime, end: datetime) -> list[tuple[datetime, Want]]:
        """When waking begins and when it goes to sleep in [start, end), in order."""
        found = [(each.start, Want.AWAKE) for each in self.stretches]
        found += [(each.end, Want.ASLEEP) for each in self.stretches]
        return sorted(each for each in found if start <= each[0] < end)

    def seconds_asleep(self, start: datetime, end: datetime) -> float:
        """Seconds of [start, end) in which nobody needs it."""
        awake = sum(
            (min(each.end, end) - max(each.start, start)).total_seconds()
            for each in self.stretches
            if each.end > start and each.start < end
        )
        return (end - start).total_seconds() - awake


def _awake(stretch: Stretch, at: datetime) -> Wish:
    now = stretch.causes_at(at)
    ahead = all(cause.because is Because.WAKE_AHEAD for cause in now)
    words = "; ".join(
        dict.fromkeys(cause.sentence for cause in now if ahead or cause.because is not Because.WAKE_AHEAD)
    )
    # However long before people come waking begins, it is one occasion: named by their coming.
    coming = min((c.start for c in stretch.causes if c.because is not Because.WAKE_AHEAD), default=stretch.start)
    return Wish(
        want=Want.AWAKE,
        why=Why.WAKE_AHEAD if ahead else Why.NEEDED,
        sentence=f"waking ahead of {spell_moment(now[0].end)}: {words}" if ahead else words,
        stretch=coming,
        until=stretch.end,
    )


def _asleep(before: Stretch | None, until: datetime | None, rests_because: str) -> Wish:
    return Wish(
        want=Want.ASLEEP,
        why=Why.NOBODY_NEEDS_IT,
        sentence=rests_because,
        stretch=before.end if before else None,
        until=until,
    )
