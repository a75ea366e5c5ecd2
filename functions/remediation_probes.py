"""Odoo's databases for a diagnosis: queue jobs, crons, and whether a job was applied already. Read-only SQL."""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions import estate_in_force
from shared.job_remediation.evidence import Collector, Evidence
from shared.job_remediation.repetition import Applied, job_of
from shared.job_remediation.signal import Signal

if TYPE_CHECKING:
    from shared.estate.policies.job_remediation import JobRemediation
    from shared.job_remediation.odoo_jobs import QueueJob
    from shared.platforms.sql import ReadOnlyDatabase

_TIMEOUT_SECONDS = 15
_CALL = re.compile(r"\bmodel\.([A-Za-z_]\w*)\(")
_ODOO_BOT = 1
_GUARD = ("closekeeper", "requeue", "ir.actions.server")
"""The server action that requeues one attempt of a job; docs/job-remediation.md says how it is installed."""


def queue_jobs(signal: Signal) -> Evidence:
    """See `Collector.QUEUE_JOBS`."""
    from shared.job_remediation.odoo_jobs import queue_evidence
    from shared.platforms import odoo_tables, sql

    place = _place_of(signal)
    if isinstance(place, str):
        return Evidence(missing={Collector.QUEUE_JOBS: place})
    odoo, server, database, policy = place
    try:
        with _open(server, database) as db:
            if not odoo_tables.has_table(db, "queue_job"):
                return Evidence(missing={Collector.QUEUE_JOBS: f"{database} has no queue_job"})
            failed = [_queue_job(row) for row in odoo_tables.failed_queue_jobs(db)]
            rows = odoo_tables.stuck_queue_jobs(db, policy.queue_stuck, datetime.now(UTC))
            return queue_evidence(
                odoo,
                database,
                failed,
                [_queue_job(row[:-1], worker=row[-1]) for row in rows],
                odoo_tables.external_id(db, *_GUARD) is not None,
                lambda one: _applied(db, policy, one.job, one.records),
                self_healing=odoo_tables.has_table(db, "queue_job_lock"),
            )
    except sql.DatabaseUnavailableError as error:
        return Evidence(missing={Collector.QUEUE_JOBS: str(error)})


def crons(signal: Signal) -> Evidence:
    """See `Collector.CRONS`."""
    from shared.job_remediation.odoo_jobs import cron_evidence
    from shared.platforms import odoo_tables, sql

    place = _place_of(signal)
    if isinstance(place, str):
        return Evidence(missing={Collector.CRONS: place})
    odoo, server, database, policy = place
    try:
        with _open(server, database) as db:
            found = [_cron(row) for row in odoo_tables.crons(db)]
            neutralised = odoo_tables.is_neutralised(db)
    except sql.DatabaseUnavailableError as error:
        return Evidence(missing={Collector.CRONS: str(error)})
    return cron_evidence(odoo, database, found, neutralised, policy.cron_overdue, datetime.now(UTC))


def applied_of(environment: str, database: str, job: str, records: Sequence[int]) -> Applied:
    """What the probe of a job says of its records, now; see `_applied`. Raises DatabaseUnavailableError."""
    from shared.estate.policies.job_remediation import JobRemediation

    policy = estate_in_force.get().job_remediation or JobRemediation()
    with _open(_server_of(environment, database), database) as db:
        return _applied(db, policy, job, records)


def queue_job_now(environment: str, database: str, id: int) -> tuple[Any, ...] | None:
    """See `odoo_tables.queue_job`. Raises DatabaseUnavailableError."""
    from shared.platforms import odoo_tables

    with _open(_server_of(environment, database), database) as db:
        return odoo_tables.queue_job(db, id)


def cron_at_work(environment: str, database: str, id: int) -> bool:
    """Whether the cron runs at this moment. Raises DatabaseUnavailableError."""
    from shared.platforms import odoo_tables

    with _open(_server_of(environment, database), database) as db:
        return any(row[0] == id and row[-1] for row in odoo_tables.crons(db))


