"""Planning and applying a tiering policy to 20,000 blobs: by batches, beside one call per blob, through the same proxy.

The plan is made from a listing of Azurite, compared with a plain loop over the same listing, and carried out. Then all
blobs are moved by batches, and a sample of them one call each, with the same number of requests at a time and the same
latency added to each request; the single calls are a sample, since all would take many minutes.
Exits 1 when the plan differs from the loop's, when applying it took more than n / 256 changing requests and 5 % (the
looks before, one for 5,000 blobs, are printed beside), or when batches are less than 10 times as fast as single calls.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared.blob_batches import SetTier
from shared.platforms import blob_requests
from shared.storage_tiering.answers import Outcome
from tests.tiering_apply.planned import fill, plain_loop, planned_steps
from tests.tiering_apply.world import Documents, Service, service

_LATENCY = 0.020
_TIMES = 10.0
_MORE_REQUESTS = 0.05
_LATER = timedelta(days=40)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blobs", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=400, help="blobs moved singly, for each number at once")
    parser.add_argument("--at-once", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--latency", type=float, default=_LATENCY, help="seconds added to each request")
    parser.add_argument("--smoke", action="store_true", help="small, to see that it runs; speed is not judged")
    asked = parser.parse_args()
    if asked.smoke:
        asked.blobs, asked.sample, asked.at_once = 1_024, 40, [1]
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
        documents = running.container("bench")
        began = time.perf_counter()
        fill(documents, asked.blobs)
        print(f"{asked.blobs:,} blobs uploaded in {time.perf_counter() - began:.0f} s")
        good = plan_and_apply(documents) or asked.smoke
        running.proxy.latency = asked.latency
        tiers = ["Cold", "Hot"] * len(asked.at_once)
        for tier, at_once in zip(tiers, asked.at_once, strict=False):
            batched, (batches, looks) = by_batch(running, documents, tier, at_once)
            single = singly(running, documents, "Cool", at_once, asked.sample)
            print(
                f"{at_once} at once, {asked.latency * 1000:.0f} ms: batches {batched:,.0f} blobs/s "
                f"({batches} requests to change for at least {-(-asked.blobs // 256)}, {looks} to look before), "
                f"one call each {single:,.0f} blobs/s: {batched / single:.1f} times (goal: {_TIMES:g})"
            )
            good &= asked.smoke or batched / single >= _TIMES
    return 0 if good else 1


def plan_and_apply(documents: Documents) -> bool:
    """Plan for a later day, since all blobs are new; whether the plan is the loop's, and its requests are few."""
    now = datetime.now(UTC) + _LATER
    began = time.perf_counter()
    steps = planned_steps(documents, now)
    seconds = time.perf_counter() - began
    same = {step.name: step.to for step in steps} == plain_loop(documents, now)
    before = documents.tiers()
    documents.proxy.forget()
    progress = documents.run(documents.work(steps, "planned"))
    tiers = before | {step.name: step.to for step in steps}
    batches, looks = documents.proxy.count("batch"), documents.proxy.count("list")
    least = len(steps) / 256
    moved = set(documents.proxy.moved().values()) == {1} and documents.tiers() == tiers
    print(
        f"planned {len(steps):,} moves of {len(before):,} blobs in {seconds:.1f} s, "
        f"{'the same as' if same else 'OTHER THAN'} a plain loop; applied with {batches} batches "
        f"({batches / least - 1:.1%} more than n / 256, goal: {_MORE_REQUESTS:.0%}) and {looks} looks before "
        f"({(batches + looks) / least - 1:.1%} with them), "
        f"{'each blob moved once and no other' if moved else 'NOT as planned'}"
    )
    few = batches <= max(least * (1 + _MORE_REQUESTS), -(-len(steps) // 256))
    return same and moved and few and progress.blobs(Outcome.DONE) == len(steps)


def by_batch(running: Service, documents: Documents, tier: str, at_once: int) -> tuple[float, tuple[int, int]]:
    """Blobs a second, and how many requests of each kind the proxy saw; every blob is then as it was asked to be."""
    work = documents.work(documents.steps(tier), f"run-{tier}-{at_once}")
    running.proxy.forget()
    began = time.perf_counter()
    progress = documents.run(work, at_once=at_once)
    seconds = time.perf_counter() - began
    if progress.blobs(Outcome.DONE) != work.steps or set(documents.tiers().values()) != {tier}:
        raise SystemExit(f"not all were moved: {progress.sentence}")
    return work.steps / seconds, (running.proxy.count("batch"), running.proxy.count("list"))


def singly(running: Service, documents: Documents, tier: str, at_once: int, sample: int) -> float:
    """Blobs a second of a sample, one request each, through the same pipeline; moved back past the clock."""
    from azure.core.rest import HttpRequest

    names = sorted(documents.tiers())[:sample]
    was = documents.tiers()[names[0]]
    client = blob_requests.pipeline(retries=False)

    def move(name: str) -> None:
        url = f"{documents.url}/{name}?comp=tier"
        headers = {"x-ms-version": blob_requests.API_VERSION, "x-ms-access-tier": tier, "Content-Length": "0"}
        client.send_request(HttpRequest("PUT", url, headers=headers)).raise_for_status()

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(move, names))
    seconds = time.perf_counter() - began
    latency, running.proxy.latency = running.proxy.latency, 0.0
    for start in range(0, len(names), 256):
        documents.batches.send([SetTier(name, was) for name in names[start : start + 256]])
    running.proxy.latency = latency
    return len(names) / seconds


if __name__ == "__main__":
    sys.exit(main())
