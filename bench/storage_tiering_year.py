"""Four hundred days of backups, logs and documents, a day at a time: what our plan costs beside doing nothing, and
beside a typical lifecycle policy of the account (cool at 30 days, archive at 90, deleted at 365).

Every strategy lives through the same blobs and the same reads. A ledger of its own charges storage by the day, a write
for each change of tier, early deletion, reads, retrieval, and rehydration when something archived is asked for. Each
week the newest dumps are restored in a drill; the auditors of last year's books read one document in ten of that year.
Exits 1 when our plan is not the cheapest, loses what the law keeps, or has a dump in archive when it is asked for.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import polars as pl

from shared.blob_facts import MINIMUM_DAYS, Tier
from shared.estate.policies.rates import BlobRates, StorageRates
from shared.estate.policies.storage_tiering import DocumentClass
from shared.finance_calendar.periods import FiscalCalendar
from shared.storage_tiering.account import AccountAbilities, AccountRules, ContainerClasses, VerifiedBackup
from shared.storage_tiering.frames import SCHEMA, completed
from shared.storage_tiering.plan import Plan

BEGIN = datetime(2025, 11, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
GB, MONTH = 2**30, 365 / 12
AUDITED = (datetime(2024, 12, 31, 23, tzinfo=UTC), datetime(2025, 12, 31, 23, tzinfo=UTC))
AUDIT = (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 4, 17, tzinfo=UTC))
CLASSES = {
    "backup": {
        "backup": True,
        "keep": {"last": 3, "daily": 14, "weekly": 8, "monthly": 12, "yearly": 10},
        "cool_after": "7d since creation",
        "cold_after": "30d since creation",
        "archive_after": "60d since creation",
    },
    "log": {"cool_after": "7d", "cold_after": "30d", "archive_after": "90d", "delete_after": "365d"},
    "document": {"cool_after": "30d", "cold_after": "60d", "archive_after": "240d", "kept_by_law": "10y"},
}
RATES = {
    "hot": {"gb_month": 0.0196, "write_10k": 0.059, "read_10k": 0.0047},
    "cool": {"gb_month": 0.0110, "write_10k": 0.118, "read_10k": 0.0118, "retrieve_gb": 0.0110},
    "cold": {"gb_month": 0.0041, "write_10k": 0.212, "read_10k": 0.118, "retrieve_gb": 0.0330},
    "archive": {"gb_month": 0.0020, "write_10k": 0.130, "read_10k": 6.47, "retrieve_gb": 0.0220},
}
DATABASES = ("contoso", "fabrikam", "northwind", "adventure")


@dataclass(slots=True)
class Stored:
    """A blob as the ledger knows it."""

    container: str
    name: str
    size: int
    created: datetime
    tier: Tier = Tier.HOT
    since: datetime = BEGIN


@dataclass(slots=True)
class Ledger:
    """What the account is charged, by what for; computed apart from the planner, one blob at a time."""

    rates: StorageRates
    charged: dict[str, float] = field(default_factory=dict[str, float])
    moves: int = 0
    waited: int = 0
    """How often something had to be rehydrated before it could be read."""

    def of(self, tier: Tier) -> BlobRates:
        return getattr(self.rates, tier.name.lower())

    def charge(self, what: str, amount: float) -> None:
        self.charged[what] = self.charged.get(what, 0.0) + amount

    def store(self, blobs: dict[str, Stored]) -> None:
        for blob in blobs.values():
            self.charge(f"storage of {blob.container}", blob.size / GB * self.of(blob.tier).gb_month / MONTH)

    def leave(self, blob: Stored, now: datetime) -> None:
        lacking = max(0.0, MINIMUM_DAYS[blob.tier] - (now - blob.since) / DAY)
        self.charge("early deletion", blob.size / GB * self.of(blob.tier).gb_month / MONTH * lacking)

    def move(self, blob: Stored, to: Tier, now: datetime) -> None:
        self.leave(blob, now)
        self.charge("changes of tier", self.of(to).write_10k / 10_000)
        self.moves += 1
        blob.tier, blob.since = to, now

    def read(self, blob: Stored, now: datetime) -> None:
        rates = self.of(blob.tier)
        what = "rehydration" if blob.tier == Tier.ARCHIVE else "reads"
        self.charge(what, rates.read_10k / 10_000 + blob.size / GB * rates.retrieve_gb)
        if blob.tier == Tier.ARCHIVE:
            self.waited += 1
            self.leave(blob, now)
            blob.tier, blob.since = Tier.HOT, now

    @property
    def total(self) -> float:
        return sum(self.charged.values())


class Strategy:
    """What is done each night. This one does nothing."""

    name = "nothing is moved"

    def __init__(self) -> None:
        self.blobs: dict[str, Stored] = {}
        self.ledger = Ledger(StorageRates.model_validate(RATES))
        self.lost = 0

    def night(self, now: datetime) -> None:
        """Act once."""

    def delete(self, path: str, now: datetime) -> None:
        blob = self.blobs.pop(path)
        self.ledger.leave(blob, now)
        self.lost += blob.container == "document"


class Native(Strategy):
    """A lifecycle policy as most accounts have it; it rehydrates nothing, and archives again what came back."""

    name = "native: cool 30, archive 90, delete 365"

    def night(self, now: datetime) -> None:
        for path, blob in list(self.blobs.items()):
            age = (now - blob.created) / DAY
            if age > 365:
                self.delete(path, now)
            elif age > 90 and blob.tier != Tier.ARCHIVE:
                self.ledger.move(blob, Tier.ARCHIVE, now)
            elif 30 < age <= 90 and blob.tier == Tier.HOT:
                self.ledger.move(blob, Tier.COOL, now)


class Planned(Strategy):
    """Our plan, applied as it says."""

    name = "planned"
    early_deletion = 0.0
    """As the plans foretold it, to be compared with what the ledger charged."""

    def night(self, now: datetime) -> None:
        plan = Plan(account_rules(now, self.blobs), [facts(self.blobs)])
        for batch in plan:
            for deletion in batch.deletions():
                self.early_deletion += deletion.early_deletion
                self.delete(f"{deletion.target.container}/{deletion.target.name}", now)
            for move in batch.moves():
                self.early_deletion += move.early_deletion
                self.ledger.move(self.blobs[f"{move.target.container}/{move.target.name}"], Tier(move.to_tier), now)


def account_rules(now: datetime, blobs: dict[str, Stored]) -> AccountRules:
    """The rules of that night: the newest dump that a drill proved is that of the last Sunday."""
    sunday = now - ((now.weekday() + 1) % 7) * DAY
    proven = [dump_of(database, sunday) for database in DATABASES]
    return AccountRules(
        now=now,
        zone=ZoneInfo("Europe/Berlin"),
        fiscal=FiscalCalendar(),
        containers={name: ContainerClasses(name, {}) for name in CLASSES},
        classes={name: DocumentClass.model_validate(each) for name, each in CLASSES.items()},
        rates=StorageRates.model_validate(RATES),
        payback=183 * DAY,
        abilities=AccountAbilities(archive=True, soft_delete=True),
        audited=(AUDITED,) if AUDIT[0] <= now < AUDIT[1] else (),
        verified=tuple(
            VerifiedBackup("backup", (name,), blobs[f"backup/{name}"].created)
            for name in proven
            if f"backup/{name}" in blobs
        ),
    )


def dump_of(database: str, day: datetime) -> str:
    return f"{database}/{database}-{day:%Y-%m-%d}.dump"


def facts(blobs: dict[str, Stored]) -> pl.DataFrame:
    """The ledger's blobs as a listing."""
    rows = [
        (path, each.size, each.created, each.created, "BlockBlob", each.tier.value, each.since)
        for path, each in blobs.items()
    ]
    columns = ("path", "size", "created", "modified", "kind", "tier", "tier_changed")
    return completed(pl.DataFrame(rows, schema={name: SCHEMA[name] for name in columns}, orient="row"))


