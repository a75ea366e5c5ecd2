"""Blob containers: a work list carried out. Facts: `folder` and `work`, the list's place and digest once it is done.

Applying only begins: the list is carried out slice by slice when it is polled, so that no function runs for long, and
a slice that is delivered twice, or cut off, is done once. Between the batches of a slice it is looked whether the
stop switch, a pause or a freeze forbids to go on.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from functions import estate_in_force
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Toll
from shared.platforms import blobs, settings, storage_accounts
from shared.storage_tiering import checkpoint, worklist
from shared.storage_tiering.worklist import WorkList

if TYPE_CHECKING:
    from shared.blob_container import BlobContainer
    from shared.estate.inventory.storage import StorageAccount
    from shared.estate.policies.storage_tiering import StorageTiering
    from shared.storage_tiering.checkpoint import Progress

KIND = "blob-container"
AUTOMATION = "storage_tiering"
_SLICE = timedelta(seconds=90)
_LOOK_WHETHER_STOPPED_SECONDS = 2.0
_SHORTEST_LOOK = timedelta(seconds=1)


def target_of(account_id: object, container: str) -> str:
    """The resource id of a container."""
    return f"{account_id}/blobServices/default/containers/{container}"


class BlobContainers:
    """See `shared.changes.ports.Adapter`. One for each action: `tier`, `delete` and `rehydrate`."""

    def tolls(self, change: Change) -> Sequence[Toll]:
        """None: the account's claim and its requests at once are its budget."""
        return ()

    def read_state(self, change: Change) -> State:
        """Whether the list was carried out to its end."""
        progress = checkpoint.find(_state(), _work(change))
        done = progress is not None and progress.done and progress.digest == change.after["work"]
        return dict(change.after) if done else dict.fromkeys(change.after)

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """Begin; nothing is changed yet."""
        account, policy = _declared(change)
        if change.action == "delete" and policy.deletions.recoverable_only:
            facts = storage_accounts.get(str(account.id))
            if facts is None or not (facts.soft_delete or facts.versioning):
                return Acted(Act.FAILED, detail=f"{account.id} no longer keeps what is deleted: switch soft delete on")
        return Acted(Act.RUNNING, operation=_work(change).folder, again_after=timedelta())

    def poll(self, change: Change, operation: str) -> Acted:
        """Carry out a slice."""
        from shared.storage_tiering.checkpoint import ClaimLostError
        from shared.storage_tiering.sending import RefusedAltogetherError
        from shared.storage_tiering.worklist import WorkListDamagedError

        try:
            work = _work(change)
            progress = checkpoint.find(_state(), work)
            # What is done is said without the claim: of two deliveries at once the one that finds it taken answers
            # first, time and again.
            if progress is None or not progress.done:
                progress = _slice(change, work)
        except (RefusedAltogetherError, WorkListDamagedError) as error:
            return Acted(Act.FAILED, detail=str(error))
        except _AccountTakenError as taken:
            return Acted(Act.RUNNING, operation=operation, again_after=taken.again_after)
        except ClaimLostError:
            return Acted(Act.RUNNING, operation=operation, again_after=_SHORTEST_LOOK)
        if progress.stopped:
            return Acted(Act.FAILED, detail=f"{progress.stopped}; {progress.sentence}; the next run plans the rest")
        if not progress.done:
            return Acted(Act.RUNNING, operation=operation, again_after=timedelta(), detail=progress.sentence)
        failures = _failures(progress)
        return Acted(Act.FAILED if failures else Act.DONE, detail=failures or progress.sentence)

    def verify(self, change: Change, wanted: State) -> Verified:
        """Look at a page of blobs of one part, as they now are."""
        from shared.platforms.blob_listing import AzureBlobListing

        account, _ = _declared(change)
        state, work = _state(), _work(change)
        progress = checkpoint.find(state, work)
        if progress is None or not progress.done:
            return Verified(False, "the work list is not done")
        if work.empty:
            return Verified(True, "nothing was to be done")
        part = work.parts[int(work.digest, 16) % len(work.parts)]
        left = {(one.name, one.version, one.snapshot) for one in checkpoint.read_left(state, work)}
        steps = {(step.name, step.version, step.snapshot): step for step in worklist.read_part(state, part)}
        listing = AzureBlobListing(_url(account, change))
        versions = any(version or snapshot for _, version, snapshot in steps)
        page = listing.page_from(min(name for name, _, _ in steps), versions=versions)
        wrong = 0
        for facts in page:
            key = (facts.name, None if facts.current else facts.version, facts.snapshot)
            step = steps.get(key)
            if step is None or key in left or (step.etag and facts.etag != step.etag):
                continue
            pending = facts.archive_status is not None and change.action == "rehydrate"
            wrong += facts.tier != step.to and not pending
        if wrong:
            return Verified(False, f"{wrong} of {len(page)} blobs looked at are not as they were set")
        return Verified(True, progress.sentence)

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """Never asked: these changes are not made with `undo_on_failure`."""
        return Acted(Act.FAILED, detail="tiers and deletions are not taken back by machine")

    def predict(self, change: Change, observed: State) -> str:
        """The sums of the list."""
        work = _work(change)
        verb = {"tier": "move", "delete": "delete", "rehydrate": "bring back"}[change.action]
        saved = f", saving {work.saved_a_month:,.2f} a month" if work.saved_a_month else ""
        return f"would {verb} {work.steps:,} blobs of {work.bytes:,} bytes at a cost of {work.cost:,.2f}{saved}"


