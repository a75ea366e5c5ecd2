"""Sending steps in batches until each is settled: every answer of a batch is read, the busy ones are asked again.

The service knows no condition for a change of tier. So each blob is looked at just before, by listing: that costs one
request for up to 5,000 blobs, shows which ones changed meanwhile, and which ones a delivery has moved that was cut
off. A deletion carries its condition besides.
"""

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.blob_batches import MOST_BYTES, MOST_REQUESTS, Batches, BatchRefusedError, Deed, Deletion, Said, SetTier
from shared.blob_facts import BlobFacts
from shared.storage_tiering import answers
from shared.storage_tiering.answers import Outcome
from shared.storage_tiering.worklist import Step

_TRIES = 8
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_BATCH_END_BYTES = 256


class Looking(Protocol):
    """A look at blobs of one container."""

    def page_from(self, name: str, *, versions: bool) -> list[BlobFacts]:
        """The blobs from that name on, at most as many as one request answers; with `versions` former versions and
        snapshots, too."""
        ...


class RefusedAltogetherError(Exception):
    """The service lets us change nothing here (rights, or the container is gone); the message says what it said."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A step that is over, how, and what the service said about it."""

    step: Step
    outcome: Outcome
    code: str = ""


@dataclass(slots=True)
class Counted:
    """What was asked of the service; shared by the senders of a run."""

    batches: int = 0
    looks: int = 0
    busy: dict[str, int] = field(default_factory=dict[str, int])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, *, batches: int = 0, looks: int = 0, busy: str = "") -> None:
        """Count requests, and an answer that meant to come again."""
        with self.lock:
            self.batches += batches
            self.looks += looks
            if busy:
                self.busy[busy] = self.busy.get(busy, 0) + 1

    def taken(self) -> tuple[int, int, dict[str, int]]:
        """Batches, looks and busy answers since this was last asked."""
        with self.lock:
            taken = self.batches, self.looks, self.busy
            self.batches, self.looks, self.busy = 0, 0, {}
        return taken


_ORDERS: tuple[Callable[[str], bytes], ...] = (
    lambda name: name.encode(),
    lambda name: name.encode("utf-16-be"),
    lambda name: name.replace("/", "\0").encode(),
)


