from datetime import UTC, datetime
from typing import Any

import pytest

from shared.job_remediation.signal import Condition, Severity
from shared.job_remediation.symptoms import Symptom
from tests.job_remediation.deliveries import (
    CLUSTER,
    KEY_VAULT_DATA,
    VAULT,
    azure_alert,
    body,
    cloud_event,
    event_grid,
    metric_context,
    scheduled_event,
)
from tests.job_remediation.places import reading, the_signal


def _told(value: Any) -> set[tuple[Symptom, Condition]]:
    return {(signal.symptom, signal.condition) for signal in reading(value).signals}


@pytest.mark.parametrize("schema", [event_grid, cloud_event])
def test_near_expiry_is_over_with_a_new_version(schema: Any) -> None:
    near = the_signal(schema("Microsoft.KeyVault.SecretNearExpiry", VAULT, KEY_VAULT_DATA, "bank-key"))
    assert near.symptom is Symptom.CREDENTIAL_NEAR_EXPIRY
    assert near.facts["expires"] == datetime.fromtimestamp(1797811200, UTC).isoformat()
    assert near.facts["version"] == "ee05"
    newer = {**KEY_VAULT_DATA, "Version": "ff06", "EXP": 1829347200}
    renewed = reading(schema("Microsoft.KeyVault.SecretNewVersionCreated", VAULT, newer, "bank-key", id_="e2")).signals
    assert {signal.condition for signal in renewed} == {Condition.RESOLVED}
    assert near.fingerprint in {signal.fingerprint for signal in renewed}
    other = {**KEY_VAULT_DATA, "ObjectName ": "tax-key"}
    unrelated = reading(schema("Microsoft.KeyVault.SecretNewVersionCreated", VAULT, other, "tax-key", id_="e3")).signals
    assert near.fingerprint not in {signal.fingerprint for signal in unrelated}


def test_expired_certificate_is_a_fault_of_its_own() -> None:
    data = {**KEY_VAULT_DATA, "ObjectType": "Certificate"}
    expired = the_signal(event_grid("Microsoft.KeyVault.CertificateExpired", VAULT, data, "bank-key"))
    assert (expired.symptom, expired.severity) == (Symptom.CREDENTIAL_EXPIRED, Severity.ERROR)


def test_rolling_of_a_node_pool_begins_and_ends() -> None:
    def rolled(how: str) -> Any:
        return event_grid(
            f"Microsoft.ContainerService.NodePoolRolling{how}", CLUSTER, {"nodePoolName": "user"}, id_=how
        )

    rolling, failed = Symptom.NODE_POOL_ROLLING, Symptom.NODE_POOL_ROLLING_FAILED
    fired, resolved = Condition.FIRED, Condition.RESOLVED
    assert _told(rolled("Started")) == {(rolling, fired)}
    assert _told(rolled("Succeeded")) == {(rolling, resolved), (failed, resolved)}
    assert _told(rolled("Failed")) == {(failed, fired), (rolling, resolved)}
    begun, failure = the_signal(rolled("Started")), reading(rolled("Failed")).signals[1]
    assert begun.fingerprint == failure.fingerprint
    assert begun.environment == "production"


@pytest.mark.parametrize("end", ["Completed", "Canceled", "Cancelled"])
def test_scheduled_maintenance_is_announced_and_over(end: str) -> None:
    announced, over = the_signal(scheduled_event("Scheduled")), the_signal(scheduled_event(end))
    assert (announced.symptom, announced.condition) == (Symptom.MAINTENANCE, Condition.FIRED)
    assert over.condition is Condition.RESOLVED
    assert announced.fingerprint == over.fingerprint
    assert announced.facts["planned_by"] == "AutoUpgrader"
    assert announced.facts["scheduled"] == "2026-11-27T22:17:12.103268+00:00"
    assert announced.target.resource == CLUSTER


