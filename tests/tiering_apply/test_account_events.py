"""Events of storage accounts, as their schemas show them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.storage_tiering.account_events import AccountEventError, blob_of, read_inventory, read_lifecycle

LIFECYCLE: dict[str, Any] = {
    "scheduleTime": "2022/05/24 22:57:29.3260160",
    "deleteSummary": {"totalObjectsCount": 16, "successCount": 14, "errorList": ""},
    "tierToCoolSummary": {"totalObjectsCount": 0, "successCount": 0, "errorList": ""},
    "tierToArchiveSummary": {"totalObjectsCount": 0, "successCount": 0, "errorList": ""},
}
INVENTORY: dict[str, Any] = {
    "scheduleDateTime": "2021-05-28T03:50:27.8389395Z",
    "accountName": "docs",
    "ruleName": "all",
    "policyRunStatus": "Succeeded",
    "policyRunStatusMessage": "Inventory run succeeded, refer manifest file for inventory details.",
    "policyRunId": "b5e1d4cc-ee23-4ed5-b039-897376a84f79",
    "manifestBlobUrl": "https://docs.blob.core.windows.net/inventory/2021/05/28/03-50-27/all/all-manifest.json",
}


def test_a_lifecycle_run_with_an_empty_text_for_errors_and_seven_digits_is_read() -> None:
    done = read_lifecycle(LIFECYCLE)
    assert done.scheduled_at == datetime(2022, 5, 24, 22, 57, 29, 326016, tzinfo=UTC)
    assert [(one.action, one.total, one.succeeded, one.errors) for one in done.actions] == [
        ("delete", 16, 14, ()),
        ("tierToCool", 0, 0, ()),
        ("tierToArchive", 0, 0, ()),
    ]
    assert not done.good, "two were not deleted, and nobody says why"
    assert read_lifecycle({**LIFECYCLE, "deleteSummary": {**LIFECYCLE["deleteSummary"], "successCount": 16}}).good


def test_errors_come_as_a_list_or_as_text_and_are_no_success() -> None:
    for errors in (["a.pdf", "b.pdf"], "a.pdf,b.pdf"):
        done = read_lifecycle({**LIFECYCLE, "tierToColdSummary": {"totalObjectsCount": 2, "errorList": errors}})
        assert done.actions[-1].errors == ("a.pdf", "b.pdf")
        assert not done.good
    assert not read_lifecycle({**LIFECYCLE, "policyRunSummary": {"completionStatus": "CompletedWithError"}}).good
    assert read_lifecycle({**LIFECYCLE, "policyRunSummary": {"completionStatus": "Completed"}}).good


def test_an_inventory_run_is_read() -> None:
    done = read_inventory(INVENTORY)
    assert (done.account, done.rule, done.status) == ("docs", "all", "Succeeded")
    assert done.manifest.endswith("/all-manifest.json")
    assert done.scheduled_at == datetime(2021, 5, 28, 3, 50, 27, 838939, tzinfo=UTC)


@pytest.mark.parametrize("missing", ["scheduleDateTime", "accountName", "policyRunStatus"])
def test_what_is_missing_is_named(missing: str) -> None:
    with pytest.raises(AccountEventError, match=f"data.{missing}"):
        read_inventory({name: value for name, value in INVENTORY.items() if name != missing})
    with pytest.raises(AccountEventError, match="scheduleTime is no time: 'soon'"):
        read_lifecycle({"scheduleTime": "soon"})


def test_the_blob_of_a_subject_is_found_whatever_its_name() -> None:
    place = "/blobServices/default/containers/docs/blobs/"
    assert blob_of(f"{place}a/blobs/b ü.pdf") == ("docs", "a/blobs/b ü.pdf")
    assert blob_of("/blobServices/default/containers/docs") is None
