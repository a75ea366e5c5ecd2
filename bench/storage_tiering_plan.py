"""Planning an account of 10 million blobs from its inventory report, beside only scanning the same file.

Baselines, in the same run: reading every column of the report in the same lots by the same engine (polars), doing
nothing with them; and a loop in plain Python that applies the same policy to the same rows one by one, on a sample,
without the holds, the money and the sums. Each is a process of its own, so that its peak memory is its own. Two
reports: a quiet day, on which little is due, and a first run, on which much is.
Exits 1 when the quiet day takes more than twice the raw scan, or planning uses 500 MB or more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from shared.blob_facts import Tier
from shared.estate.policies.rates import StorageRates
from shared.estate.policies.storage_tiering import DocumentClass
from shared.finance_calendar.periods import FiscalCalendar
from shared.platforms import inventory_files
from shared.storage_tiering.account import AccountAbilities, AccountRules, ContainerClasses
from shared.storage_tiering.inventory_columns import facts_of, wanted
from shared.storage_tiering.plan import Plan

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
CLASSES = {
    "attachment": {"cool_after": "120d", "cold_after": "400d", "archive_after": "800d", "kept_by_law": "10y"},
    "payment-file": {"cool_after": "30d", "archive_after": "400d", "kept_by_law": "10y"},
    "export": {"cool_after": "30d", "delete_after": "730d"},
    "log": {"cool_after": "7d", "delete_after": "400d"},
    "backup": {"keep": {"last": 3, "daily": 14, "weekly": 8, "monthly": 12, "yearly": 10}, "cool_after": "7d"},
}
TIERS = [tier.value for tier in Tier]
RATIO, MEMORY_MB = 2.0, 500


def rules() -> AccountRules:
    rates = {
        "hot": {"gb_month": 0.0196, "write_10k": 0.059, "read_10k": 0.0047},
        "cool": {"gb_month": 0.0110, "write_10k": 0.118, "read_10k": 0.0118, "retrieve_gb": 0.0110},
        "cold": {"gb_month": 0.0041, "write_10k": 0.212, "read_10k": 0.118, "retrieve_gb": 0.0330},
        "archive": {"gb_month": 0.0020, "write_10k": 0.130, "read_10k": 6.47, "retrieve_gb": 0.0220},
    }
    return AccountRules(
        now=NOW,
        zone=ZoneInfo("Europe/Berlin"),
        fiscal=FiscalCalendar(),
        containers={
            "attachments": ContainerClasses("attachment", {}),
            "exchange": ContainerClasses("export", {"pain.001/": "payment-file"}),
            "logs": ContainerClasses("log", {}),
            "dumps": ContainerClasses("backup", {}),
        },
        classes={name: DocumentClass.model_validate(each) for name, each in CLASSES.items()},
        rates=StorageRates.model_validate(rates),
        payback=timedelta(days=183),
        abilities=AccountAbilities(archive=True, soft_delete=True),
        audited=((datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),),
    )


def write_report(path: Path, blobs: int, behind: float) -> None:
    """A report as Azure writes it. That share of the blobs is behind: still hot, and not deleted, whatever its age."""
    lots: list[Path] = []
    for start in range(0, blobs, 500_000):
        lots.append(path.with_suffix(f".{start}"))
        _lot(start, min(start + 500_000, blobs), behind).write_parquet(lots[-1], row_group_size=250_000)
    pl.scan_parquet(lots).sink_parquet(path, row_group_size=250_000)
    for lot in lots:
        lot.unlink()


def _lot(start: int, end: int, behind: float) -> pl.DataFrame:
    number = pl.int_range(start, end, eager=True)
    frame = pl.DataFrame({"i": number, "a": number.hash(1), "b": number.hash(2), "c": number.hash(3)})
    share, late = pl.col("a") % 100, pl.col("c") % 10_000 < int(behind * 10_000)
    now = pl.lit(NOW).cast(pl.Datetime("ms", "UTC"))
    # Exports and logs that are past their deletion are gone, but for what is behind.
    age = pl.when((share < 86) | (share == 99) | late).then(pl.col("b") % 1200).otherwise(pl.col("b") % 395)
    frame = frame.with_columns(age=age.cast(pl.Int64), folder=(pl.col("a") // 128 % 256).cast(pl.String))
    created = now - pl.duration(days="age", seconds=(pl.col("c") % 86_400).cast(pl.Int64))
    name = (
        pl.when(share < 80)
        .then(pl.format("attachments/contoso/{}/{}{}.pdf", "folder", "a", "i"))
        .when(share < 86)
        .then(pl.format("exchange/pain.001/{}/{}.xml", "folder", "i"))
        .when(share < 92)
        .then(pl.format("exchange/reports/{}/{}.csv", "folder", "i"))
        .when(share < 99)
        .then(pl.format("logs/{}/{}.json", "folder", "i"))
        .otherwise(pl.format("dumps/{}/db-{}.dump", "folder", created.dt.strftime("%Y-%m-%dT%H%M")))
    )
    age_of = pl.col("age")
    settled = (
        pl.when(share < 80)
        .then(pl.when(age_of >= 800).then(3).when(age_of >= 400).then(2).when(age_of >= 120).then(1).otherwise(0))
        .when(share < 86)
        .then(pl.when(age_of >= 400).then(3).when(age_of >= 30).then(1).otherwise(0))
        .otherwise(pl.when(age_of >= 7).then(1).otherwise(0))
    )
    return frame.select(
        name.alias("Name"),
        created.alias("Creation-Time"),
        created.alias("Last-Modified"),
        pl.format("0x{}", "c").alias("Etag"),
        (pl.col("c") % 4_000_000).cast(pl.Int64).alias("Content-Length"),
        pl.lit("BlockBlob").alias("BlobType"),
        pl.when(late).then(0).otherwise(settled).replace_strict(list(range(4)), TIERS).alias("AccessTier"),
        (created + pl.duration(days=age_of // 2)).alias("AccessTierChangeTime"),
        pl.lit("unlocked").alias("LeaseStatus"),
        (pl.col("c") % 1000 == 0).alias("LegalHold"),
        pl.when(pl.col("c") % 500 == 0).then(now + pl.duration(days=90)).alias("ImmutabilityPolicyUntilDate"),
        pl.lit(None, pl.String).alias("ArchiveStatus"),
    )


def scan(report: Path) -> dict[str, float]:
    """Read every column, and do nothing."""
    return {"rows": sum(frame.height for frame in inventory_files.read(report, "parquet", list))}


def plan(report: Path) -> dict[str, float]:
    """Plan, and count what is decided."""

    planned = Plan(rules(), map(facts_of, inventory_files.read(report, "parquet", wanted)))
    decided = {"moves": 0, "deletions": 0, "blocked": 0}
    for batch in planned:
        decided["moves"] += batch.move_columns.height
        decided["deletions"] += batch.deletion_columns.height
        decided["blocked"] += batch.blocked_columns.height
    return {"rows": sum(each.blobs for each in planned.totals.seen.values()), **decided}


def loop(report: Path) -> dict[str, float]:
    """The ages of the same policy, one row at a time, without retention, holds, money and sums."""
    declared = rules()
    places = sorted(
        ((f"{name}/{prefix}", found) for name, each in declared.containers.items()
         for prefix, found in {"": each.document_class, **each.folders}.items()),
        key=lambda place: -len(place[0]),
    )  # fmt: skip
    sample = next(inventory_files.read(report, "parquet", wanted, rows=200_000))
    rows = sample.rows(named=True)
    began, due = time.perf_counter(), 0
    for row in rows:
        policy = next((declared.classes[found] for place, found in places if row["Name"].startswith(place)), None)
        if policy is None:
            continue
        age = NOW - row["Last-Modified"]
        steps = (policy.cool_after, policy.cold_after, policy.archive_after)
        deepest = max((rank for rank, step in enumerate(steps, 1) if step and age >= step.age), default=0)
        due += deepest > TIERS.index(row["AccessTier"]) or bool(policy.delete_after and age >= policy.delete_after.age)
    return {"rows": len(rows), "due": due, "seconds": time.perf_counter() - began}


def _peak_memory() -> float:
    """In MB; not `ru_maxrss`, which a child inherits from its parent."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


