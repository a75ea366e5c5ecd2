"""Which estate is in force: the newest valid one, wherever it comes from.

A newer one that is invalid, or an origin that cannot be reached, changes nothing but what is told about it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol

from shared.estate.estate import Estate
from shared.estate.loading import load_estate
from shared.estate.problems import EstateInvalidError, Problem


class EstateUnavailableError(Exception):
    """The origin cannot be read now. The message says why and what to do; it holds no secret."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The estate's file as the origin has it, with the ETag to ask again by."""

    content: bytes
    etag: str


class EstateOrigin(Protocol):
    """Where the estate's file is: in the package, or a blob."""

    @property
    def name(self) -> str:
        """What problems call it: a path or an address, without secrets."""
        ...

    def fetch(self, etag: str | None) -> Fetched | None:
        """The file, or None when it still has that ETag. Raises EstateUnavailableError."""
        ...


class EstateKeeper(Protocol):
    """Where a copy of the last good file outlives this process."""

    def load(self) -> bytes | None:
        """The copy, or None when there is none yet. Raises EstateUnavailableError."""
        ...

    def save(self, content: bytes) -> None:
        """Keep this one instead. Raises EstateUnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a newer estate is not in force: its problems, or that the origin cannot be read.

    `since` is aware UTC: when this was first seen here. `etag` is that of the newer file, None when it was not read.
    """

    since: datetime
    what: str
    etag: str | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class EstateInForce:
    """The estate that everything goes by.

    `since`: when it came into force here, `checked`: when the origin was last asked (aware UTC). `kept`: it is the
    copy that was kept of the last good one, because the origin had none when this process began.
    """

    estate: Estate
    since: datetime
    checked: datetime
    kept: bool = False
    fault: Fault | None = None


class EstateSource:
    """Asks the origin at most once in `every`, for all threads. While one asks, the others go on with what is known.

    `keeper` holds a copy of the last good file, so that an instance that starts while the newest is invalid has it too.
    """

    def __init__(
        self, origin: EstateOrigin, keeper: EstateKeeper | None = None, every: timedelta = timedelta(seconds=30)
    ) -> None:
        self._origin, self._keeper, self._every = origin, keeper, every
        self._asking = Lock()
        self._in_force: EstateInForce | None = None
        self._failed: EstateInvalidError | EstateUnavailableError | None = None
        self._etag: str | None = None
        self._next: datetime | None = None
        self._unkept: bytes | None = None

    def current(self, now: datetime) -> EstateInForce:
        """What is in force. `now` is aware.

        Raises EstateInvalidError or EstateUnavailableError while there has never been a good one.
        """
        if self._due(now) and self._asking.acquire(blocking=self._in_force is None):
            try:
                if self._due(now):
                    self._ask(now)
                    self._next = now + self._every
            finally:
                self._asking.release()
        if self._in_force is None:
            raise self._failed or EstateUnavailableError(f"{self._origin.name} was not read yet; try again")
        return self._in_force

    def _due(self, now: datetime) -> bool:
        return self._next is None or now >= self._next

    def _ask(self, now: datetime) -> None:
        self._keep()
        try:
            fetched = self._origin.fetch(self._etag)
        except EstateUnavailableError as error:
            self._stays(now, Fault(now, str(error)), error)
            return
        if fetched is None:
            self._unchanged(now)
            return
        self._etag = fetched.etag
        try:
            estate = load_estate(fetched.content, self._origin.name)
        except EstateInvalidError as error:
            what = f"{self._origin.name} has {len(error.problems)} problems"
            self._stays(now, Fault(now, what, fetched.etag, error.problems), error)
            return
        before = self._in_force
        if before is not None and before.estate.version == estate.version:
            self._in_force = replace(before, checked=now, kept=False, fault=None)
        else:
            self._in_force = EstateInForce(estate, now, now)
        self._unkept = fetched.content
        self._keep()

    def _unchanged(self, now: datetime) -> None:
        """A fault of the file is still there; one of reaching it is over."""
        if self._in_force is not None:
            fault = self._in_force.fault
            still = fault if fault is not None and fault.problems else None
            self._in_force = replace(self._in_force, checked=now, fault=still)

    def _stays(self, now: datetime, fault: Fault, error: EstateInvalidError | EstateUnavailableError) -> None:
        if self._in_force is None:
            self._failed = error
            self._in_force = self._from_keeper(now)
        if self._in_force is not None:
            known = self._in_force.fault
            if known is not None and (known.etag, known.problems) == (fault.etag, fault.problems):
                fault = replace(fault, since=known.since)
            if not fault.problems and known is not None and known.problems:
                fault = known
            self._in_force = replace(self._in_force, checked=now, fault=fault)

    def _from_keeper(self, now: datetime) -> EstateInForce | None:
        try:
            content = self._keeper.load() if self._keeper else None
            estate = load_estate(content, f"the copy kept of {self._origin.name}") if content is not None else None
        except (EstateUnavailableError, EstateInvalidError):
            # The fault of the origin is what people can mend; a copy of a former release may be invalid for this one.
            return None
        return EstateInForce(estate, now, now, kept=True) if estate is not None else None

    def _keep(self) -> None:
        """Keep what is not kept yet; what fails is tried again the next time that the origin is asked."""
        if self._keeper is None or self._unkept is None:
            return
        try:
            self._keeper.save(self._unkept)
        except EstateUnavailableError:
            return
        self._unkept = None
