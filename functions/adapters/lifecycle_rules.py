"""A storage account's own lifecycle rules: ours among them, written without touching those of others. Fact: `rules`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from functions.adapters.answers import arm_writes
from functions.adapters.targets import subscription
from shared.changes.change import Change, State
from shared.changes.ports import Act, Acted, Verified
from shared.changes.throttling import Toll
from shared.evidence.canonical import plain
from shared.platforms import lifecycle_policies

if TYPE_CHECKING:
    from shared.evidence.canonical import Json

KIND = "storage-account"


def ours(account_id: str) -> "list[Json]":
    """Our rules as the account has them now. Raises azure.core's AzureError."""
    from shared.storage_tiering.native_rules import OUR_PREFIX

    rules = lifecycle_policies.rules(lifecycle_policies.read(account_id))
    return [cast("Json", rule) for rule in rules if str(rule.get("name", "")).startswith(OUR_PREFIX)]


class LifecycleRules:
    """See `shared.changes.ports.Adapter`."""

    def tolls(self, change: Change) -> Sequence[Toll]:
        """One write to Resource Manager."""
        return (arm_writes(subscription(change.target)),)

    def read_state(self, change: Change) -> State:
        """Our rules as they are."""
        return {"rules": ours(change.target)}

    def apply(self, change: Change, wanted: State, key: str) -> Acted:
        """Replace ours; the rules of others are written back as they were read."""
        from azure.core.exceptions import HttpResponseError

        from shared.storage_tiering.native_rules import NativeRuleError, merge

        known = lifecycle_policies.read(change.target)
        try:
            body = merge(known, cast("list[dict[str, Any]]", wanted["rules"]))
            if not lifecycle_policies.rules(body):
                return Acted(Act.FAILED, detail="no rule would remain: delete the account's lifecycle policy by hand")
            lifecycle_policies.replace(change.target, known, body)
        except (NativeRuleError, lifecycle_policies.PolicyChangedError) as error:
            return Acted(Act.FAILED, detail=str(error))
        except HttpResponseError as error:
            if error.status_code in (409, 429, 503):
                return Acted(Act.BUSY, detail=str(error.message))
            if error.status_code is not None and error.status_code < 500:
                return Acted(Act.FAILED, detail=str(error.message))
            raise
        return Acted(Act.DONE)

    def poll(self, change: Change, operation: str) -> Acted:
        """Never asked: the write is over when it is answered."""
        return Acted(Act.DONE)

    def verify(self, change: Change, wanted: State) -> Verified:
        """Whether our rules are there as they were written."""
        there = plain(ours(change.target)) == plain(wanted["rules"])
        return Verified(there, "our rules are there" if there else "our rules are not as they were written")

    def undo(self, change: Change, original: State, key: str) -> Acted:
        """Never asked: the change is not made with `undo_on_failure`."""
        return Acted(Act.FAILED, detail="rules are not taken back by machine")

    def predict(self, change: Change, observed: State) -> str:
        """How many rules are written in place of how many."""
        before, after = (len(cast("list[Json]", state["rules"])) for state in (observed, change.after))
        return f"would write {after} rules of ours in place of {before}; rules of others stay as they are"


ADAPTER = LifecycleRules()
