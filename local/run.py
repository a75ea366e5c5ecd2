"""`make run`: the embedded estate, the functions host, and a restore drill told step by step."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from local.embedded_estate import EmbeddedEstate, sample_settings
from local.functions_host.config import HostConfig
from local.functions_host.host import FunctionsHost
from shared.estate.loading import load_estate

_PROJECT = Path(__file__).resolve().parents[1]
_TERMINAL = {"completed", "failed", "terminated"}
_DRILL_SECONDS = 300.0
_TICK_SECONDS = 120.0
_FAILING = {"error", "critical"}


class StoryFailedError(Exception):
    """Something in the story did not go well; the message says what."""


def run(folder: Path, estate_file: Path, reports: Path, *, once: bool, port: int, journal_items: int) -> None:
    """Start everything, drill, and stay until interrupted unless `once`. Raises StoryFailedError.

    The data is in `folder`; the drill's report goes to `reports`, which may outlive it.
    """
    with ExitStack() as stack:
        say("Closekeeper on this machine: the declared estate on loopback, with real PostgreSQL servers.\n")
        declared = load_estate(estate_file.read_text(encoding="utf-8"), str(estate_file))
        environments = tuple(name for name, environment in declared.environments.items() if environment.postgres)
        estate = stack.enter_context(
            EmbeddedEstate(folder, estate_file, environments=environments, progress=step, journal_items=journal_items)
        )
        with step("The functions host, with the app in a worker process") as ended:
            settings = estate.settings()
            (folder / "local.settings.json").write_text(json.dumps(sample_settings(settings), indent=2) + "\n")
            host = stack.enter_context(
                FunctionsHost(HostConfig(_PROJECT, folder / "host", port=port, settings=settings))
            )
            host.wait_ready()
            ended(f"{host.url}, {len(host.functions)} functions")
        with step("The nightly look at the live books, and the hourly one at the backups"):
            fire(host, "anchors_tick", "backup_inventory_tick")
            await_anchors(estate)
        server = next(iter(estate.environments["production"].postgres))
        report = drill(host, "production", server)
        tell(report)
        keep(host, reports, report["id"])
        if report["outcome"] != "passed":
            raise StoryFailedError(f"the drill failed: {'; '.join(report['failures'])}")
        if not once:
            stay(estate, host, folder, report["id"])


def drill(host: FunctionsHost, environment: str, server: str) -> dict[str, Any]:
    """Ask for a drill as an operator would, and follow it to its report."""
    say(f"\nRestore drill of {environment}/{server}, asked for by POST /api/drills")
    with httpx.Client(base_url=host.url, headers={"x-functions-key": host.function_key}, timeout=30) as api:
        started = time.monotonic()
        accepted = api.post("/api/drills", json={"environment": environment, "server": server})
        if accepted.status_code != 202:
            raise StoryFailedError(f"POST /api/drills answered {accepted.status_code}: {accepted.text}")
        where, phase = accepted.headers["Location"], ""
        while time.monotonic() - started < _DRILL_SECONDS:
            state: dict[str, Any] = api.get(where).raise_for_status().json()
            now = (state["progress"] or {}).get("phase", "")
            if now != phase:
                phase = now
                say(f"  {time.monotonic() - started:5.1f} s  {phase}")
            if state["status"] in _TERMINAL:
                if state["report"] is None:
                    raise StoryFailedError(f"the drill {state['status']} without a report")
                report: dict[str, Any] = state["report"]
                return report
            time.sleep(0.2)
    raise StoryFailedError(f"the drill was not done within {_DRILL_SECONDS:.0f} s")


def fire(host: FunctionsHost, *timers: str) -> None:
    """Let timers tick now, as Core Tools does."""
    with httpx.Client(base_url=host.url, headers={"x-functions-key": host.master_key}, timeout=30) as admin:
        for timer in timers:
            admin.post(f"/admin/functions/{timer}", json={}).raise_for_status()


def await_anchors(estate: EmbeddedEstate) -> None:
    """Wait until each of production's databases was looked at: what is restored later is compared with that."""
    wanted = sum(len(server.databases) for server in estate.environments["production"].postgres.values())
    deadline = time.monotonic() + _TICK_SECONDS
    while len(list(estate.state.list_blobs(name_starts_with="anchors/production/"))) < wanted:
        if time.monotonic() > deadline:
            raise StoryFailedError(
                f"the live books were not looked at within {_TICK_SECONDS:.0f} s: see the host's log"
            )
        time.sleep(0.2)


