"""Azure Managed Redis: scaled. Fact: `sku`, such as Balanced_B20.

Azure keeps the data, and may be smaller only where what is in it fits; what it can become is asked before.
"""

from collections.abc import Sequence

from functions.adapters.answers import arm_writes, asked, stands
from functions.adapters.targets import subscription
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Toll
from shared.platforms import redis_scaling
from shared.platforms.redis_scaling import RedisFacts

_STANDS = ("Running", "ScalingFailed", "UpdateFailed")


class RedisCaches:
    """The adapter."""

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter`."""
        return [arm_writes(subscription(change.target))]

    def read_state(self, change: Change) -> State:
        """See `Adapter`. A size that failed to come about is not there, and still to be asked for."""
        found = _get(change.target)
        failed = found.state != "Running" and found.sku == change.after.get("sku")
        return {} if found.state not in _STANDS or failed else {"sku": found.sku}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter`."""
        found, sku = _get(change.target), str(wanted["sku"])
        if found.state not in _STANDS:
            return Acted(Act.BUSY, detail=f"the cache is {found.state}")
        if found.sku == sku and found.state == "Running":
            return Acted(Act.DONE, detail="as wanted")
        offered = redis_scaling.offered(change.target)
        if sku not in offered:
            return Acted(Act.FAILED, detail=_not_offered(found, sku, offered))
        return asked(lambda: redis_scaling.scale(change.target, sku))

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter`."""
        return stands(redis_scaling.operation(operation), operation)

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter`: it has the size, and answers."""
        found = _get(change.target)
        if found.state != "Running" or found.sku != wanted["sku"]:
            return Verified(False, f"the cache is {found.state}, {found.sku}")
        if silent := redis_scaling.answers(change.target, found.host):
            return Verified(False, f"it does not answer: {silent}")
        return Verified(True, f"it is {found.sku} and answers")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter`."""
        return self.apply(change, original, key)

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter`."""
        found, sku = _get(change.target), str(change.after["sku"])
        offered = redis_scaling.offered(change.target)
        if sku not in offered and sku != found.sku:
            return f"would fail: {_not_offered(found, sku, offered)}"
        name = change.target.rpartition("/")[2]
        return f"would take the cache {name} from {observed.get('sku')} to {sku}; connections drop for a moment"


def _not_offered(found: RedisFacts, sku: str, offered: dict[str, float]) -> str:
    names = ", ".join(sorted(offered, key=lambda name: offered[name])) or "nothing"
    return f"Azure does not offer {sku} to a cache that is {found.sku} as full as it is: it offers {names}"


def _get(target: str) -> RedisFacts:
    found = redis_scaling.read(target)
    if found is None:
        raise LookupError(f"there is no cache {target}")
    return found


ADAPTER = RedisCaches()
