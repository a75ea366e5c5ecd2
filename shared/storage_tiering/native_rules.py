"""Lifecycle rules of a storage account, as Azure Resource Manager gives them (Microsoft.Storage managementPolicies).

They are read into plain data, and ours are written in the same form. Rules of others are never changed: `merge` only
replaces the rules whose names begin with our prefix.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

OUR_PREFIX = "closekeeper-"
MOST_RULES = 100
_ACTIONS = {"delete": "delete", "tierToArchive": "Archive", "tierToCold": "Cold", "tierToCool": "Cool"}
_AGES = {
    "daysAfterModificationGreaterThan": "modification",
    "daysAfterCreationGreaterThan": "creation",
    "daysAfterLastAccessTimeGreaterThan": "last access",
}


class NativeRuleError(ValueError):
    """The account's lifecycle policy cannot be read; the message names the field."""


@dataclass(frozen=True, slots=True)
class NativeStep:
    """What a rule does to blobs of an age: `action` is a tier or "delete". `days` is exceeded, not reached."""

    action: str
    days: int
    since: str
    since_tier_change: int | None = None
    """For archiving: at least so many days must have passed since the last change of tier."""


@dataclass(frozen=True, slots=True)
class NativeRule:
    """An enabled rule. `prefixes` begin with the container's name; none means the whole account.

    `steps` concern current blobs, `version_steps` former versions, `snapshot_steps` snapshots; these two count from
    creation of the version or snapshot.
    """

    name: str
    prefixes: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]
    steps: tuple[NativeStep, ...]
    version_steps: tuple[NativeStep, ...] = ()
    snapshot_steps: tuple[NativeStep, ...] = ()
    blob_types: tuple[str, ...] = ("blockBlob",)

    @property
    def ours(self) -> bool:
        """Whether we exported it."""
        return self.name.startswith(OUR_PREFIX)


def read_rules(policy: Mapping[str, Any] | None) -> tuple[NativeRule, ...]:
    """The enabled rules of a management policy; none when there is no policy. Raises NativeRuleError."""
    return tuple(_rule(each) for each in _declared(policy) if each.get("enabled", True))


def merge(policy: Mapping[str, Any] | None, ours: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The body to write: the rules of others exactly as they are and in their order, then ours.

    Raises NativeRuleError when one of ours does not bear our prefix, or when there would be more than 100 rules.
    """
    for each in ours:
        if not str(each["name"]).startswith(OUR_PREFIX):
            raise NativeRuleError(f"rule {each['name']} does not begin with {OUR_PREFIX}; ours must")
    others = [each for each in _declared(policy) if not str(each.get("name", "")).startswith(OUR_PREFIX)]
    if len(others) + len(ours) > MOST_RULES:
        raise NativeRuleError(
            f"{len(others)} rules of others and {len(ours)} of ours are more than {MOST_RULES}; export fewer classes"
        )
    return {"properties": {"policy": {"rules": [*others, *ours]}}}


def _declared(policy: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if policy is None:
        return []
    try:
        return cast("list[Mapping[str, Any]]", policy["properties"]["policy"]["rules"])
    except (KeyError, TypeError) as error:
        raise NativeRuleError(
            "properties.policy.rules is missing; read the policy with managementPolicies/default"
        ) from error


def _rule(rule: Mapping[str, Any]) -> NativeRule:
    try:
        definition: Mapping[str, Any] = rule["definition"]
        filters: Mapping[str, Any] = definition.get("filters") or {}
        actions: Mapping[str, Mapping[str, Any]] = definition["actions"]
        tags: list[Mapping[str, str]] = filters.get("blobIndexMatch") or []
        return NativeRule(
            name=rule["name"],
            prefixes=tuple(filters.get("prefixMatch") or ()),
            tags=tuple((each["name"], each["value"]) for each in tags),
            steps=tuple(_steps(actions.get("baseBlob") or {})),
            version_steps=tuple(_steps(actions.get("version") or {})),
            snapshot_steps=tuple(_steps(actions.get("snapshot") or {})),
            blob_types=tuple(filters.get("blobTypes") or ("blockBlob",)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise NativeRuleError(f"rule {rule.get('name', 'without name')}: {error} is missing or wrong") from error


def _steps(actions: Mapping[str, Any]) -> Iterator[NativeStep]:
    for name, action in _ACTIONS.items():
        condition: Mapping[str, Any] = actions.get(name) or {}
        for field, since in _AGES.items():
            if condition.get(field) is not None:
                changed = condition.get("daysAfterLastTierChangeGreaterThan")
                yield NativeStep(action, int(condition[field]), since, None if changed is None else int(changed))
