"""What a plan for one storage account depends on, read from the outside: the account, its own lifecycle rules, what
passed a drill, what was brought back on request."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from functions import estate_in_force
from shared.blob_container import BlobContainer
from shared.platforms import blobs, settings

if TYPE_CHECKING:
    from shared.estate.inventory.storage import StorageAccount
    from shared.platforms.storage_accounts import AccountFacts
    from shared.storage_tiering.account import AccountAbilities, AccountRules, VerifiedBackup
    from shared.storage_tiering.native_rules import NativeRule

_WITH_ARCHIVE = {"Standard_LRS", "Standard_GRS", "Standard_RAGRS"}
"""Azure documentation, "Access tiers for blob data": the archive tier is not offered with zone redundancy."""


def state() -> BlobContainer:
    """The container that holds what must survive restarts."""
    return blobs.container(settings.required("STATE_URL", "give the URL of the blob container for the app's state"))


def account_rules(environment: str, account_name: str, now: datetime) -> "AccountRules":
    """All that decides about the account's blobs now. Raises LookupError when the estate does not say enough."""
    from shared.platforms import storage_accounts
    from shared.storage_tiering import rehydration, scope

    estate = estate_in_force.get()
    account = estate.environments[environment].storage[account_name]
    policy = lifecycle_policy(account)
    facts = storage_accounts.get(str(account.id))
    return scope.account_rules(
        estate,
        environment,
        account_name,
        estate_in_force.calendar(now),
        now,
        abilities=_abilities(facts),
        held_containers=facts.held_containers if facts else frozenset(),
        immutable_for=facts.immutable_for if facts else {},
        verified=tuple(_verified(account)),
        at_hand=rehydration.held(state(), environment, account_name, now),
        native=_native(policy),
    )


def outlook(environment: str, account_name: str, known: "AccountRules") -> "Callable[[datetime], AccountRules]":
    """The rules of later days: the audits of then; what was rehydrated on request is given back by then."""
    from shared.storage_tiering import scope

    estate, calendar = estate_in_force.get(), estate_in_force.calendar(known.now)

    def rules_at(at: datetime) -> "AccountRules":
        return scope.account_rules(
            estate,
            environment,
            account_name,
            calendar,
            at,
            abilities=known.abilities,
            held_containers=known.held_containers,
            immutable_for=known.immutable_for,
            verified=known.verified,
            native=known.native,
        )

    return rules_at


def lifecycle_policy(account: "StorageAccount") -> dict[str, Any] | None:
    """The account's own lifecycle policy; None when it has none."""
    from shared.platforms import lifecycle_policies

    return lifecycle_policies.read(str(account.id))


def _native(policy: dict[str, Any] | None) -> "tuple[NativeRule, ...]":
    from shared.storage_tiering.native_rules import read_rules

    return read_rules(policy)


def _abilities(facts: "AccountFacts | None") -> "AccountAbilities":
    """What the account offers; an account that Resource Manager does not show offers nothing."""
    from shared.storage_tiering.account import AccountAbilities

    if facts is None:
        return AccountAbilities()
    return AccountAbilities(
        archive=facts.sku in _WITH_ARCHIVE, soft_delete=facts.soft_delete is not None, versioning=facts.versioning
    )


def _verified(account: "StorageAccount") -> "list[VerifiedBackup]":
    """The dumps of the account that were restored last, one of each tenant, and whose books were good."""
    from shared.backup_verification.dumps import register
    from shared.backup_verification.dumps.plan import Outcome
    from shared.storage_tiering.account import VerifiedBackup

    found: list[VerifiedBackup] = []
    address = f"{account.blob_address}/"
    for entry in register.proven(state()):
        report = entry.report
        if report is None or report.outcome is not Outcome.PASSED or report.restored is None:
            continue
        if not report.container_url.startswith(address):
            continue
        blobs_of = tuple(name for name in (report.dump, entry.plan.manifest) if name)
        container = report.container_url.removeprefix(address)
        found.append(VerifiedBackup(container, blobs_of, report.last_modified))
    return found