class Brake:
    """One pause for all senders of an account: who is told to come again later speaks for all of them."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock, self._sleep = clock, sleep
        self._until = 0.0
        self._lock = threading.Lock()

    def hold(self, seconds: float) -> None:
        """Nobody sends for so long."""
        with self._lock:
            self._until = max(self._until, self._clock() + seconds)

    def wait(self) -> None:
        """Wait until sending is allowed."""
        while (left := self._until - self._clock()) > 0:
            self._sleep(left)


class Sender:
    """Sends steps of one container. `may_send` raises when nothing more may be changed."""

    def __init__(
        self, batches: Batches, looking: Looking, brake: Brake, counted: Counted, may_send: Callable[[], None]
    ) -> None:
        self._batches, self._looking, self._brake = batches, looking, brake
        self.counted, self._may_send = counted, may_send
        self._refused: RefusedAltogetherError | None = None

    def look(self, steps: Sequence[Step]) -> Iterator[tuple[list[Step], list[Settled]]]:
        """Page by page, which of the steps are still to be made, and how the others are settled."""
        left = {(step.name, step.version, step.snapshot): step for step in steps}
        versions = any(step.version or step.snapshot for step in steps)
        while left:
            ready: list[Step] = []
            settled: list[Settled] = []
            start = min(name for name, _, _ in left)
            page = self._looking.page_from(start, versions=versions)
            self.counted.count(looks=1)
            here = {(facts.name, facts.version, facts.snapshot): facts for facts in page}
            # a step for what is current does not name its version, and where there is versioning it has one
            here |= {(facts.name, None, None): facts for facts in page if facts.current and facts.snapshot is None}
            last = page[-1].name if page else None
            for key in [key for key in left if key in here or _has_passed(key[0], start, last)]:
                step = left.pop(key)
                outcome = answers.outcome_of_facts(step, here.get(key))
                if outcome is None:
                    ready.append(step)
                else:
                    settled.append(Settled(step, outcome))
            yield ready, settled

    def in_batches(self, steps: Iterable[Step]) -> Iterator[list[Step]]:
        """The steps in as few requests as their number and size allow; all of one are of one kind."""
        batch: list[Step] = []
        size = _BATCH_END_BYTES
        for step in steps:
            more = self._batches.size_of(_deed(step))
            full = len(batch) == MOST_REQUESTS or size + more > MOST_BYTES
            if batch and (full or batch[0].is_deletion != step.is_deletion):
                yield batch
                batch, size = [], _BATCH_END_BYTES
            batch.append(step)
            size += more
        if batch:
            yield batch

    def settle(self, batch: Sequence[Step]) -> list[Settled]:
        """Send one batch, and again what was busy, until each step is settled. Raises RefusedAltogetherError."""
        waiting, settled, last = list(batch), list[Settled](), ""
        for tried in range(_TRIES):
            self._brake.wait()
            self._may_send()
            if self._refused is not None:  # another sender was told already
                raise self._refused
            self.counted.count(batches=1)
            again_after: float | None = None
            try:
                said = self._batches.send([_deed(step) for step in waiting])
            except BatchRefusedError as error:
                if not answers.is_busy(error.status):
                    self._refused = RefusedAltogetherError(str(error))
                    raise self._refused from error
                again_after, last = error.again_after, str(error.status or "no answer")
                self.counted.count(busy=last)
                self._pause(tried, again_after)
                # the answer is lost, the effect may be there: what was moved must not be moved again
                pages = list(self.look(waiting))
                waiting = [step for ready, _ in pages for step in ready]
                settled += [one for _, seen in pages for one in seen]
            else:
                waiting, again_after, last = self._sort(waiting, said, settled, last)
                if waiting:
                    self._pause(tried, again_after)
            if not waiting:
                return settled
        return settled + [Settled(step, Outcome.UNANSWERED, last) for step in waiting]

    def _sort(
        self, steps: list[Step], said: Sequence[Said], settled: list[Settled], last: str
    ) -> tuple[list[Step], float | None, str]:
        """Settle what has its answer; the rest, the longest Retry-After, and why the rest has to wait."""
        waiting: list[Step] = []
        again_after: float | None = None
        for step, answer in zip(steps, said, strict=True):
            outcome = answers.outcome_of(answer)
            if outcome is None:
                waiting.append(step)
                last = answer.code or str(answer.status)
                self.counted.count(busy=last)
                if answer.again_after is not None:
                    again_after = max(again_after or 0.0, answer.again_after)
            else:
                settled.append(Settled(step, outcome, answer.code if outcome is not Outcome.DONE else ""))
        return waiting, again_after, last

    def _pause(self, tried: int, again_after: float | None) -> None:
        ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**tried)
        wait = ceiling * random.uniform(0.5, 1)  # noqa: S311 (spreads senders, guards nothing)
        self._brake.hold(wait if again_after is None else again_after)


def _has_passed(name: str, start: str, last: str | None) -> bool:
    """Whether a page from one name to another would have that name if it existed. `last` is None for an empty page.

    The service's order is not documented to the last character: a name is judged only where all likely orders agree
    (code points, UTF-16, folders first as with a hierarchical namespace), else it is looked at by itself.
    """
    return name == start or all(
        order(start) < order(name) and (last is None or order(name) < order(last)) for order in _ORDERS
    )


def _deed(step: Step) -> Deed:
    if not step.is_deletion:
        return SetTier(step.name, step.to, step.version, step.snapshot, step.priority)
    if step.version or step.snapshot:  # what is addressed by its version or snapshot never changes
        return Deletion(step.name, step.version, step.snapshot)
    unmodified_since = None if step.etag else step.modified
    return Deletion(step.name, etag=step.etag, unmodified_since=unmodified_since)
