"""What is remembered of an environment's peaks between two looks. Nothing here decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.changes.change import State
from shared.evidence.canonical import Json
from shared.peak_scaling.readiness import Look

_TOLD_FOR = timedelta(days=120)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A level that a target was held at, from then on."""

    level: State
    since: datetime
    ready: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Held:
    """A target that is held for peaks, from the first look that wanted it until it is given back.

    occasion: names this hold in all of its changes. before: what was found. needs: keys of the peaks that it was held
    for. stretches: its levels, the newest last. edited: a person changed it since; it is left alone. step: how many
    steps of giving back are done, the last at `stepped`. tried, times: the last attempt at the same change, and how
    many there were.
    """

    occasion: str
    since: datetime
    before: State
    needs: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    edited: datetime | None = None
    step: int = 0
    stepped: datetime | None = None
    tried: datetime | None = None
    times: int = 0

    @property
    def level(self) -> State:
        """What it is to be."""
        return self.stretches[-1].level

    @property
    def ready(self) -> datetime | None:
        """Since when it is proven to be so."""
        return self.stretches[-1].ready

    def at(self, level: State, now: datetime) -> "Held":
        """Held at another level from now on."""
        return replace(self, stretches=(*self.stretches, Stretch(level, now)), tried=None, times=0)

    def proven(self, now: datetime) -> "Held":
        """Seen to be real: what was tried has come true, and the next change waits for none of it."""
        real = replace(self.stretches[-1], ready=now)
        return replace(self, stretches=(*self.stretches[:-1], real), tried=None, times=0)


@dataclass(frozen=True, kw_only=True)
class Course:
    """How far one peak is.

    looks, looked: the last readiness report's, and when all but the targets was looked at. quotas: when what may stand
    against it was asked for. begun: when its first target was held. stays: what was held for it, by name of the target,
    until the report is made.
    """

    looks: tuple[Look, ...] = ()
    looked: datetime | None = None
    go: datetime | None = None
    quotas: datetime | None = None
    begun: datetime | None = None
    reported: datetime | None = None
    stays: Mapping[str, Held] = field(default_factory=dict[str, Held])


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What has to be recorded and told. Its time is fixed, so that twice is once."""

    kind: str
    subject: str
    time: datetime
    body: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, kw_only=True)
class Memory:
    """All that is remembered of an environment.

    courses: by key of the peak. told: notices that were given, so that each is given once. measured: seconds that
    scaling took, by name of the target, the newest last. looked_at: when the newest look began.
    """

    held: Mapping[str, Held] = field(default_factory=dict[str, Held])
    courses: Mapping[str, Course] = field(default_factory=dict[str, Course])
    told: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    notices: tuple[Notice, ...] = ()
    measured: Mapping[str, tuple[float, ...]] = field(default_factory=dict[str, tuple[float, ...]])
    looked_at: datetime | None = None

    def without_old(self, now: datetime) -> "Memory":
        """Without what was told long ago, and peaks that are over and reported."""
        told = {key: at for key, at in self.told.items() if now - at < _TOLD_FOR}
        courses = {
            key: course
            for key, course in self.courses.items()
            if course.reported is None or now - course.reported < _TOLD_FOR
        }
        return replace(self, told=told, courses=courses)
