"""Our policy as lifecycle rules of the account, where these can say the same; and why not, where they cannot.

Native rules know ages and beginnings of names. They know no series of backups, no fiscal years, no sizes and no costs,
and can leave nothing out; what depends on these stays with our own plan.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.blob_facts import Tier
from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.native_rules import OUR_PREFIX

if TYPE_CHECKING:
    from shared.estate.policies.storage_tiering import BlobAge, DocumentClass

_DAY = timedelta(days=1)
_CONDITIONS = {
    "creation": "daysAfterCreationGreaterThan",
    "modification": "daysAfterModificationGreaterThan",
    "last access": "daysAfterLastAccessTimeGreaterThan",
}
_ACTIONS = {Tier.COOL: "tierToCool", Tier.COLD: "tierToCold", Tier.ARCHIVE: "tierToArchive"}


@dataclass(frozen=True, slots=True)
class NotExpressible:
    """A step that native rules cannot make for us. `place` is a container and the beginning of the names in it."""

    place: str
    document_class: str
    step: str
    why: str


@dataclass(frozen=True, slots=True)
class Export:
    """Our rules in Azure's form, and what they leave to our own plan."""

    rules: tuple[dict[str, Any], ...]
    not_expressible: tuple[NotExpressible, ...]


def export(rules: AccountRules, *, longest_rehydration: timedelta, audits: bool) -> Export:
    """The rules to write. `audits`: whether any event of the calendar ever keeps documents at hand.

    Archiving waits for `longest_rehydration` after the last change of tier, so that what came back stays back.
    """
    written: list[dict[str, Any]] = []
    left: list[NotExpressible] = []
    for place, name in _places(rules):
        policy = rules.classes.get(name)
        if policy is None:
            continue
        actions: dict[str, Any] = {}
        for step, action, age in _steps(policy):
            if why := _why_not(rules, place, policy, step, age, audits=audits):
                left.append(NotExpressible(place, name, step, why))
                continue
            condition = {_CONDITIONS[age.since]: age.age // _DAY}
            if action == "tierToArchive":
                condition["daysAfterLastTierChangeGreaterThan"] = -(-longest_rehydration // _DAY)
            actions[action] = condition
        for step in ("cool_after", "delete_after"):
            if getattr(policy.old_versions, step):
                why = "native rules count from when a version was written, not from when it was replaced"
                left.append(NotExpressible(place, name, f"old_versions.{step}", why))
        if actions:
            written.append(_rule(f"{OUR_PREFIX}{name}-{len(written) + 1}", place, actions))
    return Export(tuple(written), tuple(left))


def _places(rules: AccountRules) -> Iterator[tuple[str, str]]:
    for container, classes in rules.containers.items():
        for prefix, name in {"": classes.document_class, **classes.folders}.items():
            yield f"{container}/{prefix}", name


def _steps(policy: "DocumentClass") -> Iterator[tuple[str, str, "BlobAge"]]:
    ages = {Tier.COOL: policy.cool_after, Tier.COLD: policy.cold_after, Tier.ARCHIVE: policy.archive_after}
    for tier, age in ages.items():
        if age is not None:
            yield f"{tier.value.lower()}_after", _ACTIONS[tier], age
    if policy.delete_after is not None:
        yield "delete_after", "delete", policy.delete_after


def _why_not(
    rules: AccountRules, place: str, policy: "DocumentClass", step: str, age: "BlobAge", *, audits: bool
) -> str:
    inner = [other for other, _ in _places(rules) if other != place and other.startswith(place)]
    reasons = {
        "it must protect the newest verified backup": policy.backup and step in ("archive_after", "delete_after"),
        "native rules know no series of backups": policy.keep is not None,
        "native rules know no fiscal years": policy.kept_by_law is not None and step == "delete_after",
        "an audit may keep its documents at hand": policy.warm_for_audit and audits,
        f"native rules cannot leave out {', '.join(inner)}": bool(inner),
        "native rules cannot leave out blobs whose index tags give them another class": any(
            each.index_tags for each in rules.classes.values()
        ),
        "native rules know no sizes: write `smallest: 0B` where every blob may be moved": (
            step != "delete_after" and policy.smallest.bytes > 0
        ),
        "native rules weigh no expected reads": step != "delete_after" and policy.reads_a_year > 0,
        "native rules count whole days": age.age % _DAY != timedelta(),
        "last access is not tracked": age.since == "last access" and rules.abilities.access_tracked_since is None,
        "archive is not offered here": step == "archive_after" and not rules.abilities.archive,
        "deletions could not be undone": step == "delete_after"
        and rules.recoverable_only
        and not (rules.abilities.soft_delete or rules.abilities.versioning),
    }
    return next((why for why, holds in reasons.items() if holds), "")


def _rule(name: str, place: str, actions: dict[str, Any]) -> dict[str, Any]:
    return {
        "enabled": True,
        "name": name,
        "type": "Lifecycle",
        "definition": {
            "actions": {"baseBlob": actions},
            "filters": {"blobTypes": ["blockBlob"], "prefixMatch": [place]},
        },
    }
