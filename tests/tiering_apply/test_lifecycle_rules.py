"""Our policy as the account's own rules, beside rules of others, against the simulated Resource Manager."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.adapters import lifecycle_rules
from local.azure.certificates import CertificateAuthority
from local.azure.simulator import AzureSimulator
from shared.changes.change import Change, Originals
from shared.changes.ports import Act
from shared.platforms import credentials, lifecycle_policies, resource_manager
from shared.risk import Risk
from tests.tiering_apply.running import ACCOUNT_ID

THEIRS: dict[str, Any] = {"name": "theirs", "enabled": False, "type": "Lifecycle", "definition": {"filters": {}}}


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[AzureSimulator]:
    authority = CertificateAuthority(tmp_path / "certificates")
    with AzureSimulator(tmp_path / "azure", authority) as simulator, pytest.MonkeyPatch.context() as environment:
        for name, value in simulator.settings().items():
            environment.setenv(name, value)
        simulator.storage_accounts.add(ACCOUNT_ID)
        forget()
        yield simulator
    forget()


def forget() -> None:
    credentials.credential.cache_clear()
    resource_manager._client.cache_clear()  # pyright: ignore[reportPrivateUsage]


def export(*names: str) -> Change:
    rules: list[Any] = [{"name": name, "enabled": True, "type": "Lifecycle", "definition": {}} for name in names]
    return Change(
        automation="storage_tiering",
        environment="production",
        kind=lifecycle_rules.KIND,
        target=ACCOUNT_ID,
        action="export-rules",
        occasion="one",
        after={"rules": rules},
        reason="a test",
        risk=Risk.DISRUPTIVE,
        originals=Originals.IGNORE,
    )


def test_ours_are_replaced_and_those_of_others_stay_as_they_are(azure: AzureSimulator) -> None:
    old = {"name": "closekeeper-old", "enabled": True, "type": "Lifecycle", "definition": {}}
    azure.account_policies.set("docs", [old, THEIRS])
    change = export("closekeeper-a", "closekeeper-b")
    adapter = lifecycle_rules.ADAPTER
    assert adapter.apply(change, change.after, "key").act is Act.DONE
    names = [rule["name"] for rule in azure.account_policies.rules("docs")]
    assert names == ["theirs", "closekeeper-a", "closekeeper-b"]
    assert azure.account_policies.rules("docs")[0] == THEIRS
    assert adapter.read_state(change) == change.after
    assert adapter.verify(change, change.after).reached


def test_a_policy_that_somebody_wrote_meanwhile_is_left_as_it_is(azure: AzureSimulator) -> None:
    known = lifecycle_policies.read(ACCOUNT_ID)
    azure.account_policies.set("docs", [THEIRS])
    body = {"properties": {"policy": {"rules": list(export("closekeeper-a").after["rules"])}}}  # type: ignore[arg-type]
    with pytest.raises(lifecycle_policies.PolicyChangedError, match="changed meanwhile: plan anew"):
        lifecycle_policies.replace(ACCOUNT_ID, known, body)
    assert azure.account_policies.rules("docs") == [THEIRS]


def test_a_rule_that_does_not_bear_our_name_is_not_written(azure: AzureSimulator) -> None:
    change = export("theirs")
    outcome = lifecycle_rules.ADAPTER.apply(change, change.after, "key")
    assert outcome.act is Act.FAILED
    assert "closekeeper-" in outcome.detail
    assert azure.account_policies.rules("docs") == []
