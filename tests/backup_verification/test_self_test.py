"""The self-test injects known faults into a copy, and the checks find every one of them."""

from collections import Counter
from datetime import UTC, datetime
from typing import LiteralString

import pytest
from psycopg import Connection

from shared.backup_verification import self_test
from shared.backup_verification.anchors import take_anchor
from shared.backup_verification.books import accept, examine
from shared.backup_verification.known_faults import FAULTS
from shared.backup_verification.self_test import SelfTest, run_self_test
from shared.platforms.sql import ReadOnlyDatabase
from tests.local.odoo.conftest import VARIANTS, GenerateDatabase, RealDatabase

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def self_tested(
    connection: Connection, seed: int, *, anchored: bool = True, role: LiteralString | None = None
) -> SelfTest:
    with connection.transaction(force_rollback=True):
        database = ReadOnlyDatabase(connection)
        if role:
            connection.execute(f"create role {role}; grant pg_read_all_data, pg_write_all_data to {role}")
            connection.execute(f"set local role {role}")
        anchor = take_anchor(database) if anchored else None
        baseline = accept(database)
        verdict = examine(database, "odoo", "contoso", NOW, None, anchor=anchor, baseline=baseline)
        return run_self_test(database, verdict, seed, anchor=anchor, baseline=baseline)


def missed(test: SelfTest) -> list[str]:
    return [
        f"{injection.fault}: {injection.check} {injection.rows}" for injection in test.injections if not injection.found
    ]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [1, 2026])
def test_every_fault_in_a_generated_database_is_found(generated: GenerateDatabase, variant: str, seed: int) -> None:
    connection, _ = generated(**VARIANTS[variant])
    test = self_tested(connection, seed)
    assert missed(test) == []
    assert test.score == 1
    assert len(test.injections) >= (15 if variant == "tiny" else 22), test.not_injected
    assert {injection.fault for injection in test.injections} | test.not_injected.keys() == {f.name for f in FAULTS}


@pytest.mark.parametrize("version", [16, 17, 18])
def test_every_fault_in_a_real_database_is_found(real: RealDatabase, version: int) -> None:
    test = self_tested(real(version), 7)
    assert missed(test) == []
    assert len(test.injections) >= 18, test.not_injected


def test_each_fault_can_be_injected_somewhere(generated: GenerateDatabase) -> None:
    injected = {
        injection.fault
        for variant in ("version 16", "updated from 16", "three companies")
        for injection in self_tested(generated(**VARIANTS[variant])[0], 3).injections
    }
    assert injected == {fault.name for fault in FAULTS}


def test_the_same_seed_injures_the_same_rows(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["version 18"])
    one, again, other = self_tested(connection, 5), self_tested(connection, 5), self_tested(connection, 6)
    assert one == again
    assert one.injections != other.injections


def test_without_an_anchor_its_comparisons_are_not_tested(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["version 18"])
    test = self_tested(connection, 1, anchored=False)
    assert missed(test) == []
    assert not [injection for injection in test.injections if injection.check.startswith("anchor:")]
    assert test.not_injected["another identity"] == "the check does not apply to this database"


def test_a_role_that_may_only_write_rows_leaves_out_what_foreign_keys_prevent(generated: GenerateDatabase) -> None:
    connection, _ = generated(**VARIANTS["version 18"])
    test = self_tested(connection, 1, role="verifier")
    assert missed(test) == []
    assert "violates foreign key constraint" in test.not_injected["lines without their entry"]
    assert len(test.injections) >= 20


def test_a_check_that_sees_nothing_costs_the_score(
    generated: GenerateDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault whose rows are repaired behind the self-test's back, as if the check had become blind."""
    connection, _ = generated(**VARIANTS["version 18"])
    blind = [fault for fault in FAULTS if fault.check == "modules are settled"]
    harmless = "update ir_module_module set name = name where id > %s - 2147483648 and id = 2 returning id"
    monkeypatch.setattr(self_test, "FAULTS", (*FAULTS[:3], blind[0]._replace(query=harmless)))
    test = self_tested(connection, 1)
    assert Counter(injection.found for injection in test.injections) == {True: 3, False: 1}
    assert test.score == 0.75
    assert test.model_dump()["score"] == 0.75
