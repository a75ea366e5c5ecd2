"""PostgreSQL flexible servers: scaled, and their storage grown.

Facts of `scale`: `sku`, and of the storage `iops` and `throughput` (Premium SSD v2) or `performance_tier` (Premium
SSD). Fact of `grow`: `storage_gb`, which never shrinks again and so is an action of its own, never given back.

A replica is never smaller than its primary: replicas go first on the way up and last on the way down, and a server out
of turn waits for its turn.
"""

import time
from collections.abc import Callable, Sequence

from functions.adapters import postgres_answers
from functions.adapters.answers import arm_writes, asked, stands
from functions.adapters.targets import subscription
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Toll
from shared.platforms import postgres_maintenance, postgres_scaling, sql
from shared.platforms.postgres_scaling import PREMIUM, PREMIUM_V2, ScaleFacts, cores_of

_LOOKS_KEPT = 200
_KNOBS = {"iops": PREMIUM_V2, "throughput": PREMIUM_V2, "performance_tier": PREMIUM}
_INSTEAD = {
    PREMIUM: "its storage is Premium SSD: give a performance_tier instead",
    PREMIUM_V2: "its storage is Premium SSD v2: give iops and throughput instead",
}


class PostgresScaling:
    """The adapter. `monotonic` gives seconds, by which silences of a server are measured."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._silences: dict[str, tuple[float, float]] = {}

    def tolls(self, change: Change) -> Sequence[Toll]:
        """See `Adapter`."""
        return [arm_writes(subscription(change.target))]

    def read_state(self, change: Change) -> State:
        """See `Adapter`."""
        found = _get(change.target)
        if found.state not in ("Ready", "Stopped"):
            return {}
        return {
            "sku": found.sku,
            "storage_gb": found.storage_gb,
            "storage_type": found.storage_type,
            "performance_tier": found.performance_tier,
            "iops": found.iops,
            "throughput": found.throughput,
        }

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """See `Adapter`. One request for all facts, so that there is one interruption."""
        found = _get(change.target)
        if found.state != "Ready":
            return Acted(Act.BUSY, detail=f"the server is {found.state}")
        if impossible := _impossible(found, wanted):
            return Acted(Act.FAILED, detail=impossible)
        missing = {fact: value for fact, value in wanted.items() if not _fits(found, fact, value)}
        if not missing:
            return Acted(Act.DONE, detail="as wanted")
        if out_of_turn := _out_of_turn(found, str(missing.get("sku", found.sku))):
            return Acted(Act.BUSY, detail=out_of_turn)
        if postgres_maintenance.in_progress(change.target):
            return Acted(Act.BUSY, detail="Azure maintains the server")
        return asked(lambda: postgres_scaling.scale(change.target, found, missing))

    def poll(self, change: Change, operation: str) -> Acted:
        """See `Adapter`. Each look also notices whether the server answers, which tells what the change really cost."""
        stand = stands(postgres_scaling.operation(change.target, operation), operation)
        if stand.act is Act.RUNNING and (silent := postgres_answers.silence(_get(change.target).host)):
            self._remember(change.id)
            return Acted(stand.act, stand.operation, stand.again_after, f"it does not answer SQL: {silent}")
        return stand

    def verify(self, change: Change, wanted: State) -> Verified:
        """See `Adapter`: it has the size, and answers SQL."""
        found = _get(change.target)
        differs = [fact for fact, value in wanted.items() if not _fits(found, fact, value)]
        if found.state != "Ready" or differs:
            said = ", ".join(f"{fact} is {getattr(found, fact)}" for fact in differs)
            return Verified(False, f"the server is {found.state}; {said}".rstrip("; "))
        try:
            connections = postgres_answers.max_connections(found.host)
        except sql.DatabaseUnavailableError as error:
            self._remember(change.id)
            return Verified(False, f"it does not answer SQL: {error}")
        first, last = self._silences.pop(change.id, (0.0, 0.0))
        seen = f"; it was seen not to answer for {last - first:.0f} s" if last else ""
        return Verified(True, f"{_size(found)}, and it answers SQL with max_connections {connections}{seen}")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """See `Adapter`. What has grown stays."""
        return self.apply(change, {fact: value for fact, value in original.items() if fact != "storage_gb"}, key)

    def predict(self, change: Change, observed: State) -> str:
        """See `Adapter`."""
        found = _get(change.target)
        name = change.target.rpartition("/")[2]
        if impossible := _impossible(found, change.after):
            return f"would fail: {impossible}"
        parts = [f"{fact} from {observed.get(fact)} to {value}" for fact, value in change.after.items()]
        count = 0 if found.source else len(postgres_scaling.replicas(found.id))
        cost = postgres_scaling.interruption(found, change.after, count)
        words = [f"would set {', '.join(parts)} of the server {name}", _told(cost)]
        if "sku" in change.after:
            words.append(
                "max_connections stays as it is; unlogged tables are emptied; what is submitted cannot be undone"
            )
        if "storage_gb" in change.after:
            words.append("the storage never shrinks again")
        return "; ".join(words)

    def _remember(self, change_id: str) -> None:
        now = self._monotonic()
        if len(self._silences) >= _LOOKS_KEPT:
            self._silences.clear()
        self._silences[change_id] = (self._silences.get(change_id, (now, now))[0], now)


def _get(target: str) -> ScaleFacts:
    found = postgres_scaling.read(target)
    if found is None:
        raise LookupError(f"there is no server {target}")
    return found


def _fits(found: ScaleFacts, fact: str, value: object) -> bool:
    if fact == "storage_gb":
        return isinstance(value, int) and found.storage_gb >= value
    return getattr(found, fact) == value


def _impossible(found: ScaleFacts, wanted: State) -> str:
    """Why Azure would refuse it whenever it is asked, with the remedy; empty when it would not."""
    for fact in wanted:
        if _KNOBS.get(fact, found.storage_type) != found.storage_type:
            return f"{fact} cannot be set, {_INSTEAD[found.storage_type]}"
    try:
        cores_of(str(wanted.get("sku", found.sku)))
    except ValueError as error:
        return str(error)
    return ""


def _out_of_turn(found: ScaleFacts, sku: str) -> str:
    """Who has to go first, if anybody: no replica may be smaller than its primary at any moment."""
    cores = cores_of(sku)
    if not found.source:
        if cores <= cores_of(found.sku):
            return ""
        small = [
            replica.id.rpartition("/")[2]
            for replica in postgres_scaling.replicas(found.id)
            if cores_of(replica.sku) < cores or replica.state != "Ready"
        ]
        return f"its replicas are scaled first: {', '.join(small)}" if small else ""
    primary = postgres_scaling.read(found.source)
    if primary is None or cores_of(primary.sku) <= cores:
        return ""
    return f"its primary is scaled down first, and is {primary.sku}"


def _size(found: ScaleFacts) -> str:
    speed = found.performance_tier if found.storage_type == PREMIUM else f"{found.throughput} MB/s"
    return f"it is {found.sku} with {found.storage_gb} GiB at {found.iops} IOPS ({speed})"


def _told(cost: postgres_scaling.Interruption) -> str:
    if not cost.most:
        return "applications keep their connections"
    least, most = (f"{span.total_seconds():.0f} s" for span in (cost.least, cost.most))
    return f"applications lose it for {least} to {most} ({cost.why})"


ADAPTER = PostgresScaling()
