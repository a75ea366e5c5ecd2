"""What is done with a copy after the checks: faults put into it, or made harmless for people. Only here is anything
ever written to a restored server, and only once it is proven to be the drill's own copy."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from functions.anchor_steps import reference
from functions.drill_admission import state
from shared.backup_verification import registry
from shared.backup_verification.aftermath import InjectedFault, Kept, NeutralisedDatabase, SelfTested
from shared.backup_verification.books import Books
from shared.backup_verification.drill import DrillPlan
from shared.backup_verification.identity import NotTheCopyError, Place, prove_copy
from shared.backup_verification.neutralisation import NeutralisationError, neutralise, prove_neutralised
from shared.backup_verification.registry import EntryState
from shared.platforms import names, postgres_servers, sql

_STATEMENT_TIMEOUT_SECONDS = 540


class _Question(BaseModel):
    plan: DrillPlan
    host: str
    books: tuple[Books, ...] = ()


def guard(plan: DrillPlan, host: str) -> None:
    """Raises NotTheCopyError unless that host is proven to be this drill's own copy, by what Azure says now."""
    prove_copy(registry.read_entry(state(), plan.id), _place(plan.server_id), _place(plan.source_id), host)


def _place(server_id: str) -> Place | None:
    server = postgres_servers.get(server_id)
    if server is None:
        return None
    return Place(server.id, server.host, names.addresses(server.host) if server.host else (), server.tags)


def self_test(data: object) -> dict[str, Any]:
    """Put seeded faults into every database and look whether the checks find them; everything is rolled back."""
    question = _Question.model_validate(data)
    seed = int.from_bytes(hashlib.sha256(question.plan.id.encode()).digest()[:4])
    tested = [_self_test(question, books, seed) for books in question.books]
    return {"self_test": [one.model_dump(mode="json") for one in tested]}


def _self_test(question: _Question, verdict: Books, seed: int) -> SelfTested:
    from shared.backup_verification.self_test import run_self_test

    name, plan = verdict.database, question.plan
    against = reference(plan.environment, plan.server, name, verdict.tenant, plan.certain_until, plan.requested_at)
    anchor = against.nightly.anchor if against.nightly else None
    try:
        guard(plan, question.host)
        with sql.writable_copy(
            question.host, name, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS, commit=False
        ) as copy:
            tested = run_self_test(copy, verdict, seed, anchor=anchor, baseline=against.baseline)
    except (NotTheCopyError, sql.DatabaseUnavailableError) as error:
        return SelfTested(database=name, seed=seed, problem=str(error))
    return SelfTested(
        database=name,
        seed=seed,
        injected=tuple(InjectedFault(name=one.fault, check=one.check, found=one.found) for one in tested.injections),
        not_injected=tuple(tested.not_injected.items()),
        score=tested.score,
    )


def keep(data: object) -> dict[str, Any]:
    """Make every database harmless, prove it, and keep the copy; without the proof of all it is not kept."""
    question = _Question.model_validate(data)
    plan = question.plan
    databases = tuple(_neutralised(question, database.name) for database in plan.databases)
    until = None
    if plan.keep is not None and all(one.proven for one in databases):
        entry = registry.keep_copy(state(), plan.id, min(datetime.now(UTC) + plan.keep, plan.expires_at))
        until = entry.kept_until if entry.state is EntryState.KEPT else None
    return {"kept": Kept(until=until, databases=databases).model_dump(mode="json")}


def _neutralised(question: _Question, name: str) -> NeutralisedDatabase:
    """Neutralised in one transaction, and proven in the next: what is committed is what counts."""
    host = question.host
    try:
        guard(question.plan, host)
        with sql.writable_copy(host, name, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS, commit=True) as copy:
            done = neutralise(copy)
        with sql.read_only(host, name, statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS) as copy:
            proof = prove_neutralised(copy)
    except (NotTheCopyError, NeutralisationError, sql.DatabaseUnavailableError) as error:
        return NeutralisedDatabase(database=name, proven=False, remaining=(str(error),))
    return NeutralisedDatabase(
        database=name,
        proven=proof.holds,
        done=tuple(f"{one.what} ({one.table}: {one.rows})" for one in done),
        remaining=tuple(f"{one.what} ({one.table}: {one.rows})" for one in proof.remaining),
    )
