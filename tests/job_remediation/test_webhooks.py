from datetime import UTC, datetime, timedelta

import pytest

from shared.job_remediation.intake.signature import SignatureProblem, signature, signature_problem
from shared.job_remediation.signal import Condition, Severity
from shared.job_remediation.symptoms import Symptom
from tests.job_remediation.deliveries import PLAIN, SERVER, alertmanager, body, crash_loop
from tests.job_remediation.places import NOW, reading, the_signal

KEY = b"0123456789abcdef"
BODY = b'{"alerts":[]}'
STAMP = str(int(NOW.timestamp()))


def test_alertmanager_alert_fired_and_resolved() -> None:
    fired, resolved = the_signal(alertmanager(crash_loop())), the_signal(alertmanager(crash_loop("resolved")))
    assert (fired.symptom, fired.severity) == (Symptom.CRASH_LOOP, Severity.CRITICAL)
    assert str(fired.target) == "aks-erp/pod/odoo-acme/odoo-worker-1"
    assert (fired.environment, fired.tenant) == ("production", "acme")
    assert fired.fired_at == datetime(2026, 11, 20, 10, 0, 0, 123456, tzinfo=UTC)
    assert (fired.resolved_at, resolved.resolved_at) == (None, datetime(2026, 11, 20, 10, 20, 0, 500000, tzinfo=UTC))
    assert fired.fingerprint == resolved.fingerprint


def test_alerts_of_a_group_are_read_one_by_one() -> None:
    group = alertmanager(crash_loop(), {"status": "firing"}, crash_loop(pod="odoo-worker-2"), truncatedAlerts=3)
    found = reading(group)
    assert len({signal.fingerprint for signal in found.signals}) == 2
    assert [one.missing for one in found.unrecognised] == [("alerts[].labels",), ("alerts",)]
    assert found.unrecognised[1].reason.startswith("3 alerts left out")


def test_alert_without_name_and_texts_has_a_title() -> None:
    signal = the_signal(alertmanager(crash_loop(labels={"instance": "db-1"}, annotations=None, startsAt=None)))
    assert (signal.title, signal.symptom, signal.fired_at) == ("other", Symptom.OTHER, NOW)


@pytest.mark.parametrize("alerts", [[], None, {}, "", 7])
def test_group_without_alerts_is_kept(alerts: object) -> None:
    found = reading({**alertmanager(), "alerts": alerts})
    assert found.signals == ()
    assert len(found.unrecognised) == 1


def test_plain_signal() -> None:
    signal = the_signal(PLAIN)
    assert (signal.symptom, signal.severity) == (Symptom.JOB_FAILED, Severity.ERROR)
    assert (signal.environment, signal.tenant, signal.target.resource) == ("production", "acme", SERVER)
    assert signal.fired_at == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert signal.facts["attempts"] == "3"
    over = the_signal({"condition": "RESOLVED", "fault": "Nightly Upload", "resource": SERVER})
    assert over.condition is Condition.RESOLVED
    assert over.fingerprint == signal.fingerprint


def test_plain_signal_without_a_condition_is_kept() -> None:
    (kept,) = reading({**PLAIN, "condition": "maybe"}).unrecognised
    assert kept.missing == ("condition",)


def test_signature_is_hmac_sha256_over_time_and_body() -> None:
    # printf '1700000000.{"alerts":[]}' | openssl dgst -sha256 -hmac 0123456789abcdef
    expected = "4d0a5d6b6395cc2307a5061c6c2e1ebf1a36804ec9cd95540dd690853f199922"
    assert signature(KEY, "1700000000", BODY) == f"v1={expected}"


def test_signature_of_the_key_holder_is_accepted() -> None:
    assert signature_problem([KEY], STAMP, signature(KEY, STAMP, BODY), BODY, NOW) is None


def test_any_of_several_keys_and_signatures_is_enough() -> None:
    old = b"the key of before"
    both = f"{signature(b'of nobody', STAMP, BODY)}, {signature(old, STAMP, BODY).upper().replace('V1', 'v1')}"
    assert signature_problem([KEY, old], STAMP, both, BODY, NOW) is None


@pytest.mark.parametrize(
    ("keys", "stamp", "given", "body", "problem"),
    [
        ([], STAMP, None, BODY, SignatureProblem.NO_KEY),
        ([b""], STAMP, signature(b"", STAMP, BODY), BODY, SignatureProblem.NO_KEY),
        ([KEY], None, None, BODY, SignatureProblem.NO_TIME),
        ([KEY], "soon", None, BODY, SignatureProblem.NO_TIME),
        ([KEY], "٣", None, BODY, SignatureProblem.NO_TIME),
        ([KEY], "9" * 400, None, BODY, SignatureProblem.NO_TIME),
        ([KEY], "-1", None, BODY, SignatureProblem.NO_TIME),
        ([KEY], STAMP, None, BODY, SignatureProblem.NO_SIGNATURE),
        ([KEY], STAMP, "v2=00", BODY, SignatureProblem.NO_SIGNATURE),
        ([KEY], STAMP, "v1=ü", BODY, SignatureProblem.NO_SIGNATURE),
        ([KEY], STAMP, "v1=", BODY, SignatureProblem.WRONG),
        ([KEY], STAMP, signature(b"another", STAMP, BODY), BODY, SignatureProblem.WRONG),
        ([KEY], STAMP, signature(KEY, STAMP, BODY), BODY + b" ", SignatureProblem.WRONG),
        ([KEY], str(int(STAMP) + 1), signature(KEY, STAMP, BODY), BODY, SignatureProblem.WRONG),
    ],
)
def test_any_other_signature_is_refused(
    keys: list[bytes], stamp: str | None, given: str | None, body: bytes, problem: SignatureProblem
) -> None:
    assert signature_problem(keys, stamp, given, body, NOW) is problem


@pytest.mark.parametrize(("seconds", "accepted"), [(-300, True), (300, True), (-301, False), (301, False)])
def test_signature_is_good_for_five_minutes(seconds: int, accepted: bool) -> None:
    problem = signature_problem([KEY], STAMP, signature(KEY, STAMP, BODY), BODY, NOW + timedelta(seconds=seconds))
    assert problem is (None if accepted else SignatureProblem.OUT_OF_WINDOW)


def test_a_time_beyond_the_calendar_is_refused() -> None:
    assert signature_problem([KEY], "99999999999", "v1=00", body({}), NOW) is SignatureProblem.OUT_OF_WINDOW
