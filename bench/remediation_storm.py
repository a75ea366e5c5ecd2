"""A storm of alerts: how many are taken in a second, and how long it takes from a fault's first alert to a decision.

    python -m bench.remediation_storm            10,000 alerts of 50 faults
    python -m bench.remediation_storm --smoke    300 alerts of 9 faults, to see that it works

Alerts are duplicated, reordered, some resolved, and sent by 8 senders at once through HTTP to the app on the functions
host; state is in Azurite. Baseline: the same deliveries, by the same senders, to an app whose one HTTP function does
nothing, on the same kind of host in the same run. A decision is the first one about a fault, whatever it says; the
time until it includes the settling time, which is printed beside. Exits 1 when there are not as many remediations as
faults, an action was done twice, or an alert costs more than 60 times an empty function's call.
"""

import argparse
import contextlib
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local.embedded_estate import EmbeddedEstate
from local.functions_host.config import HostConfig
from local.functions_host.host import FunctionsHost
from tests.remediation_storm.faults import beginnings, bring_about, faults, repetitions, storm
from tests.remediation_storm.running import Sent, Watch, awaited, remediations, send, stormy

_TIMES = 60.0
_WHOLE = {"passing": 26, "doomed": 10, "resolved": 8, "unanswered": 6}
_SMALL = {"passing": 4, "doomed": 2, "resolved": 2, "unanswered": 1}
_EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "single-company" / "estate.yaml"
_EMPTY_APP = """
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp()

@app.route(route="signals", methods=["POST"])
def signals(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=202)
"""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--smoke", action="store_true", help="small, to see that it runs; speed is not judged")
    asked = parser.parse_args()
    alerts, kinds = (300, _SMALL) if asked.smoke else (asked.alerts, _WHOLE)
    with tempfile.TemporaryDirectory() as folder, _estate(Path(folder)) as estate:
        told = faults(**kinds)
        cluster_id = str(estate.environments["production"].clusters["main"].id)
        deliveries = list(storm(told, cluster_id, alerts, random.Random("storm")))
        empty = _empty(Path(folder), deliveries, asked.senders)
        _say("an empty function", alerts, empty)
        cluster = estate.clusters["production", "main"]
        bring_about(cluster, told)
        with stormy(estate, Path(folder) / "app", "2s") as team, Watch(team.app, pause=0.2) as watch:
            for beginning in beginnings(told, cluster_id):
                team.tell(beginning)
            ours = send(team.api, "/api/signals", deliveries, asked.senders)
            _say("taking signals in", alerts, ours)
            awaited(lambda: _all_decided(ours, watch), lambda: "not all were decided on", seconds=300)
            begun = len(remediations(team))
            settle = float(estate.settings()["REMEDIATION_SETTLE_SECONDS"])
            _say_decisions(ours, watch, settle)
            twice = [jobs for jobs in repetitions(cluster).values() if len(jobs) > 1]
        times = statistics.mean(ours.seconds) / statistics.mean(empty.seconds)
        print(f"one delivery takes {times:.1f} times as long as an empty function's call (budget {_TIMES:g})")
        print(
            f"{begun} remediations of {len(told)} faults (goal: as many), {len(twice)} actions done twice (goal: none)"
        )
        good = begun == len(told) and not twice and set(ours.statuses) == {202}
        return 0 if good and (asked.smoke or times <= _TIMES) else 1


@contextlib.contextmanager
def _silently(title: str) -> Iterator[Any]:
    yield lambda word: None


@contextlib.contextmanager
def _estate(folder: Path) -> Iterator[EmbeddedEstate]:
    with EmbeddedEstate(
        folder / "estate", _EXAMPLE, environments=("production",), progress=_silently, journal_items=200
    ) as running:
        yield running


def _empty(folder: Path, deliveries: list[Any], senders: int) -> Sent:
    app = folder / "empty"
    app.mkdir()
    (app / "function_app.py").write_text(_EMPTY_APP)
    (app / "host.json").write_text('{"version": "2.0"}')
    with FunctionsHost(HostConfig(app, folder / "empty-host", settings={})) as host:
        host.wait_ready()
        with httpx.Client(base_url=host.url, headers={"x-functions-key": host.function_key}, timeout=60) as api:
            send(api, "/api/signals", deliveries[:50], senders)
            return send(api, "/api/signals", deliveries, senders)


def _all_decided(sent: Sent, watch: Watch) -> bool:
    return set(sent.first) <= set(watch.decided)


def _say(what: str, alerts: int, sent: Sent) -> None:
    print(
        f"{what}: {alerts:,} alerts in {len(sent.seconds):,} deliveries in {sent.whole:.1f} s: "
        f"{alerts / sent.whole:,.0f} alerts/s; a delivery median {_ms(sent.seconds, 50)}, p99 {_ms(sent.seconds, 99)}"
    )


def _say_decisions(sent: Sent, watch: Watch, settle: float) -> None:
    seconds = [watch.decided[fault] - began for fault, began in sent.first.items()]
    print(
        f"from a fault's first alert to a decision: median {_ms(seconds, 50)}, p99 {_ms(seconds, 99)}, "
        f"of which {settle * 1000:.0f} ms are waited for a storm to show"
    )


def _ms(seconds: list[float], percentile: int) -> str:
    """A percentile in milliseconds."""
    return f"{statistics.quantiles(seconds, n=100, method='inclusive')[percentile - 1] * 1000:,.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