def test_each_event_is_an_occurrence_and_each_copy_the_same() -> None:
    created = "Microsoft.Storage.BlobCreated"
    one = the_signal(event_grid(created, "/s", {"contentLength": "12"}, "/containers/dumps/blobs/a.dump", id_="1"))
    copy = the_signal([event_grid(created, "/S", {"contentLength": "12"}, "/containers/dumps/blobs/a.dump", id_="1")])
    other = the_signal(event_grid(created, "/s", {"contentLength": 12}, "/containers/dumps/blobs/a.dump", id_="2"))
    assert one.fingerprint == copy.fingerprint != other.fingerprint
    assert (one.facts["container"], one.facts["blob"], one.facts["size"]) == ("dumps", "a.dump", 12.0)


def test_data_may_be_json_text() -> None:
    event = cloud_event("Microsoft.ContainerService.NodePoolRollingStarted", CLUSTER, '{"nodePoolName":"user"}')
    assert the_signal(event).facts["node_pool"] == "user"


def test_dead_letter_is_told_and_so_is_what_it_carries() -> None:
    event = event_grid("Microsoft.KeyVault.SecretExpired", VAULT, KEY_VAULT_DATA, "bank-key")
    plain = the_signal(event)
    found = reading({**event, "deadLetterReason": "TimeToLiveExceeded", "deliveryAttempts": "30"}).signals
    assert [signal.symptom for signal in found] == [Symptom.EVENT_DEAD_LETTERED, Symptom.CREDENTIAL_EXPIRED]
    assert found[0].facts["attempts"] == 30.0
    assert found[1].fingerprint == plain.fingerprint


def test_own_failed_change_is_told_but_never_one_of_remediation_itself() -> None:
    def told(automation: str) -> Any:
        subject = "environments/production/tenants/acme/change:1"
        return the_signal(cloud_event("closekeeper.change.failed", "/closekeeper", {"automation": automation}, subject))

    other, own = told("shutdown_schedules"), told("job_remediation")
    assert (other.symptom, other.environment, other.tenant) == (Symptom.CHANGE_FAILED, "production", "acme")
    assert own.symptom is Symptom.OUTCOME_TOLD
    assert not own.symptom.is_fault


def test_failed_drill_is_over_with_one_that_passes() -> None:
    def drill(outcome: str) -> Any:
        type_ = f"Closekeeper.BackupVerification.Drill{outcome}"
        return the_signal(cloud_event(type_, "/closekeeper", {"report": {}}, "environments/production/servers/erp"))

    assert drill("Failed").fingerprint == drill("Passed").fingerprint
    assert (drill("Failed").condition, drill("Passed").condition) == (Condition.FIRED, Condition.RESOLVED)


def test_handshake_within_a_batch_does_not_hide_events() -> None:
    handshake = event_grid("Microsoft.EventGrid.SubscriptionValidationEvent", "/s", {"validationCode": "512d"})
    found = reading([handshake, event_grid("Microsoft.Storage.BlobDeleted", "/s", {})])
    assert found.handshake is not None
    assert found.handshake.code == "512d"
    assert len(found.signals) == 1


def test_poison_in_a_batch_is_kept_and_the_rest_goes_on() -> None:
    poison: Any = {"eventType": "Microsoft.Storage.BlobCreated", "data": {"odd": "\ud800"}}
    found = reading([event_grid("Microsoft.Storage.BlobDeleted", "/s", {}), poison, 7, azure_alert(metric_context())])
    assert [signal.source for signal in found.signals] == ["event-grid", "azure-monitor"]
    assert [one.payload for one in found.unrecognised] == [body(poison), b"7"]
    assert found.unrecognised[0].missing == ("topic or source",)


@pytest.mark.parametrize("type_", ["fooEventType", "Microsoft.Resources.ResourceWriteSuccess", "Microsoft.Storage.Odd"])
def test_unknown_type_is_kept(type_: str) -> None:
    (kept,) = reading(event_grid(type_, "/s", {})).unrecognised
    assert type_ in kept.reason
