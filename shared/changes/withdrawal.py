"""Taking back a change that nobody wants any more, as long as it has not begun to act."""

from shared.changes import execution, executor
from shared.changes.execution import Execution, Result
from shared.changes.ports import Services


def withdraw(services: Services, change_id: str, why: str) -> str | None:
    """End an admitted change as refused, unless it may be acting already; twice is once.

    Returns the instance to wake, None when there was nothing to withdraw. Whoever is about to act notes that in the
    same place first, so that either the note or the withdrawal comes too late, never neither.
    """
    instance: str | None = None

    def withdrawn(known: Execution | None) -> Execution:
        nonlocal instance
        instance = None
        if known is None:
            raise LookupError
        if known.result is not None or known.delivery is not None:
            return known
        instance = known.instance
        return execution.finish(known, known.run, Result.REFUSED, f"withdrawn: {why}", services.clock())

    try:
        services.store.update(executor.execution_name(change_id), Execution, withdrawn)
    except LookupError:
        return None
    return instance
