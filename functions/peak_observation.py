"""What the targets of peaks look like now, as their adapters read and verify them."""

import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from functions.change_execution import services
from shared.changes.change import Change, State
from shared.changes.ports import UnknownActionError
from shared.peak_scaling.changes import AUTOMATION
from shared.peak_scaling.looking import Seen
from shared.peak_scaling.targets import ADAPTERS, Kind, Target
from shared.risk import Risk

_LOG = logging.getLogger("closekeeper.peak_scaling")
_AT_ONCE = 8


def observe(environment: str, wanted: Iterable[tuple[Target, State, bool]]) -> dict[str, Seen]:
    """Each target's state, by name, and with `prove` whether it is proven to be at the level.

    What cannot be read is not known, which is not the same as missing.
    """
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        found = {
            target.name: threads.submit(_seen, environment, target, level, prove) for target, level, prove in wanted
        }
        return {name: seen.result() for name, seen in found.items()}


def _seen(environment: str, target: Target, level: State, prove: bool) -> Seen:
    from azure.core.exceptions import AzureError

    from shared.platforms.kubernetes import ClusterError

    probe = Change(
        automation=AUTOMATION,
        environment=environment,
        kind=ADAPTERS[target.kind],
        target=target.target,
        action="grow" if target.kind is Kind.STORAGE else "scale",
        occasion="look",
        after=level,
        reason="to look at it",
        risk=Risk.REVERSIBLE,
    )
    try:
        adapter = services().adapters.find(probe)
        state = adapter.read_state(probe)
        if not prove:
            return Seen(state=state)
        verified = adapter.verify(probe, level)
    except (AzureError, ClusterError, LookupError, UnknownActionError) as error:
        _LOG.warning("%s of %s cannot be seen: %s", target.name, environment, error)
        return Seen(state=None, detail=f"it cannot be seen: {error}"[:500])
    return Seen(state=state, ready=verified.reached, detail=verified.detail)
