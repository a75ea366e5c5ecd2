"""The production of the big example in November 2026, in memory: targets that take their time, people, and a gate."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.memory_blobs import MemoryBlobContainer
from shared.changes.change import Change, State
from shared.changes.declared_rules import DeclaredRules
from shared.changes.ports import Act, Acted, Adapters, Entry, Services, Verified
from shared.changes.state import Store
from shared.changes.throttling import Toll
from shared.estate.estate import Estate
from shared.estate.loading import load_estate
from shared.finance_calendar.calendar import FinanceCalendar
from shared.finance_calendar.compilation import compile_calendar
from shared.peak_scaling import tending
from shared.peak_scaling.considering import Considered, wanted_levels
from shared.peak_scaling.lead_times import LeadTimes
from shared.peak_scaling.looking import Seen
from shared.peak_scaling.needs import Scaling
from shared.peak_scaling.readiness import Look
from shared.peak_scaling.targets import ADAPTERS, Kind
from shared.risk import Risk
from tests.peak_scaling.driving import Driver

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "group" / "estate.yaml"
PRODUCTION = "production"
MONTH_END = datetime(2026, 11, 20, 12, tzinfo=UTC)
TAKES = timedelta(minutes=6)


def example() -> str:
    """The big example without its feed, which nobody serves here: an unknown feed counts as a freeze."""
    text = EXAMPLE.read_text(encoding="utf-8")
    before, _, rest = text.partition("  subscriptions:\n")
    return before + rest[rest.index("\ntiers:") :]


def group(edit: Callable[[str], str] = lambda text: text) -> tuple[Estate, FinanceCalendar]:
    """The big example and its calendar."""
    estate = load_estate(edit(example()), str(EXAMPLE))
    return estate, compile_calendar(estate.calendar, {})


class World:
    """Targets by name. moving: what becomes so when. capacity: how many nodes a pool may get at most.

    answers: what the next acts on a target are answered. real: called with a target's state, whether it is proven.
    """

    def __init__(self, now: datetime, estate: Estate, calendar: FinanceCalendar) -> None:
        self.now = now
        self.estate, self.calendar = estate, calendar
        self.blobs = MemoryBlobContainer()
        self.entries: list[Entry] = []
        self.events: list[Any] = []
        self.acts: list[tuple[datetime, str, dict[str, Any]]] = []
        self.answers: dict[str, list[Acted]] = {}
        self.capacity: dict[str, int] = {}
        self.queue: int | None = 0
        self.looks: list[Look] = []
        self.quotas: list[Look] = []
        self.maintained: dict[str, tuple[datetime, datetime]] = {}
        adapters = Adapters()
        for kind in sorted(set(ADAPTERS.values())):
            adapters.register(kind, "scale", self)
        adapters.register("postgres-server", "grow", self)
        self.services = Services(
            store=Store(self.blobs, pause=lambda _: None),
            adapters=adapters,
            rules=DeclaredRules(estate, calendar),
            recorder=self,
            publisher=self,
            clock=lambda: self.now,
        )
        self.driver = Driver(self.services, lambda: self.now)
        self.names = {target.target: target.name for target in self.scaling().targets.values()}
        self.state: dict[str, dict[str, Any]] = {
            name: dict(self.scaling().baseline.get(name, {})) for name in self.names.values()
        }
        self.state["server parent"]["iops"] = 5000
        self.state["cache sessions"] = {"sku": "Balanced_B5"}
        self.originals = {name: dict(state) for name, state in self.state.items()}
        self.moving: dict[str, tuple[dict[str, Any], datetime]] = {}

    def turn(self, estate: Estate, calendar: FinanceCalendar) -> None:
        """Another declaration is in force from now on."""
        self.estate, self.calendar = estate, calendar
        self.services = replace(self.services, rules=DeclaredRules(estate, calendar))
        self.driver.services = self.services

    def scaling(self) -> Scaling:
        memory = tending.remembered(self.services.store, PRODUCTION)
        return Scaling(self.estate, PRODUCTION, self.calendar, LeadTimes(0.5, memory.measured))

    # recorder and publisher

    def record(self, entry: Entry) -> None:
        if entry not in self.entries:
            self.entries.append(entry)

    def publish(self, events: Sequence[Any]) -> None:
        self.events += [event for event in events if event.id not in {each.id for each in self.events}]

    def told(self, kind: str) -> list[str]:
        return [
            f"{entry.subject.partition(':')[2]}: {entry.body.get('detail')}"
            for entry in self.entries
            if entry.kind == kind
        ]

    # the adapter

    def tolls(self, change: Change) -> Sequence[Toll]:
        return []

    def read_state(self, change: Change) -> State:
        self._move()
        name = self._name(change)
        moving = self.moving[name][0] if name in self.moving else {}
        return {fact: value for fact, value in self.state[name].items() if fact not in moving}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        name = self._name(change)
        if self.answers.get(name):
            return self.answers[name].pop(0)
        self.acts.append((self.now, name, dict(wanted)))
        self.moving[name] = (dict(wanted), self.now + TAKES)
        return Acted(Act.RUNNING, operation=name)

    def poll(self, change: Change, operation: str) -> Acted:
        self._move()
        return Acted(Act.RUNNING if operation in self.moving else Act.DONE, operation=operation)

    def verify(self, change: Change, wanted: State) -> Verified:
        self._move()
        name = self._name(change)
        state = self.read_state(change)
        if any(state.get(fact) != value for fact, value in wanted.items()):
            return Verified(False, f"{name} is {state}")
        least, there = wanted.get("min", wanted.get("count")), self.capacity.get(name)
        if name.startswith("pool ") and there is not None and isinstance(least, int) and there < least:
            return Verified(False, f"{there} of {least} nodes are Ready")
        return Verified(True, "so it is")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        raise AssertionError("nothing asks for it")

    def predict(self, change: Change, observed: State) -> str:
        return f"would set {dict(change.after)}"

    def _name(self, change: Change) -> str:
        if change.action == "grow":
            return next(each.name for each in self.scaling().targets.values() if each.kind is Kind.STORAGE)
        return next(
            each.name
            for each in self.scaling().targets.values()
            if each.target == change.target and each.kind is not Kind.STORAGE
        )

    def _move(self) -> None:
        for name, (facts, at) in list(self.moving.items()):
            if self.now >= at:
                del self.moving[name]
                self.state[name] |= facts

    # the app

    def tick(self) -> Considered:
        """One tick of the timer, as `functions.peak_scaling` does it."""
        self._move()
        scaling = self.scaling()
        memory = tending.remembered(self.services.store, PRODUCTION)
        seen: dict[str, Seen] = {}
        for name, level in wanted_levels(scaling, memory, self.now).items():
            target = scaling.targets[name]
            probe = Change(
                automation="peak_scaling",
                environment=PRODUCTION,
                kind=ADAPTERS[target.kind],
                target=target.target,
                action="grow" if target.kind is Kind.STORAGE else "scale",
                occasion="",
                after=level,
                reason="",
                risk=Risk.REVERSIBLE,
            )
            verified = self.verify(probe, level)
            seen[name] = Seen(state=self.read_state(probe), ready=verified.reached, detail=verified.detail)
        considered = tending.look(
            self.services,
            scaling,
            seen,
            self.now,
            queue=lambda: self.queue,
            looks=lambda _: self.looks,
            quotas=lambda _: self.quotas,
            maintenance=self._maintenance,
        )
        if considered.changes:
            self.driver.start(considered.changes)
        tending.tell(self.services, PRODUCTION)
        return considered

    def pass_to(self, until: datetime, *, every: timedelta = timedelta(minutes=10)) -> None:
        """Ticks until then."""
        while self.now < until:
            self.tick()
            for _ in range(5):
                self.driver.work()
                self.now += every / 5

    def _maintenance(self, spans: Mapping[str, tuple[datetime, datetime]]) -> list[Look]:
        """What Azure means to maintain, by `maintained`, in the times at which it is scaled."""
        return [
            Look(
                "maintenance", name, not (name in self.maintained and _meet(self.maintained[name], span)), "reschedule"
            )
            for name, span in spans.items()
        ]

    def edit(self, name: str, **facts: Any) -> None:
        self._move()
        self.state[name] |= facts


def _meet(one: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
