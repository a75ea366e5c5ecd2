"""Applying a tiering plan to 20,000 blobs: by batches, beside one call per blob, both through the same proxy.

Both move blobs from hot to cool over the same connections' pipeline, with the same number of requests at a time and the
same latency added to each request. Prints blobs a second, requests, and the ratio. The single calls are made for a
sample, since all would take many minutes.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared.blob_batches import SetTier
from shared.platforms import blob_requests
from shared.storage_tiering.answers import Outcome
from tests.tiering_apply.world import Documents, Service, service

_LATENCY = 0.020


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blobs", type=int, default=20_000)
    parser.add_argument("--sample", type=int, default=400, help="blobs moved singly, for each number at once")
    parser.add_argument("--at-once", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--latency", type=float, default=_LATENCY, help="seconds added to each request")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder)) as running:
        documents = running.container("bench")
        began = time.perf_counter()
        documents.fill([f"2026/{number:06}.pdf" for number in range(asked.blobs)])
        print(f"{asked.blobs:,} blobs uploaded in {time.perf_counter() - began:.0f} s")
        running.proxy.latency = asked.latency
        tier = "Hot"
        for at_once in asked.at_once:
            tier = "Cool" if tier == "Hot" else "Hot"
            batched, requests = by_batch(running, documents, tier, at_once)
            other = "Cold"
            single = singly(running, documents, other, at_once, asked.sample)
            batches, looks = requests
            least = -(-asked.blobs // 256)
            print(
                f"{at_once} at once, {asked.latency * 1000:.0f} ms: batches {batched:,.0f} blobs/s "
                f"({batches} requests to change for at least {least}, {looks} to look before), "
                f"one call each {single:,.0f} blobs/s: {batched / single:.1f} times"
            )


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
    main()
