"""Lifecycle management policies and blob inventory policies: Microsoft.Storage, one `default` of each per account.

Shaped by the specification of 2025-08-01 and its examples. A policy is read and written as a whole; neither operation
takes or answers an ETag. What the service refuses is told as its documentation says; the sentences are inferred.
"""

from datetime import UTC, datetime
from typing import Any, cast

from local.azure.arm import Answer, Call, ResourceManager, Route
from local.azure.errors import ArmError
from local.azure.storage_accounts import model
from local.azure.storage_accounts.model import API_VERSIONS
from local.azure.storage_accounts.provider import ACCOUNT, StorageAccounts

MOST_RULES = 100
"""Azure documentation, "Lifecycle management policy structure"."""

_KINDS = {"managementPolicies": "ManagementPolicy", "inventoryPolicies": "BlobInventoryPolicy"}


class AccountPolicies:
    """The policies of all accounts, by kind and account."""

    def __init__(self, arm: ResourceManager, accounts: StorageAccounts) -> None:
        self._accounts = accounts
        self._kept: dict[tuple[str, str], dict[str, Any]] = {}
        routes: list[Route] = []
        for kind in _KINDS:
            path = f"{ACCOUNT}/{kind}/default"
            routes += [
                Route("GET", path, lambda call, kind=kind: self._get(call, kind)),
                Route("PUT", path, lambda call, kind=kind: self._put(call, kind)),
                Route("DELETE", path, lambda call, kind=kind: self._delete(call, kind)),
            ]
        arm.register(API_VERSIONS, routes)

    def rules(self, account: str, kind: str = "managementPolicies") -> list[dict[str, Any]]:
        """The rules that an account has now."""
        return list(self._kept.get((kind, account.lower()), {}).get("rules", []))

    def set(self, account: str, rules: list[dict[str, Any]], kind: str = "managementPolicies") -> None:
        """Write the rules as somebody else would, past the app."""
        self._kept[kind, account.lower()] = {"rules": rules}

    def _get(self, call: Call, kind: str) -> Answer:
        account = self._accounts.account(call)
        kept = self._kept.get((kind, account.name.lower()))
        if kept is None:
            raise ArmError(404, f"{_KINDS[kind]}NotFound", f"No {_KINDS[kind]} found for account {account.name}")
        return Answer(200, _shown(account, kind, kept))

    def _put(self, call: Call, kind: str) -> Answer:
        account = self._accounts.account(call)
        policy = cast("dict[str, Any]", call.properties.get("policy") or {})
        rules = cast("list[dict[str, Any]]", policy.get("rules") or [])
        if not 0 < len(rules) <= MOST_RULES:
            raise ArmError(
                400, "InvalidRequestPropertyValue", f"The value of policy.rules must be 1 to {MOST_RULES} rules."
            )
        names = [rule.get("name") for rule in rules]
        if len(set(names)) < len(names):
            raise ArmError(400, "InvalidRequestPropertyValue", "The names of the rules in policy.rules must be unique.")
        kept = {**policy, "rules": [{"enabled": True, **rule} for rule in rules]}
        self._kept[kind, account.name.lower()] = kept
        return Answer(200, _shown(account, kind, kept))

    def _delete(self, call: Call, kind: str) -> Answer:
        account = self._accounts.account(call)
        known = self._kept.pop((kind, account.name.lower()), None)
        return Answer(200 if known is not None else 204)


def _shown(account: model.Account, kind: str, policy: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{account.id}/{kind}/default",
        "name": "default" if kind == "inventoryPolicies" else "DefaultManagementPolicy",
        "type": f"{model.TYPE}/{kind}",
        "properties": {"lastModifiedTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z"), "policy": policy},
    }