def written(day: datetime, random: Random, documents: int) -> Iterator[Stored]:
    """What one day brings. Documents are small, some of them large; dumps grow."""
    grown = 1 + (day - BEGIN) / DAY / 400
    for database in DATABASES:
        yield Stored("backup", dump_of(database, day), int(20 * GB * grown), day, since=day)
    for number in range(10):
        yield Stored("log", f"{day:%Y/%m/%d}/{number}.json", 40 * 2**20, day, since=day)
    for number in range(documents):
        size = int(min(random.lognormvariate(12.5, 1.6), 200e6))
        yield Stored("document", f"{day:%Y%m%d}-{number}.pdf", size, day + timedelta(hours=number % 20), since=day)


def simulate(days: int, documents: int, every: int = 1) -> list[Strategy]:
    """All strategies through the same days; ours and the account's act every so many nights."""
    strategies: list[Strategy] = [Strategy(), Native(), Planned()]
    random = Random(7)
    names: list[tuple[str, datetime]] = []
    for number in range(days):
        day = BEGIN + number * DAY
        new = list(written(day, random, documents))
        names += [(f"{each.container}/{each.name}", each.created) for each in new if each.container == "document"]
        read = list(reads(day, random, names))
        if day.weekday() == 6:
            read += [f"backup/{dump_of(database, day)}" for database in DATABASES]
        for strategy in strategies:
            for each in new:
                strategy.blobs[f"{each.container}/{each.name}"] = Stored(
                    each.container, each.name, each.size, each.created, since=each.created
                )
            for path in read:
                if path in strategy.blobs:
                    strategy.ledger.read(strategy.blobs[path], day)
            if number % every == 0:
                strategy.night(day + timedelta(hours=2))
            strategy.ledger.store(strategy.blobs)
    return strategies


def reads(day: datetime, random: Random, documents: list[tuple[str, datetime]]) -> Iterator[str]:
    """Young documents are read often, old ones seldom, those under audit again."""
    for path, created in documents:
        under_audit = AUDIT[0] <= day < AUDIT[1] and AUDITED[0] <= created < AUDITED[1]
        chance = 0.05 if day - created < 14 * DAY else 0.0002
        if random.random() < (0.1 / 46 if under_audit else chance):
            yield path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="120 days, every tenth night, and no judgement")
    smoke = parser.parse_args().smoke
    strategies = simulate(120, 10, every=10) if smoke else simulate(400, 30)
    for strategy in strategies:
        ledger = strategy.ledger
        print(f"{strategy.name}: {ledger.total:,.2f}; {len(strategy.blobs):,} blobs, {ledger.moves:,} changes of tier,")
        print(f"  {ledger.waited} reads waited for rehydration, {strategy.lost} documents gone that the law keeps")
        for what, amount in sorted(ledger.charged.items()):
            print(f"    {what:24}{amount:12,.2f}")
    nothing, native, planned = strategies
    share = [planned.ledger.total / each.ledger.total for each in (nothing, native)]
    print(f"planned / nothing {share[0]:.2f}; planned / native {share[1]:.2f}")
    good = max(share) < 1 and planned.lost == 0
    return 0 if good or smoke else 1


if __name__ == "__main__":
    sys.exit(main())
