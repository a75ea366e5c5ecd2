"""Lifecycle management policies of storage accounts through Resource Manager (Microsoft.Storage managementPolicies).

An account has one policy, read and written as a whole. The API offers no ETag and takes no If-Match (2025-08-01), so
a write looks before at what it is about to replace, and after at what is there.
"""

from collections.abc import Mapping
from typing import Any, cast

from shared.platforms import resource_manager

API_VERSION = "2025-08-01"


class PolicyChangedError(Exception):
    """Somebody else wrote the policy meanwhile: nothing was written, or what was written is not what is there."""


def read(account_id: str) -> dict[str, Any] | None:
    """The account's policy as it stands, None when it has none. Raises azure.core's AzureError."""
    return resource_manager.get(_path(account_id), API_VERSION)


def rules(policy: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The rules of a policy as they stand; none where there is no policy."""
    found: Any = policy
    for step in ("properties", "policy", "rules"):
        found = found.get(step) if isinstance(found, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("list[dict[str, Any]]", found or [])


def replace(account_id: str, known: Mapping[str, Any] | None, body: Mapping[str, Any]) -> None:
    """Write the policy in place of the one that was `known`. Raises PolicyChangedError; azure.core's AzureError."""
    if rules(read(account_id)) != rules(known):
        raise PolicyChangedError(f"the lifecycle policy of {account_id} was changed meanwhile: plan anew")
    resource_manager.put(_path(account_id), API_VERSION, body)
    if _named(read(account_id)) != _named(body):
        raise PolicyChangedError(f"the lifecycle policy of {account_id} is not what was just written: look at it")


def _named(policy: Mapping[str, Any] | None) -> list[str]:
    """The names alone: the service adds defaults to what was written."""
    return sorted(str(rule.get("name")) for rule in rules(policy))


def _path(account_id: str) -> str:
    return f"{account_id}/managementPolicies/default"
