"""What Resource Manager says of storage accounts, through the app's adapter and the simulated provider."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import HttpResponseError

from local.azure.faults import Fault
from local.azure.simulator import AzureSimulator
from shared.platforms import resource_manager, storage_accounts

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-finance"


def account_id(name: str) -> str:
    return f"{GROUP}/providers/Microsoft.Storage/storageAccounts/{name}"


@pytest.mark.parametrize(
    ("sku", "secondary"),
    [
        ("Standard_LRS", "none"),
        ("Standard_ZRS", "none"),
        ("Standard_GRS", "replicated"),
        ("Standard_RAGZRS", "readable"),
    ],
)
def test_an_account_tells_what_it_keeps_and_where(azure: AzureSimulator, sku: str, secondary: str) -> None:
    account = azure.storage_accounts.add(account_id("stkept"), sku=sku, containers=["dumps", "logs"])
    account.keep_deleted(30, versions=True, containers=7)
    account.secondary_lag = timedelta(minutes=3)
    facts = storage_accounts.get(account_id("stkept"))
    assert facts is not None
    assert (facts.sku, facts.secondary, facts.versioning) == (sku, secondary, True)
    assert (facts.soft_delete, facts.container_soft_delete) == (timedelta(days=30), timedelta(days=7))
    assert facts.containers == {"dumps", "logs"}
    if secondary == "none":
        assert (facts.last_sync, facts.sync_status) == (None, "")
    else:
        assert facts.sync_status == "Live"
        assert facts.last_sync is not None
        assert abs(datetime.now(UTC) - facts.last_sync - timedelta(minutes=3)) < timedelta(minutes=1)


def test_containers_tell_their_holds(azure: AzureSimulator) -> None:
    account = azure.storage_accounts.add(account_id("stheld"), sku="Standard_GRS", containers=["audit", "law", "free"])
    account.legal_holds.add("audit")
    account.immutable_days["law"] = 3650
    facts = storage_accounts.get(account_id("stheld"))
    assert facts is not None
    assert facts.held_containers == {"audit"}
    assert facts.immutable_for == {"law": timedelta(days=3650)}


def test_what_is_off_and_what_is_not_said_are_none(azure: AzureSimulator) -> None:
    account = azure.storage_accounts.add(account_id("stbare"), sku="Standard_GRS")
    account.secondary_lag = None
    facts = storage_accounts.get(account_id("stbare"))
    assert facts is not None
    assert (facts.soft_delete, facts.versioning, facts.last_sync, facts.containers) == (None, False, None, frozenset())


def test_the_year_one_is_no_time_of_replication(azure: AzureSimulator) -> None:
    account = azure.storage_accounts.add(account_id("stboot"), sku="Standard_RAGRS")
    account.secondary_status = "Bootstrap"
    account.secondary_lag = datetime.now(UTC) - datetime(1, 1, 2, tzinfo=UTC)
    facts = storage_accounts.get(account_id("stboot"))
    assert facts is not None
    assert (facts.sync_status, facts.last_sync) == ("Bootstrap", None)


def test_an_account_that_is_not_there_is_none_and_one_of_another_group_too(azure: AzureSimulator) -> None:
    azure.storage_accounts.add(account_id("stelsewhere").replace("rg-finance", "rg-other"))
    azure.add_resource_group(GROUP.split("/")[2], "rg-finance")
    assert storage_accounts.get(account_id("stnothing")) is None
    assert storage_accounts.get(account_id("stelsewhere")) is None


def test_a_missing_right_is_an_error_with_azures_code(azure: AzureSimulator) -> None:
    azure.storage_accounts.add(account_id("stdenied"))
    azure.arm.denied.add("Microsoft.Storage/storageAccounts/blobServices/read")
    with pytest.raises(HttpResponseError) as refused:
        storage_accounts.get(account_id("stdenied"))
    assert refused.value.error is not None
    assert refused.value.error.code == "AuthorizationFailed"


def test_a_throttled_read_is_tried_again(azure: AzureSimulator) -> None:
    azure.storage_accounts.add(account_id("stbusy"), containers=["dumps"])
    fault = azure.faults.add(Fault(service="arm", method="GET", path="/stbusy", times=1, status=429, retry_after=1))
    facts = storage_accounts.get(account_id("stbusy"))
    assert fault.applied == 1
    assert facts is not None
    assert facts.containers == {"dumps"}


def test_a_long_list_of_containers_is_read_to_its_end(azure: AzureSimulator) -> None:
    names = {f"container-{number:03}" for number in range(250)}
    azure.storage_accounts.add(account_id("stmany"), containers=names)
    facts = storage_accounts.get(account_id("stmany"))
    assert facts is not None
    assert facts.containers == names


def test_the_blob_service_is_replaced_by_put_and_refuses_what_cannot_be_kept(azure: AzureSimulator) -> None:
    azure.storage_accounts.add(account_id("stput"))
    service = f"{account_id('stput')}/blobServices/default"
    body = {"properties": {"deleteRetentionPolicy": {"enabled": True, "days": 21}, "isVersioningEnabled": True}}
    assert (
        resource_manager.put(service, storage_accounts.API_VERSION, body)["properties"]["isVersioningEnabled"] is True
    )
    facts = storage_accounts.get(account_id("stput"))
    assert facts is not None
    assert facts.soft_delete == timedelta(days=21)
    body["properties"]["deleteRetentionPolicy"] = {"enabled": True, "days": 366}
    with pytest.raises(HttpResponseError):
        resource_manager.put(service, storage_accounts.API_VERSION, body)
