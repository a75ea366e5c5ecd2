"""Where a run stands, kept in the state container, so that whoever goes on with it knows; and who may go on with it."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.blob_container import BlobAlreadyExistsError, BlobChangedError, BlobContainer, BlobNotFoundError
from shared.storage_tiering.answers import GOOD, Outcome
from shared.storage_tiering.worklist import Step, WorkList

_EXAMPLES = 50


class Tally(BaseModel):
    """So many blobs and bytes; money of what was done."""

    blobs: int = 0
    bytes: int = 0
    saved_a_month: float = 0.0
    cost: float = 0.0


class Left(BaseModel):
    """A step that was not done, and why."""

    name: str
    version: str | None = None
    snapshot: str | None = None
    wanted: str
    outcome: Outcome
    code: str = ""


class Progress(BaseModel):
    """How far a run is: all parts before the one with number `part` are settled."""

    model_config = ConfigDict(extra="forbid")

    digest: str
    part: int = 0
    done: bool = False
    stopped: str = ""
    """Why it was stopped before its end."""

    tallies: dict[Outcome, Tally] = {}
    codes: dict[str, int] = {}
    """The service's error codes, and how often each came."""

    busy: dict[str, int] = {}
    """The answers after which the service was asked again, and how often each came."""

    examples: list[Left] = []
    batches: int = 0
    """Requests sent with changes, the repeated ones included."""

    looks: int = 0
    """Requests sent to look at blobs again before they are changed."""

    begun_at: AwareDatetime
    updated_at: AwareDatetime

    def count(self, step: Step, outcome: Outcome, code: str) -> Left | None:
        """Count how a step ended; returns it as left when it was not done."""
        tally = self.tallies.setdefault(outcome, Tally())
        tally.blobs += 1
        tally.bytes += step.size
        if outcome in GOOD:
            tally.saved_a_month += step.saved_a_month
            tally.cost += step.cost
            return None
        if code:
            self.codes[code] = self.codes.get(code, 0) + 1
        left = Left(
            name=step.name,
            version=step.version,
            snapshot=step.snapshot,
            wanted=step.to or "delete",
            outcome=outcome,
            code=code,
        )
        if len(self.examples) < _EXAMPLES:
            self.examples.append(left)
        return left

    def count_requests(self, batches: int, looks: int, busy: Mapping[str, int]) -> None:
        """Count requests, and the answers that meant to come again."""
        self.batches += batches
        self.looks += looks
        for code, times in busy.items():
            self.busy[code] = self.busy.get(code, 0) + times

    def blobs(self, *outcomes: Outcome) -> int:
        """How many steps ended in one of these ways; in any way when none is named."""
        return sum(tally.blobs for outcome, tally in self.tallies.items() if not outcomes or outcome in outcomes)

    @property
    def sentence(self) -> str:
        """For people."""
        said = [f"{tally.blobs:,} {outcome}" for outcome, tally in sorted(self.tallies.items()) if tally.blobs]
        return ", ".join(said) or "nothing done yet"


def load(state: BlobContainer, work: WorkList, now: datetime) -> Progress:
    """Where the run of that list stands; at its beginning when it never began."""
    try:
        return Progress.model_validate_json(state.read(_name(work)).data)
    except BlobNotFoundError:
        return Progress(digest=work.digest, begun_at=now, updated_at=now)


def find(state: BlobContainer, work: WorkList) -> Progress | None:
    """Where the run of that list stands, None when it never began."""
    try:
        return Progress.model_validate_json(state.read(_name(work)).data)
    except BlobNotFoundError:
        return None


def save(state: BlobContainer, work: WorkList, progress: Progress) -> None:
    """Keep it. Only the holder of the account's claim does that, so the last one to write knows most."""
    _write(state, _name(work), progress.model_dump_json().encode())


def save_left(state: BlobContainer, work: WorkList, part: int, left: list[Left]) -> None:
    """Keep the steps of a part that were not done, every one of them."""
    if left:
        lines = "\n".join(one.model_dump_json() for one in left)
        _write(state, f"{work.folder}/left/{part:05}.jsonl", lines.encode())


def read_left(state: BlobContainer, work: WorkList) -> list[Left]:
    """Every step that was not done."""
    found: list[Left] = []
    for facts in state.list(f"{work.folder}/left/"):
        found += [Left.model_validate_json(line) for line in state.read(facts.name).data.splitlines()]
    return found


class Claim(BaseModel):
    """Who changes the blobs of an account now, and until when nobody else does."""

    holder: str = ""
    until: AwareDatetime


class ClaimLostError(Exception):
    """Somebody else may be changing the account's blobs: go no further."""


class AccountClaim:
    """The right to change the blobs of one account: one holder over all processes, so that budgets are the account's
    and a message that is delivered twice changes nothing twice. It lasts `lasting` from each renewal on.

    A holder that dies keeps it until then: by that time the service has done or dropped what was still on its way.
    """

    def __init__(
        self, state: BlobContainer, account: str, holder: str, lasting: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._state, self._name, self._holder = state, f"tiering/accounts/{account}.json", holder
        self._lasting, self._clock = lasting, clock
        self._until: datetime | None = None

    def take(self) -> datetime | None:
        """Take or renew it; None when that was done, else until when another one has it."""
        now = self._clock()
        wanted = Claim(holder=self._holder, until=now + self._lasting).model_dump_json().encode()
        try:
            blob = self._state.read(self._name)
        except BlobNotFoundError:
            blob = None
        if blob is not None:
            known = Claim.model_validate_json(blob.data)
            if known.holder not in ("", self._holder) and known.until > now:
                return known.until
        try:
            if blob is None:
                self._state.create(self._name, wanted)
            else:
                self._state.replace(self._name, wanted, blob.etag)
        except (BlobAlreadyExistsError, BlobChangedError):
            return now + self._lasting
        self._until = now + self._lasting
        return None

    def check(self) -> None:
        """Raises ClaimLostError when it has ended: before each request that changes something."""
        if self._until is None or self._clock() >= self._until:
            raise ClaimLostError("the claim on the account has ended: whoever holds it now goes on")

    def renew(self) -> None:
        """Renew it when a third has passed; raises ClaimLostError when another one has it."""
        if self._until is not None and self._until - self._clock() > self._lasting * 2 / 3:
            return
        if self.take() is not None:
            raise ClaimLostError("another process took over the account")

    def release(self) -> None:
        """Give it back, if it still is ours."""
        if self._until is None:
            return
        self._until = None
        blob = self._state.read(self._name)
        if Claim.model_validate_json(blob.data).holder == self._holder:
            free = Claim(until=self._clock()).model_dump_json().encode()
            try:
                self._state.replace(self._name, free, blob.etag)
            except BlobChangedError:
                return


def _name(work: WorkList) -> str:
    return f"{work.folder}/progress.json"


def _write(state: BlobContainer, name: str, data: bytes) -> None:
    while True:
        try:
            known = state.read(name)
        except BlobNotFoundError:
            known = None
        try:
            if known is None:
                state.create(name, data)
            else:
                state.replace(name, data, known.etag)
        except (BlobAlreadyExistsError, BlobChangedError):
            continue
        return
