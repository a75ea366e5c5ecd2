"""An account and its rules, small and in one place, for the tests of storage tiering."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.blob_facts import BlobFacts
from shared.estate.policies.rates import StorageRates
from shared.estate.policies.storage_tiering import DocumentClass
from shared.finance_calendar.periods import FiscalCalendar
from shared.storage_tiering.account import AccountAbilities, AccountRules, ContainerClasses
from shared.storage_tiering.decisions import Blocked, Deletion, Move
from shared.storage_tiering.frames import batch_of
from shared.storage_tiering.plan import Plan

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
MB = 2**20
RATES = StorageRates.model_validate(
    {
        "hot": {"gb_month": 0.0196, "write_10k": 0.059, "read_10k": 0.0047},
        "cool": {"gb_month": 0.0110, "write_10k": 0.118, "read_10k": 0.0118, "retrieve_gb": 0.0110},
        "cold": {"gb_month": 0.0041, "write_10k": 0.212, "read_10k": 0.118, "retrieve_gb": 0.0330},
        "archive": {"gb_month": 0.0020, "write_10k": 0.130, "read_10k": 6.47, "retrieve_gb": 0.0220},
    }
)


def rules(classes: Mapping[str, Mapping[str, Any]], now: datetime = NOW, **more: Any) -> AccountRules:
    """Each class has the container of its name; soft delete is on, and archive is offered."""
    declared = {name: DocumentClass.model_validate(policy) for name, policy in classes.items()}
    found = AccountRules(
        now=now,
        zone=ZoneInfo("Europe/Berlin"),
        fiscal=FiscalCalendar(),
        containers={name: ContainerClasses(name, {}) for name in classes},
        classes=declared,
        rates=RATES,
        payback=timedelta(days=183),
        abilities=AccountAbilities(archive=True, soft_delete=True),
    )
    return replace(found, **more)


def blob(path: str, age_days: float = 0, *, now: datetime = NOW, **facts: Any) -> BlobFacts:
    container, _, name = path.partition("/")
    at = now - timedelta(days=age_days)
    return BlobFacts(container, name, **{"size": 100 * MB, "created": at, "modified": at, **facts})


class Planned:
    """A plan, read to its end."""

    def __init__(self, account: AccountRules, blobs: Iterable[BlobFacts], batch: int = 1000) -> None:
        facts = list(blobs)
        plan = Plan(account, (batch_of(facts[start : start + batch]) for start in range(0, len(facts), batch)))
        self.moves: list[Move] = []
        self.deletions: list[Deletion] = []
        self.blocked: list[Blocked] = []
        for each in plan:
            self.moves.extend(each.moves())
            self.deletions.extend(each.deletions())
            self.blocked.extend(each.blocked())
        self.totals = plan.totals

    @property
    def moved(self) -> dict[str, str]:
        return {each.target.name: each.to_tier for each in self.moves}

    @property
    def deleted(self) -> set[str]:
        return {each.target.name for each in self.deletions}

    @property
    def reasons(self) -> dict[tuple[str, str], str]:
        return {(each.target.name, each.wanted): each.reason.value for each in self.blocked}