WORK = {"scan": scan, "plan": plan, "loop": loop}


def measured(work: str, report: Path) -> dict[str, float]:
    """That work in a process of its own: what it counted, its seconds (imports not counted), its peak memory in MB."""
    command = [sys.executable, "-m", "bench.storage_tiering_plan", "--work", work, "--report", str(report)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blobs", type=int, default=10_000_000)
    parser.add_argument("--smoke", action="store_true", help="200,000 blobs, and no judgement")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        began = time.perf_counter()
        done = {"seconds": 0.0, **WORK[asked.work](asked.report)}
        done["seconds"] = done["seconds"] or time.perf_counter() - began
        done["memory"] = _peak_memory()
        print(json.dumps(done))
        return 0
    blobs, good = 200_000 if asked.smoke else asked.blobs, True
    with tempfile.TemporaryDirectory() as folder:
        for day, behind in {"quiet day": 0.002, "first run": 0.6}.items():
            report = Path(folder) / "report.parquet"
            write_report(report, blobs, behind)
            print(f"{day}: {blobs:,} blobs, {report.stat().st_size / 1e6:,.0f} MB of Parquet")
            raw, done, plain = (
                min((measured(work, report) for _ in range(repeats)), key=lambda each: each["seconds"])
                for work, repeats in (("scan", 3), ("plan", 3), ("loop", 1))
            )
            for name, each in (("raw scan", raw), ("plan", done), ("plain loop, sample", plain)):
                speed = each["rows"] / each["seconds"]
                print(f"  {name:20}{speed:14,.0f} blobs/s {each['seconds']:8.2f} s {each['memory']:8,.0f} MB")
            ratio = done["seconds"] / raw["seconds"]
            faster = done["rows"] / done["seconds"] / (plain["rows"] / plain["seconds"])
            print(f"  plan / raw scan {ratio:.2f} (goal: {RATIO:g} on a quiet day); {faster:.0f} times the plain loop")
            print(f"  {done['moves']:,} moves, {done['deletions']:,} deletions, {done['blocked']:,} blocked")
            good &= done["memory"] < MEMORY_MB and (ratio <= RATIO or behind > 0.1)
    return 0 if good or asked.smoke else 1


if __name__ == "__main__":
    sys.exit(main())
