"""Timer triggers: fires each at its schedule, remembers when it did, and makes up for what was missed."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.functions_host.clock import Alarms, Clock
from local.functions_host.functions import Function
from local.functions_host.logs import HostLog
from local.functions_host.schedules import Schedule
from local.functions_host.worker_process import Invocation, WorkerExitedError

_NEVER = datetime.min.replace(tzinfo=UTC)  # .NET's default(DateTime)
_MONITORED_FROM = timedelta(minutes=1)

type Invoke = Callable[[Function, list[dict[str, Any]]], Coroutine[Any, Any, Invocation]]


@dataclass
class ScheduleStatus:
    """When a timer ran and will run. `next` is reckoned from `last_updated`."""

    last: datetime
    next: datetime
    last_updated: datetime

    def to_json(self) -> dict[str, str]:
        """The form in which Azure stores and sends it."""
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.last_updated.isoformat(),
        }

    @classmethod
    def from_json(cls, data: dict[str, str]) -> "ScheduleStatus":
        return cls(*(datetime.fromisoformat(data[name]) for name in ("Last", "Next", "LastUpdated")))


class Timer:
    """One timer-triggered function. One run at a time; the next is due when the schedule says so after this one."""

    def __init__(
        self, function: Function, invoke: Invoke, clock: Clock, alarms: Alarms, folder: Path, log: HostLog
    ) -> None:
        assert function.schedule is not None
        self.function = function
        self._schedule = function.schedule
        self._invoke = invoke
        self._clock = clock
        self._alarms = alarms
        self._file = folder / f"{function.name}.json"
        self._log = log
        self._monitored = function.trigger.get("useMonitor") is not False and _is_rare(self._schedule, clock.now())
        self._listening = 0  # counts the times that listening began or ended, so that old alarms are void
        self._run: asyncio.Task[None] | None = None
        self._status: ScheduleStatus | None = None

    def start(self) -> None:
        """Listen: run at once when a run was missed or on request, and from then on by the schedule."""
        self._listening += 1
        now = self._clock.now()
        stored = self._read() if self._monitored else None
        self._status, past_due = missed(stored, self._schedule, now)
        if self._monitored:
            self._write(self._status)
        if past_due:
            self._log.write(
                "Information", self._category, f"'Functions.{self.function.name}' is past due. Running now."
            )
            self._begin(now, past_due=True, on_startup=False)
        elif self.function.trigger.get("runOnStartup"):
            self._begin(now, past_due=False, on_startup=True)
        else:
            self._wait()

    def stop(self) -> None:
        """Stop listening; a run that has begun goes on."""
        self._listening += 1

    async def fire(self) -> Invocation:
        """Run it now by hand, as the admin API does: outside the schedule."""
        status = self._read() if self._monitored else None
        return await self._invoke(self.function, [self._input(status, past_due=False)])

    @property
    def _category(self) -> str:
        return f"Function.{self.function.name}"

    def _wait(self) -> None:
        assert self._status is not None
        listening = self._listening
        self._alarms.at(self._status.next, lambda: self._on_alarm(listening))

    def _on_alarm(self, listening: int) -> None:
        if listening != self._listening or self._status is None:
            return
        now = self._clock.now()
        # Whoever slept over a whole period has been replaced by another instance in Azure, which finds it past due.
        slept = self._schedule.next_after(self._status.next) <= now
        self._begin(now, past_due=slept, on_startup=False)

    def _begin(self, now: datetime, *, past_due: bool, on_startup: bool) -> None:
        self._run = asyncio.get_running_loop().create_task(self._run_once(now, past_due, on_startup, self._listening))

    async def _run_once(self, now: datetime, past_due: bool, on_startup: bool, listening: int) -> None:
        assert self._status is not None
        status = self._status if self._monitored else None
        # A failed run is not repeated; the next one is due by the schedule.
        with contextlib.suppress(WorkerExitedError):
            await self._invoke(self.function, [self._input(status, past_due=past_due)])
        at = now if past_due or on_startup else max(now, self._status.next)
        self._status = ScheduleStatus(last=at, next=self._schedule.next_after(at), last_updated=at)
        if self._monitored:
            self._write(self._status)
        if listening == self._listening:
            self._wait()

    def _input(self, status: ScheduleStatus | None, *, past_due: bool) -> dict[str, Any]:
        info = {
            "Schedule": {"AdjustForDST": self._schedule.adjust_for_dst},
            "ScheduleStatus": status.to_json() if status else None,
            "IsPastDue": past_due,
        }
        return {"name": self.function.trigger["name"], "type": "json", "value": json.dumps(info)}

    def _read(self) -> ScheduleStatus | None:
        try:
            return ScheduleStatus.from_json(json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            self._log.write("Warning", self._category, f"{self._file.name}: not a schedule status ({error}); ignored.")
            return None

    def _write(self, status: ScheduleStatus) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(status.to_json()), encoding="utf-8")
        temporary.replace(self._file)


def missed(stored: ScheduleStatus | None, schedule: Schedule, now: datetime) -> tuple[ScheduleStatus, bool]:
    """The status to go on from when listening begins, and whether an occurrence was missed.

    As the extension's schedule monitor does it: `next` must be what the schedule says after the last run, or after
    the status was first written; otherwise the schedule has changed since, and an occurrence of it that is past
    already is not made up for.
    """
    if stored is None:
        return ScheduleStatus(last=_NEVER, next=schedule.next_after(now), last_updated=now), False
    since = stored.last_updated if stored.last == _NEVER else stored.last
    expected = schedule.next_after(since)
    if stored.next != expected:
        if now > expected:
            since, expected = now, schedule.next_after(now)
        stored = ScheduleStatus(last=_NEVER, next=expected, last_updated=since)
    return stored, now > stored.next


def _is_rare(schedule: Schedule, now: datetime) -> bool:
    """Whether it is due no more than once a minute; Azure keeps no status of more frequent timers."""
    first = schedule.next_after(now)
    return schedule.next_after(first) - first >= _MONITORED_FROM
