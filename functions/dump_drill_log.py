"""Which drills of dumps were begun, and what became of them: the schedule counts those that passed, as any others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.change_execution import services
from shared.backup_verification.drill import DrillKind
from shared.backup_verification.schedule import Past, ServerName

_NAME = "drill-dumps"
_LOST_AFTER = timedelta(days=1)
_MOST_KEPT = 50


@dataclass(frozen=True, slots=True)
class DumpDrill:
    """One drill; `passed` is None while nothing is known of its end."""

    requested_at: datetime
    passed: bool | None


type _Log = dict[str, dict[str, DumpDrill]]


def remember(environment: str, server: str, drill: str, requested_at: datetime, passed: bool | None) -> None:
    """Note that a drill was begun (None), or how it ended. In any order and however often: an end stays."""
    name = f"{environment}/{server}"

    def noted(log: _Log | None) -> _Log:
        known = (log or {}).get(name, {})
        old = known.get(drill)
        if old is not None and (old.passed is not None or passed is None):
            return log or {}
        kept = {**known, drill: DumpDrill(old.requested_at if old else requested_at, passed)}
        newest = sorted(kept.items(), key=lambda item: item[1].requested_at)[-_MOST_KEPT:]
        return {**(log or {}), name: dict(newest)}

    services().store.update(_NAME, dict[str, dict[str, DumpDrill]], noted)


def known_drills() -> dict[str, tuple[str, DumpDrill]]:
    """All that is noted by the drill's id, with its environment."""
    return {drill: (name.partition("/")[0], one) for name, drills in _noted().items() for drill, one in drills.items()}


def past_drills(now: datetime) -> Iterator[tuple[ServerName, Past]]:
    """All that is noted, by server. One without an end after a day was lost, and proved nothing."""
    for name, drills in _noted().items():
        environment, _, server = name.partition("/")
        for one in drills.values():
            lost = one.passed is None and now - one.requested_at > _LOST_AFTER
            yield (environment, server), Past(one.requested_at, False if lost else one.passed, DrillKind.DUMP)


def _noted() -> Mapping[str, Mapping[str, DumpDrill]]:
    return services().store.get(_NAME, dict[str, dict[str, DumpDrill]]) or {}
