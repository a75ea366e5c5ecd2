"""What Azure and Kubernetes said, in the executor's words."""

import time
from collections.abc import Callable
from datetime import timedelta

from shared.changes.change import State
from shared.changes.ports import Act, Acted
from shared.changes.throttling import ARM_WRITES, Toll
from shared.platforms.arm_operations import BusyError, Operation, RefusedError, Standing
from shared.platforms.kubernetes import ClusterError, ConflictError, NotFoundError, ThrottledError, UnavailableError
from shared.platforms.kubernetes import RefusedError as ClusterRefusedError
from shared.platforms.managed_clusters import SETTLED

_CAPACITY = ("AllocationFailed", "ZonalAllocationFailed", "OverconstrainedAllocation", "SkuNotAvailable")
"""What may be there in a while. A quota is raised by people."""

_UNWANTED = object()
_CAPACITY_PAUSE = timedelta(minutes=2)

_SHORTEST_LOOK = timedelta(seconds=1)
_PATIENCE_SECONDS = 5.0
_LOOKS = 3


def arm_writes(subscription: str) -> Toll:
    """What every write to Resource Manager draws on."""
    return Toll(f"arm-writes/{subscription}", ARM_WRITES)


def asked(request: Callable[[], str]) -> Acted:
    """How the request of a long operation was answered; what is not understood is raised, its outcome being unknown."""
    try:
        url = request()
    except BusyError as error:
        return Acted(Act.BUSY, again_after=error.again_after, detail=str(error))
    except RefusedError as error:
        return Acted(Act.FAILED, detail=str(error))
    return Acted(Act.RUNNING, operation=url) if url else Acted(Act.DONE)


def stands(operation: Operation, url: str, *, waits: bool = False) -> Acted:
    """How a long operation stands. `waits`: one that failed for want of capacity is asked for again while time is."""
    match operation.standing:
        case Standing.RUNNING:
            wait = max(operation.again_after or _SHORTEST_LOOK, _SHORTEST_LOOK)
            return Acted(Act.RUNNING, operation=url, again_after=wait)
        case Standing.SUCCEEDED:
            return Acted(Act.DONE)
        case Standing.UNKNOWN:
            return Acted(Act.DONE, detail="Azure no longer knows the operation: the state itself will tell")
        case Standing.FAILED:
            said = f"{operation.code}: {operation.message}"
            if waits and operation.code.startswith(_CAPACITY):
                return Acted(Act.SHORT, again_after=_CAPACITY_PAUSE, detail=said)
            return Acted(Act.FAILED, detail=said)


def reached(facts: State, wanted: State, provisioning: str) -> State:
    """What can be relied on: nothing while something goes on, and nothing that is shown but was not brought about."""
    if provisioning == "Succeeded":
        return facts
    if provisioning not in SETTLED:
        return {}
    return {fact: value for fact, value in facts.items() if value != wanted.get(fact, _UNWANTED)}


def written(request: Callable[[], object]) -> Acted:
    """How a write to a cluster's API was answered; no answer is raised, its outcome being unknown."""
    try:
        request()
    except (ConflictError, ThrottledError) as error:
        again = error.retry_after if isinstance(error, ThrottledError) else None
        return Acted(Act.BUSY, again_after=None if again is None else timedelta(seconds=again), detail=str(error))
    except (NotFoundError, ClusterRefusedError) as error:
        return Acted(Act.FAILED, detail=str(error))
    except UnavailableError as error:
        if error.status == 503 and error.retry_after is not None:
            return Acted(Act.BUSY, again_after=timedelta(seconds=error.retry_after), detail=str(error))
        raise
    return Acted(Act.DONE)


def patiently[T](look: Callable[[], T]) -> T:
    """The answer of a read, asked for again where the API server says that it will answer in a moment."""
    for _ in range(_LOOKS):
        try:
            return look()
        except ThrottledError as error:
            wait = 1.0 if error.retry_after is None else error.retry_after
            if wait > _PATIENCE_SECONDS:
                raise
            time.sleep(wait)
    return look()


def unreachable(error: ClusterError) -> str:
    """In one line, for what could not be verified."""
    return f"the cluster's API does not answer: {error}"