def keep(host: FunctionsHost, reports: Path, drilled: str) -> None:
    """Put the report there, as an auditor would be handed it."""
    reports.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=host.url, headers={"x-functions-key": host.function_key}, timeout=60) as api:
        for ending, accepted in (("html", "text/html"), ("json", "application/json")):
            answer = api.get(f"/api/drills/{drilled}/report", headers={"Accept": accepted}).raise_for_status()
            file = reports / f"drill-report.{ending}"
            file.write_bytes(answer.content)
            say(f"  report           {file}")


def tell(report: dict[str, Any]) -> None:
    """The report in words."""
    say(f"\nThe drill {report['outcome']}.")
    say(f"  restored server  {report['restored_server_id'].rpartition('/')[2]}, to {report['target']}")
    for books in report["books"]:
        say(
            f"  {books['tenant'] or books['database']:15}  {books['moves']} posted entries, {books['lines']} journal "
            f"items, {books['hashed_moves']} seals recomputed"
        )
        for check in books["checks"]:
            found = [finding for finding in books["findings"] if finding["check"] == check]
            word = "ok" if not found else "FAILED" if found[0]["severity"] in _FAILING else "noted"
            say(f"  {'':15}  {word:7}{check}{': ' + found[0]['message'] if found else ''}")
    if report["rto_seconds"] is not None:
        say(f"  RTO              {report['rto_seconds']:.1f} s of {report['rto_objective_seconds']} s allowed")
    if report["rpo_seconds"] is not None:
        say(f"  RPO              {report['rpo_seconds']:.1f} s of {report['rpo_objective_seconds']} s allowed")
    say(f"  removed          {'yes, Azure answers 404' if report['removed'] else 'NO'}")
    say(f"  evidence         {report['evidence']['name']}")
    say(f"                   sha256 {report['evidence']['sha256']}")
    for failure in report["failures"]:
        say(f"  failure          {failure}")


def stay(estate: EmbeddedEstate, host: FunctionsHost, folder: Path, drilled: str) -> None:
    """Say what there is to try, and wait for Ctrl-C."""
    key = host.function_key
    say(f"""
The estate stays up until Ctrl-C.
  API               {host.url}/api          key: {key}
  host              {host.url}/admin        master key: {host.master_key}
  blobs             {estate.azurite.blob_url}
  Resource Manager  {estate.azure.resource_manager_url}
  settings          {folder / "local.settings.json"} (for `func start`)
  log               {folder / "host" / "logs"}

Three things to try:
  curl -H 'x-functions-key: {key}' {host.url}/api/drills/{drilled}
  curl -H 'x-functions-key: {key}' -H 'Idempotency-Key: second' -d '{{"environment": "production", "server": "{
        next(iter(estate.environments["production"].postgres))
    }"}}' {host.url}/api/drills
  curl -X POST -H 'x-functions-key: {host.master_key}' -H 'Content-Type: application/json' -d '{{}}' \\
       {host.url}/admin/functions/drill_reaper""")
    while True:
        time.sleep(3600)


@contextmanager
def step(title: str) -> Iterator[Callable[[str], None]]:
    """Announce a step, and say how it ended and how long it took."""
    words: list[str] = []
    started = time.monotonic()
    say(f"  {datetime.now(UTC):%H:%M:%S}  {title} ... ", end="")
    try:
        yield words.append
    except BaseException:
        say("failed")
        raise
    say(f"{time.monotonic() - started:.1f} s  {' '.join(words)}")


def say(text: str, end: str = "\n") -> None:
    """Print at once, also into a pipe."""
    print(text, end=end)
    sys.stdout.flush()
