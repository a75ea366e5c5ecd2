"""Evidence: sealing and verifying 100,000 records, beside the machine's raw SHA-256 rate over the same bytes.

Baseline: one call of hashlib.sha256 per record, in one thread, in the same run. The records lie in memory, so that the
numbers are those of our code and not of a storage account; all times are processor time. Also prints what making a
record costs (validation, redaction, canonical JSON), and the size of a proof for one record of a million.
Exits 1 when a proof is 2 KB or larger, the log does not verify, or sealing or verifying falls below its share.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from local.memory_blobs import MemoryBlobContainer
from shared.evidence.canonical import Json, canonical, instant
from shared.evidence.canonical import sha256 as hexadecimal
from shared.evidence.log import Proof
from shared.evidence.merkle import Tree
from shared.evidence.record import Record, name_prefix, write
from shared.evidence.seal import seal_records
from shared.evidence.verify import Verification, root_from_inclusion_proof

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEALING_SHARE, VERIFYING_SHARE = 0.01, 0.005
PROOF_LIMIT = 2048
MILLION = 1_000_000


def body(number: int) -> dict[str, Json]:
    server = "Microsoft.DBforPostgreSQL/flexibleServers/pg-prod"
    return {
        "target": f"/subscriptions/3f2504e0-4f89-41d3-9a0c-0305e82c3301/resourceGroups/rg-prod/providers/{server}",
        "action": "scale",
        "before": {"sku": "Standard_D2ds_v5", "replicas": 2},
        "after": {"sku": "Standard_D4ds_v5", "replicas": 2 + number % 5},
        "reason": "month-end close begins in 2 business days",
        "decision": {
            "verdict": "allow",
            "reasons": ["no freeze", "budget 3 of 10"],
            "plan": hexadecimal(b"%d" % number),
        },
        "seconds": number % 977 / 8,
    }


def record(number: int) -> Record:
    return Record(
        automation="peak_scaling",
        kind="applied",
        subject=f"change:{number}",
        time=NOON + timedelta(milliseconds=number),
        environment="production",
        estate_version="7f3a",
        app_version="0.1.0",
        body=body(number),
    )


def fill(container: MemoryBlobContainer, count: int) -> list[bytes]:
    """The same records as `record` makes, without its price: their bodies need no redaction."""
    written: list[bytes] = []
    for number in range(count):
        time_text = instant(NOON + timedelta(milliseconds=number))
        occasion = ["peak_scaling", "applied", f"change:{number}", "production", None, time_text]
        identity = hexadecimal(canonical(["closekeeper.evidence.record", *occasion]))[:32]
        data = canonical(
            {
                "schema": "closekeeper.evidence.record/1",
                "id": identity,
                "automation": "peak_scaling",
                "kind": "applied",
                "subject": f"change:{number}",
                "time": time_text,
                "environment": "production",
                "tenant": None,
                "actor": None,
                "estate_version": "7f3a",
                "app_version": "0.1.0",
                "body": body(number),
            }
        )
        container.create(f"{name_prefix(NOON + timedelta(milliseconds=number))}-{identity}.json", data)
        written.append(data)
    assert container.read(record(1).name).data == record(1).data
    return written


class Files:
    """What the verifier reads, from memory."""

    def __init__(self, container: MemoryBlobContainer) -> None:
        self._container = container
        self.names = {blob.name for blob in container.list()}

    def read(self, name: str) -> bytes:
        return self._container.read(name).data


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="few records, and a proof of one of ten thousand")
    smoke = parser.parse_args().smoke
    count, made, leaves = (5_000, 200, 10_000) if smoke else (100_000, 2_000, MILLION)

    container = MemoryBlobContainer()
    data = fill(container, count)
    size = sum(map(len, data)) // count
    raw = count / min(seconds(lambda: [sha256(each) for each in data]) for _ in range(3))
    print(f"{count:,} records of {size} bytes; raw SHA-256: {raw:,.0f} records/s, {raw * size / 1e6:,.0f} MB/s")

    writing = made / seconds(lambda: [write(MemoryBlobContainer(), record(number)) for number in range(made)])
    print(f"making and writing a record: {writing:,.0f} records/s, {writing / raw:.2%} of raw")

    now = NOON + timedelta(milliseconds=count)
    sealing = count / seconds(lambda: seal_records(container, now=now, app_version="0.1.0"))
    print(f"sealing:   {sealing:,.0f} records/s, {sealing / raw:.1%} of raw")

    results: list[Verification] = []
    verifying = count / seconds(lambda: results.append(Verification(Files(container))))
    print(f"verifying: {verifying:,.0f} records/s, {verifying / raw:.1%} of raw; {results[0].notes[0]}")

    tree = Tree(sha256(number.to_bytes(4)).digest() for number in range(leaves))
    index = leaves * 2 // 3
    path = tree.inclusion_proof(index)
    proof = Proof(
        record=record(index).name, index=index, tree_size=leaves, seal=1, path=tuple(step.hex() for step in path)
    )
    holds = root_from_inclusion_proof(tree.leaf(index), index, leaves, path) == tree.root()
    print(f"proof of one of {leaves:,}: {len(path)} steps, {len(proof.data)} bytes, {'holds' if holds else 'FAILS'}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB, records included")

    good = (
        holds
        and not results[0].problems
        and len(proof.data) < PROOF_LIMIT
        and sealing >= SEALING_SHARE * raw
        and verifying >= VERIFYING_SHARE * raw
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
