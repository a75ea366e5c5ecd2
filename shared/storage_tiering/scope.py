"""What the estate and the finance calendar say about one storage account, as the rules of a plan."""

from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.finance_calendar.declaration import DEFAULT_REGION
from shared.storage_tiering.account import (
    AccountAbilities,
    AccountRules,
    ContainerClasses,
    Selection,
    VerifiedBackups,
)

if TYPE_CHECKING:  # the estate's models are many: whoever has an estate has loaded them
    from shared.estate.estate import Estate
    from shared.finance_calendar.calendar import FinanceCalendar
    from shared.storage_tiering.native_rules import NativeRule


class NotDeclaredError(LookupError):
    """The estate does not say what tiering needs; the message names the field."""


def account_rules(
    estate: "Estate",
    environment: str,
    account: str,
    calendar: "FinanceCalendar",
    now: datetime,
    *,
    abilities: AccountAbilities,
    held_containers: frozenset[str] = frozenset(),
    immutable_for: Mapping[str, timedelta] | None = None,
    verified: VerifiedBackups = (),
    at_hand: tuple[Selection, ...] = (),
    native: "tuple[NativeRule, ...]" = (),
) -> AccountRules:
    """The rules for an account of an environment, both by their names in the estate. `now` is aware UTC.

    Raises NotDeclaredError without `storage_tiering` or `rates.storage`, and KeyError for unknown names.
    """
    policy = estate.storage_tiering
    if policy is None:
        raise NotDeclaredError("the estate declares no storage_tiering: add it, with the classes of documents")
    if estate.rates is None or estate.rates.storage is None:
        raise NotDeclaredError(
            "the estate declares no rates.storage: add what blobs cost, or have it written by the command `rates`"
        )
    place = estate.environments[environment]
    return AccountRules(
        now=now,
        zone=ZoneInfo(place.time_zone or estate.calendar.time_zone),
        fiscal=calendar.regions[place.region or DEFAULT_REGION].fiscal,
        containers={
            name: ContainerClasses(container.document_class, container.folders)
            for name, container in place.storage[account].containers.items()
        },
        classes=policy.classes,
        rates=estate.rates.storage,
        payback=policy.payback,
        recoverable_only=policy.deletions.recoverable_only,
        abilities=abilities,
        audited=tuple(sorted(set(audited_years(calendar, now)))),
        held_containers=held_containers,
        immutable_for=immutable_for or {},
        verified=verified,
        documents=place.storage[account].containers.keys() & {*_documents(estate, str(place.storage[account].id))},
        at_hand=at_hand,
        native=native,
    )


def _documents(estate: "Estate", account_id: str) -> Iterator[str]:
    """The account's containers in which tenants' attachments are; accounts may be declared in several environments."""
    for environment in estate.environments.values():
        for tenant in environment.tenants.values():
            for place in tenant.documents:
                if str(environment.storage[place.account].id).casefold() == account_id.casefold():
                    yield place.container


def audited_years(calendar: "FinanceCalendar", now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The fiscal years whose documents a calendar event keeps at hand now, as [start, end) in the event's zone."""
    for cause in calendar.in_force(now).causes:
        fiscal = calendar.regions[cause.region].fiscal
        for name in cause.keeps_documents_of:
            year = fiscal.year(name)
            yield (
                datetime.combine(year.first, time(), cause.zone),
                datetime.combine(year.last + timedelta(days=1), time(), cause.zone),
            )
