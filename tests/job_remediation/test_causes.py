"""The kinds of errors, by codes, states and the words of real messages."""

import pytest

from shared.job_remediation.causes import Cause, cause_of_container, cause_of_sqlstate, cause_of_status, cause_of_text

TEXTS = {
    "psycopg2.errors.SerializationFailure: could not serialize access due to concurrent update": Cause.TRANSIENT,
    "psycopg2.errors.DeadlockDetected: deadlock detected": Cause.TRANSIENT,
    "psycopg2.OperationalError: server closed the connection unexpectedly": Cause.TRANSIENT,
    "psycopg2.InterfaceError: connection already closed": Cause.TRANSIENT,
    "FATAL: remaining connection slots are reserved for roles with the SUPERUSER attribute": Cause.TRANSIENT,
    "requests.exceptions.ConnectTimeout: connect timed out": Cause.TRANSIENT,
    "urllib3: Temporary failure in name resolution": Cause.TRANSIENT,
    "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='bank.example'): Read timed out.": Cause.AMBIGUOUS,
    "Connection reset by peer, then ReadTimeout on POST /payments": Cause.AMBIGUOUS,
    "odoo.exceptions.ValidationError: The entry is not balanced": Cause.PERMANENT_DATA,
    "odoo.exceptions.UserError: You cannot post an entry in a locked period": Cause.PERMANENT_DATA,
    'null value in column "name" violates not-null constraint': Cause.PERMANENT_DATA,
    "psycopg2.errors.UndefinedColumn: column account_move.x does not exist": Cause.PERMANENT_CONFIGURATION,
    "odoo.exceptions.AccessError: not allowed": Cause.PERMANENT_CONFIGURATION,
    "ssl.SSLCertVerificationError: certificate verify failed": Cause.PERMANENT_CONFIGURATION,
    "OSError: [Errno 28] No space left on device": Cause.CAPACITY,
    "MemoryError": Cause.CAPACITY,
    "failed with SQLSTATE 40P01": Cause.TRANSIENT,
    "something nobody has seen": Cause.UNKNOWN,
    "": Cause.UNKNOWN,
}


@pytest.mark.parametrize("text", TEXTS)
def test_messages(text: str) -> None:
    assert cause_of_text(text) is TEXTS[text]


def test_what_is_worst_to_repeat_counts() -> None:
    assert cause_of_text("deadlock detected, then ValidationError") is Cause.PERMANENT_DATA
    assert cause_of_text("503 Service Unavailable after Read timed out") is Cause.AMBIGUOUS


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("40001", Cause.TRANSIENT),
        ("55P03", Cause.TRANSIENT),
        ("53300", Cause.TRANSIENT),
        ("53100", Cause.CAPACITY),
        ("08006", Cause.TRANSIENT),
        ("08007", Cause.AMBIGUOUS),
        ("23505", Cause.PERMANENT_DATA),
        ("22P02", Cause.PERMANENT_DATA),
        ("42P01", Cause.PERMANENT_CONFIGURATION),
        ("28P01", Cause.PERMANENT_CONFIGURATION),
        ("XX000", Cause.UNKNOWN),
    ],
)
def test_codes_of_postgresql(code: str, cause: Cause) -> None:
    assert cause_of_sqlstate(code) is cause


def test_a_gateways_word_about_a_change_is_ambiguous() -> None:
    assert cause_of_status(504, asked_to_change=True) is Cause.AMBIGUOUS
    assert cause_of_status(504, asked_to_change=False) is Cause.TRANSIENT
    assert cause_of_status(429, asked_to_change=True) is Cause.TRANSIENT
    assert cause_of_status(403, asked_to_change=True) is Cause.PERMANENT_CONFIGURATION
    assert cause_of_status(422, asked_to_change=True) is Cause.PERMANENT_DATA


@pytest.mark.parametrize(
    ("reason", "exit_code", "cause"),
    [
        ("OOMKilled", 137, Cause.CAPACITY),
        ("Error", 143, Cause.TRANSIENT),
        ("Error", 1, Cause.UNKNOWN),
        ("ErrImagePull", None, Cause.PERMANENT_CONFIGURATION),
        ("NodeShutdown", None, Cause.TRANSIENT),
    ],
)
def test_ends_of_containers(reason: str, exit_code: int | None, cause: Cause) -> None:
    assert cause_of_container(reason, exit_code) is cause
