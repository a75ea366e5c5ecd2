"""The operations on storage accounts that the app calls: read an account, its blob service, and its containers.

What hangs below an account has a module of its own with `register(arm, accounts)`; see `StorageAccounts.account`.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.storage_accounts import model
from local.azure.storage_accounts.model import API_VERSIONS, NAMESPACE, TYPE, Account

_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
ACCOUNTS = f"{_GROUP}/providers/{NAMESPACE}/storageAccounts"
ACCOUNT = f"{ACCOUNTS}/{{accountName}}"

_PAGE = 100


class StorageAccounts:
    """The resource provider's accounts."""

    def __init__(self, arm: ResourceManager) -> None:
        self._arm = arm
        self._accounts: dict[str, Account] = {}
        service = f"{ACCOUNT}/blobServices/default"
        arm.register(
            API_VERSIONS,
            [
                Route("GET", ACCOUNT, self._get),
                Route("GET", ACCOUNTS, self._list_group),
                Route("GET", f"/subscriptions/{{subscriptionId}}/providers/{NAMESPACE}/storageAccounts", self._list),
                Route("GET", service, self._get_blob_service),
                Route("PUT", service, self._put_blob_service),
                Route("GET", f"{service}/containers", self._list_containers),
            ],
        )

    def add(
        self,
        resource_id: str,
        location: str = "westeurope",
        *,
        sku: str = "Standard_LRS",
        containers: Iterable[str] = (),
    ) -> Account:
        """Make an account and its resource group outside of any request, as its owner has done; its name is global."""
        subscription, group, name = model.split_id(resource_id)
        if sku not in model.SKUS:
            raise ValueError(f"sku: {sku} is none of {sorted(model.SKUS)}")
        self._arm.add_group(subscription, group, location)
        account = Account(subscription, group, name, location, sku, datetime.now(UTC), set(containers))
        self._accounts[name.lower()] = account
        return account

    def remove(self, name: str) -> None:
        self._accounts.pop(name.lower(), None)

    def named(self, name: str) -> Account:
        """The account of that name; raises KeyError."""
        return self._accounts[name.lower()]

    def account(self, call: Call) -> Account:
        """The account that a call is about; raises ArmError 404 ResourceNotFound."""
        names = call.names
        account = self._accounts.get(names["accountName"].lower())
        place = (names["subscriptionId"].lower(), names["resourceGroupName"].lower())
        if account is None or (account.subscription.lower(), account.group.lower()) != place:
            raise model.not_found(names["accountName"], names["resourceGroupName"])
        return account

    def _get(self, call: Call) -> Answer:
        expanded = call.query.get("$expand", "").split(",")
        replication = "geoReplicationStats" in expanded
        return Answer(200, model.show(self.account(call), datetime.now(UTC), replication=replication))

    def _list_group(self, call: Call) -> Answer:
        group = call.names["resourceGroupName"].lower()
        return self._listed(call, [one for one in self._accounts.values() if one.group.lower() == group])

    def _list(self, call: Call) -> Answer:
        return self._listed(call, list(self._accounts.values()))

    def _listed(self, call: Call, accounts: list[Account]) -> Answer:
        subscription = call.names["subscriptionId"].lower()
        now = datetime.now(UTC)
        return page(call, [model.show(one, now) for one in accounts if one.subscription.lower() == subscription], _PAGE)

    def _get_blob_service(self, call: Call) -> Answer:
        return Answer(200, _blob_service(self.account(call)))

    def _put_blob_service(self, call: Call) -> Answer:
        account = self.account(call)
        account.blob_service = model.changed_blob_service(account, call.properties)
        return Answer(200, _blob_service(account))

    def _list_containers(self, call: Call) -> Answer:
        account = self.account(call)
        shown = [
            {
                "id": f"{account.id}/blobServices/default/containers/{name}",
                "name": name,
                "type": f"{TYPE}/blobServices/containers",
                "etag": f'"{name}"',
                "properties": {
                    "publicAccess": "None",
                    "leaseStatus": "Unlocked",
                    "leaseState": "Available",
                    "hasImmutabilityPolicy": name in account.immutable_days,
                    "hasLegalHold": name in account.legal_holds,
                    **_immutability(account.immutable_days.get(name)),
                },
            }
            for name in sorted(account.containers)
        ]
        return page(call, shown, _PAGE)


def _immutability(days: int | None) -> dict[str, Any]:
    if days is None:
        return {}
    policy = {"immutabilityPeriodSinceCreationInDays": days, "state": "Locked", "allowProtectedAppendWrites": False}
    return {"immutabilityPolicy": {"etag": f'"{days}"', "properties": policy, "updateHistory": []}}


def _blob_service(account: Account) -> dict[str, Any]:
    return {
        "id": f"{account.id}/blobServices/default",
        "name": "default",
        "type": f"{TYPE}/blobServices",
        "sku": model.show_sku(account),
        "properties": account.blob_service,
    }