class _AccountTakenError(Exception):
    """Another change, or another delivery of this one, changes blobs of the account."""

    def __init__(self, again_after: timedelta) -> None:
        super().__init__()
        self.again_after = again_after


def _slice(change: Change, work: WorkList) -> "Progress":
    from shared.platforms.blob_batches import AzureBlobBatches
    from shared.platforms.blob_listing import AzureBlobListing
    from shared.storage_tiering.applying import Slice, carry_on
    from shared.storage_tiering.checkpoint import AccountClaim
    from shared.storage_tiering.sending import Brake, Counted, Sender

    account, policy = _declared(change)
    lasting = timedelta(seconds=float(settings.optional("TIERING_CLAIM_SECONDS", "90")))
    claim = AccountClaim(_state(), account.id.name.lower(), uuid4().hex, lasting, _now)
    taken_until = claim.take()
    if taken_until is not None:
        raise _AccountTakenError(max(_SHORTEST_LOOK, taken_until - _now()))
    url = _url(account, change)
    sender = Sender(
        AzureBlobBatches(url), AzureBlobListing(url), Brake(time.monotonic, time.sleep), Counted(), claim.check
    )
    stops = _Stops(change)
    now = Slice(requests_at_once=policy.requests_at_once, until=_now() + _SLICE, stopped=stops.why, clock=_now)
    try:
        return carry_on(_state(), work, sender, claim, now)
    finally:
        claim.release()


class _Stops:
    """Why a run that is under way must not go on; looked up every few seconds."""

    def __init__(self, change: Change) -> None:
        self._change, self._why, self._looked_at = change, "", float("-inf")

    def why(self) -> str:
        """Empty while it may go on."""
        if time.monotonic() - self._looked_at > _LOOK_WHETHER_STOPPED_SECONDS:
            self._why, self._looked_at = _stopped(self._change), time.monotonic()
        return self._why


def _stopped(change: Change) -> str:
    """Whether the gate would no longer let the change begin, for a reason that an operator or the calendar gave."""
    from functions.change_execution import services
    from shared.changes import claims, executor
    from shared.changes.execution import Execution
    from shared.changes.gate import decide
    from shared.changes.reasons import ReasonCode

    governed = services()
    known = governed.store.get(executor.execution_name(change.id), Execution)
    if known is None:
        return ""
    inputs = claims.gate_inputs(
        governed,
        change,
        plan_hash=known.plan_hash,
        run=known.run,
        attempt_id=f"{change.id}:{known.run}:1",
        since=known.admitted_at,
        dry_run=None,
    )
    stopping = {ReasonCode.STOP_SWITCH, ReasonCode.PAUSED, ReasonCode.FROZEN, ReasonCode.AUTOMATION_NOT_ENABLED}
    return "; ".join(reason.sentence for reason in decide(change, inputs).reasons if reason.code in stopping)


def _failures(progress: "Progress") -> str:
    from shared.storage_tiering.answers import Outcome

    failed = progress.blobs(Outcome.REFUSED, Outcome.UNANSWERED)
    if not failed:
        return ""
    named = [one for one in progress.examples if one.outcome in (Outcome.REFUSED, Outcome.UNANSWERED)][:3]
    examples = ", ".join(f"{one.name} ({one.outcome}: {one.code})" for one in named)
    return f"{failed:,} blobs were not done, such as {examples}; {progress.sentence}"


def _declared(change: Change) -> "tuple[StorageAccount, StorageTiering]":
    """The account and the policy, as they are declared now. Raises LookupError."""
    estate = estate_in_force.get()
    policy = estate.storage_tiering
    for account in estate.environments[change.environment].storage.values():
        if change.target.casefold().startswith(f"{account.id}/".casefold()) and policy is not None:
            return account, policy
    raise LookupError(f"{change.target} is no longer declared in {change.environment}, or storage_tiering is not")


def _url(account: "StorageAccount", change: Change) -> str:
    return f"{account.blob_address}/{change.target.rpartition('/')[2]}"


def _work(change: Change) -> WorkList:
    """The list that the change is about; raises LookupError."""
    work = worklist.find(_state(), str(change.after["folder"]))
    if work is None or work.digest != change.after["work"]:
        raise LookupError(f"the work list {change.after['folder']} is not what was planned: plan anew")
    return work


def _state() -> "BlobContainer":
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))


def _now() -> datetime:
    return datetime.now(UTC)


ADAPTER = BlobContainers()
