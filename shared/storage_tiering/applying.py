"""Carrying out a work list: a slice at a time, many batches at once, resumable wherever it was cut off."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

from shared.blob_container import BlobContainer
from shared.storage_tiering import answers, checkpoint
from shared.storage_tiering.answers import Outcome
from shared.storage_tiering.checkpoint import AccountClaim, Progress
from shared.storage_tiering.sending import Sender, Settled
from shared.storage_tiering.worklist import Step, WorkList, read_part

_QUEUED_FOR_EACH = 2
_RENEW_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Slice:
    """How much is done now. `stopped` says why nothing more may be begun, empty while it may."""

    requests_at_once: int
    until: datetime
    stopped: Callable[[], str]
    clock: Callable[[], datetime]


def carry_on(state: BlobContainer, work: WorkList, sender: Sender, claim: AccountClaim, now: Slice) -> Progress:
    """Go on with the list from where it stands until it is done, time is up, or it is stopped; returns where it then
    stands. The claim must be taken.

    What an earlier delivery did without being able to say so is seen when the blobs are looked at again.
    Raises WorkListDamagedError, RefusedAltogetherError and ClaimLostError.
    """
    progress = checkpoint.load(state, work, now.clock())
    progress.stopped = ""
    with ThreadPoolExecutor(max_workers=now.requests_at_once) as pool:
        while not progress.done and now.clock() < now.until:
            progress.done = progress.part >= len(work.parts)
            if progress.done:
                break
            run = _PartRun(sender, pool, claim, now)
            steps = read_part(state, work.parts[progress.part])
            settled = run.settle(steps)
            left = [one for one in (progress.count(s.step, s.outcome, s.code) for s in settled) if one is not None]
            checkpoint.save_left(state, work, progress.part, left)
            progress.stopped = run.stopped
            if not progress.stopped:
                progress.part += 1
                progress.done = progress.part >= len(work.parts)
            progress.count_requests(*sender.counted.taken())
            progress.updated_at = now.clock()
            checkpoint.save(state, work, progress)
            if progress.stopped:
                break
    return progress


class _PartRun:
    """One part on its way: blobs are looked at, batches of them sent by the pool while the next are looked at."""

    def __init__(self, sender: Sender, pool: ThreadPoolExecutor, claim: AccountClaim, now: Slice) -> None:
        self._sender, self._pool, self._claim, self._now = sender, pool, claim, now
        self._pending: set[Future[list[Settled]]] = set()
        self._settled: list[Settled] = []
        self.stopped = ""

    def settle(self, steps: Sequence[Step]) -> list[Settled]:
        """Settle the steps; fewer than all when it was `stopped`."""
        clear = [step for step in steps if answers.addressable(step.name)]
        self._settled += [
            Settled(s, Outcome.REFUSED, "NotAddressable") for s in steps if not answers.addressable(s.name)
        ]
        try:
            self._claim.renew()
            for batch in self._sender.in_batches(self._still_wanted(clear)):
                self.stopped = self._now.stopped()
                if self.stopped:
                    break
                self._pending.add(self._pool.submit(self._sender.settle, batch))
                self._collect(_QUEUED_FOR_EACH * self._now.requests_at_once)
            self._collect(0)
        finally:
            for one in self._pending:
                one.cancel()
        return self._settled

    def _still_wanted(self, steps: Sequence[Step]) -> Iterator[Step]:
        for ready, settled in self._sender.look(steps):
            self._settled += settled
            yield from ready

    def _collect(self, most_pending: int) -> None:
        """Collect answers until so few batches are on their way; the claim is kept alive meanwhile."""
        while len(self._pending) > most_pending:
            ended, self._pending = wait(self._pending, timeout=_RENEW_SECONDS, return_when=FIRST_COMPLETED)
            self._claim.renew()
            for one in ended:
                self._settled += one.result()