def is_dead(environment: str, database: str, id: int, attempt: str) -> bool:
    """Whether a queue job is stuck in that attempt, and no worker has it. Raises DatabaseUnavailableError."""
    from shared.estate.policies.job_remediation import JobRemediation
    from shared.job_remediation.odoo_jobs import attempt_of
    from shared.platforms import odoo_tables

    policy = estate_in_force.get().job_remediation or JobRemediation()
    with _open(_server_of(environment, database), database) as db:
        rows = odoo_tables.stuck_queue_jobs(db, policy.queue_stuck, datetime.now(UTC))
    for row in rows:
        job = _queue_job(row[:-1], worker=row[-1])
        if job.id == id:
            began = None if job.state == "enqueued" else job.date_started
            return not job.worker and attempt_of(began) == attempt
    return False


def guard_of(environment: str, database: str) -> int | None:
    """The id of the server action that requeues with a guard; None where none is. Raises DatabaseUnavailableError."""
    from shared.platforms import odoo_tables

    with _open(_server_of(environment, database), database) as db:
        return odoo_tables.external_id(db, *_GUARD)


def _applied(db: "ReadOnlyDatabase", policy: "JobRemediation", job: str, records: Sequence[int]) -> Applied:
    """YES when the probe finds it applied to one of the records, NO when to none; UNKNOWN when there is no probe, it
    fails, or nobody knows which records the job is about."""
    from shared.job_remediation.odoo_jobs import MOST_RECORDS
    from shared.platforms import odoo_tables

    declared = job_of(policy.jobs, job)
    probe = policy.probes.get(declared.proof) if declared.proof else None
    if probe is None or not 0 < len(records) <= MOST_RECORDS:
        return Applied.UNKNOWN
    answers = [odoo_tables.probe(db, probe.sql, record) for record in records]
    if any(answer == (probe.applied_when == "rows") for answer in answers):
        return Applied.YES
    return Applied.UNKNOWN if any(isinstance(answer, str) for answer in answers) else Applied.NO


def _server_of(environment: str, database: str) -> str:
    from shared.platforms import sql

    declared = estate_in_force.get().environments[environment]
    for server in declared.postgres.values():
        if database in server.databases:
            return str(server.id)
    raise sql.DatabaseUnavailableError(f"{environment} declares no server with the database {database}")


def _place_of(signal: Signal) -> "tuple[str, str, str, JobRemediation] | str":
    """The Odoo's name, the server's id, the database and the policy; or why the signal says none."""
    from shared.estate.policies.job_remediation import JobRemediation

    estate = estate_in_force.get()
    environment = estate.environments.get(signal.environment or "")
    tenant = environment.tenants.get(signal.tenant or "") if environment else None
    if environment is None or tenant is None:
        return "the signal says no declared tenant: label it with `tenant`"
    if tenant.odoo is None:
        return f"{signal.tenant} has no Odoo endpoint in the estate"
    server = str(environment.postgres[tenant.database.server].id)
    return tenant.odoo, server, tenant.database.database, estate.job_remediation or JobRemediation()


@contextmanager
def _open(server_id: str, database: str) -> "Generator[ReadOnlyDatabase]":
    from shared.platforms import postgres_servers, sql

    server = postgres_servers.get(server_id)
    if server is None:
        raise sql.DatabaseUnavailableError(f"{server_id}: Azure knows no such server")
    with sql.read_only(server.host, database, statement_timeout_seconds=_TIMEOUT_SECONDS) as opened:
        yield opened


def _queue_job(row: tuple[Any, ...], *, worker: bool = False) -> "QueueJob":
    from shared.job_remediation.odoo_jobs import QueueJob, records_of

    id, uuid, model, method, state, exception, message, records, started, twin = row
    return QueueJob(
        id=id,
        uuid=uuid,
        model=model or "",
        method=method or "",
        state=state,
        exception=exception,
        message=message,
        records=records_of(records),
        date_started=_utc(started),
        twin=twin,
        worker=worker,
    )


def _cron(row: tuple[Any, ...]) -> Any:
    from shared.job_remediation.odoo_jobs import Cron

    id, name, active, nextcall, lastcall, write_uid, model, code, at_work = row
    call = _CALL.search(code)
    last = _utc(lastcall)
    return Cron(
        id=id,
        name=name,
        model=model,
        method=call[1] if call else "",
        active=active,
        at_work=at_work,
        nextcall=_utc(nextcall) or datetime.now(UTC),
        lastcall=last,
        # One that ships inactive never ran; what a person switched off bears that person's name.
        failed_off=last is not None
        and write_uid in (None, _ODOO_BOT)
        and datetime.now(UTC) - last < timedelta(days=60),
    )


def _utc(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=UTC) if time else None
