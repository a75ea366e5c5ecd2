"""An Odoo's external API and its workers, over a real Odoo-shaped database: queue jobs and crons act as in Odoo.

Served are XML-RPC (`/xmlrpc/2/common`, `/xmlrpc/2/object`) and JSON-2 (`/json/2/MODEL/METHOD`) for the models that the
app speaks to, with the rules that those models enforce: private methods, protected fields, the row lock of a running
cron, what `requeue` does to a job that is done. Sources: Odoo 16 to 19, `rpc.py`, `ir_cron.py`; OCA queue_job 18.0,
`models/queue_job.py`.
"""

import json
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.azure.certificates import CertificateAuthority
from local.azure.serving import BackgroundServer

_TABLES = {"queue.job": "queue_job", "ir.cron": "ir_cron", "ir.cron.trigger": "ir_cron_trigger"}
_PROTECTED = {"uuid", "name", "date_created", "model_name", "method_name", "func_string", "channel_method_name",
              "job_function_id", "records", "args", "kwargs"}  # fmt: skip
_GUARD = "ir.actions.server"
GUARD_ID = 4711
_PUBLIC = {"search_read", "search_count", "read", "create", "write", "requeue", "button_done"}
_WORK_SECONDS = 0.02
_ADMIN = 2


class RefusedError(Exception):
    """What Odoo answers instead of a result, by its own class of exception."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def fault(self) -> int:
        """XML-RPC's code."""
        return {"AccessDenied": 3, "AccessError": 4, "UserError": 2, "ValidationError": 2, "MissingError": 2}.get(
            self.kind, 1
        )

    @property
    def status(self) -> int:
        """JSON-2's status."""
        return {"AccessDenied": 401, "AccessError": 403, "MissingError": 404, "UserError": 422}.get(self.kind, 500)


@dataclass(slots=True)
class Work:
    """What becomes of a method's jobs: they take a while, and end well or by an error."""

    seconds: float = 0.0
    error: str = ""
    message: str = ""
    effect: str = ""
    """A statement that is its effect on the database, with %(record)s."""

    works: bool = False
    """Its effect is there also when it ends by the error: the answer of a bank was lost."""

    times: int | None = None
    """How many end so; the others end well. None: all."""


@dataclass(frozen=True, slots=True)
class Done:
    """A job that was executed, which is its effect on the world: a payment file, a mail."""

    database: str
    job: int
    method: str
    record: int | None


@dataclass(slots=True)
class Faults:
    """What goes wrong with requests. `silent`: so many next calls of a method are done, and then nobody answers."""

    silent: dict[str, int] = field(default_factory=dict[str, int])
    unreachable: bool = False


class OdooServer:
    """A context manager. `dsn` gives the connection string of a database by its name."""

    def __init__(
        self, authority: CertificateAuthority, dsn: Callable[[str], str], *, user: str, key: str, manager: bool = True
    ) -> None:
        self.work: dict[str, Work] = {}
        self.done: list[Done] = []
        self.calls: list[tuple[str, str, tuple[int, ...]]] = []
        self.faults = Faults()
        self.manager = manager
        self._dsn, self._user, self._key = dsn, user, key
        self._databases: set[str] = set()
        self._stopped = threading.Event()
        self._crons_wake = threading.Event()
        app = Starlette(
            routes=[
                Route("/xmlrpc/2/{service}", self._xml_rpc, methods=["POST"]),
                Route("/json/2/{model}/{method}", self._json_2, methods=["POST"]),
            ]
        )
        certificate = authority.issue("odoo", dns=["localhost"], addresses=["127.0.0.1"])
        self._server = BackgroundServer(app, certificate)
        self._workers = threading.Thread(target=self._run_jobs, name="odoo-workers", daemon=True)

    def __enter__(self) -> Self:
        self._server.start()
        self._workers.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._workers.join()
        self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url

    def serve(self, database: str) -> None:
        """Let the workers look after the database from now on."""
        self._databases.add(database)

    def install_guard(self, database: str) -> None:
        """Give the database the server action that requeues one attempt of a job, as its administrator does."""
        with psycopg.connect(self._dsn(database)) as connection:
            connection.execute(
                "create table if not exists ir_model_data (module varchar, name varchar, model varchar, res_id int)"
            )
            connection.execute(
                "insert into ir_model_data (module, name, model, res_id) values ('closekeeper', 'requeue', %s, %s)",
                (_GUARD, GUARD_ID),
            )

    # --- protocols

    async def _xml_rpc(self, request: Request) -> Response:
        arguments, method = xmlrpc.client.loads(await request.body(), use_builtin_types=True)
        try:
            if request.path_params["service"] == "common":
                result: Any = self._authenticate(*arguments[:3]) if method == "authenticate" else {"protocol": 1}
            else:
                database, user, key, model, called, *rest = arguments
                if not self._authenticate(database, self._user, key) or user != _ADMIN:
                    raise RefusedError("AccessDenied", "Access Denied")
                positional = rest[0] if rest else []
                named = rest[1] if len(rest) > 1 else {}
                result = await run_in_threadpool(self._call, database, model, called, positional, named)
        except RefusedError as error:
            fault = xmlrpc.client.Fault(error.fault, str(error))
            return Response(xmlrpc.client.dumps(fault, allow_none=True), media_type="text/xml")
        if self._is_silent(request, arguments):
            raise ConnectionResetError("the answer is lost")
        return Response(xmlrpc.client.dumps((result,), methodresponse=True, allow_none=True), media_type="text/xml")

    async def _json_2(self, request: Request) -> Response:
        model, method = request.path_params["model"], request.path_params["method"]
        key = request.headers.get("authorization", "").removeprefix("bearer ").strip()
        database = request.headers.get("x-odoo-database", "")
        named: dict[str, Any] = await request.json()
        try:
            if not self._authenticate(database, self._user, key):
                raise RefusedError("AccessDenied", "Invalid apikey")
            ids = named.pop("ids", None)
            positional = [ids] if ids is not None else []
            if method in ("create", "write"):
                positional.append(named.pop("vals_list" if method == "create" else "vals"))
            result = await run_in_threadpool(self._call, database, model, method, positional, named)
        except RefusedError as error:
            told = {"name": f"odoo.exceptions.{error.kind}", "message": str(error), "arguments": [str(error)]}
            return JSONResponse(told, error.status)
        return JSONResponse(json.loads(json.dumps(result, default=str)))

    def _is_silent(self, request: Request, arguments: Sequence[Any]) -> bool:
        method = arguments[4] if request.path_params["service"] == "object" else ""
        left = self.faults.silent.get(method, 0)
        if left:
            self.faults.silent[method] = left - 1
        return bool(left)

    def _authenticate(self, database: str, user: str, key: str) -> int | bool:
        return _ADMIN if (user, key) == (self._user, self._key) and database else False

    # --- models

    def _call(self, database: str, model: str, method: str, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        if method.startswith("_"):
            raise RefusedError(
                "AccessError", f"Private methods (such as '{model}.{method}') cannot be called remotely."
            )
        if (model, method) == (_GUARD, "run"):
            return self._guarded_requeue(database, positional[0], named.get("context") or {})
        if model not in _TABLES or method not in _PUBLIC:
            raise RefusedError("AccessError", f"The method '{model}.{method}' does not exist")
        if not self.manager:
            raise RefusedError("AccessError", f"You are not allowed to access '{model}' records.")
        self._databases.add(database)
        with psycopg.connect(self._dsn(database), row_factory=dict_row) as connection:
            match method:
                case "search_read" | "search_count":
                    return self._search(connection, model, method, positional, named)
                case "read":
                    domain = [["id", "in", positional[0]]]
                    return self._search(connection, model, "search_read", [domain], named)
                case "create":
                    return self._create(connection, model, positional[0])
                case "write":
                    return self._write(connection, database, model, positional[0], positional[1])
                case _:
                    self.calls.append((model, method, tuple(positional[0])))
                    return self._job_method(connection, method, positional[0])

    def _guarded_requeue(self, database: str, ids: Sequence[int], context: Mapping[str, Any]) -> bool:
        """What the server action of docs/job-remediation.md does, in one transaction as in Odoo."""
        if list(ids) != [GUARD_ID]:
            raise RefusedError("MissingError", "Record does not exist or has been deleted.")
        job = int(context["closekeeper_job"])
        with psycopg.connect(self._dsn(database), row_factory=dict_row) as connection:
            found = connection.execute(
                "select date_started, date_created, identity_key from queue_job"
                " where id = %s and state = 'failed' for update",
                (job,),
            ).fetchone()
            if found is None or str(found["date_started"] or "") != context["closekeeper_attempt"]:
                raise RefusedError("UserError", "The job is not in the attempt that was diagnosed.")
            if (
                found["identity_key"]
                and connection.execute(
                    "select 1 from queue_job where identity_key = %s and id <> %s"
                    " and (greatest(date_created, date_started) > %s"
                    "  or state in ('wait_dependencies', 'pending', 'enqueued', 'started'))",
                    (found["identity_key"], job, found["date_started"] or found["date_created"]),
                ).fetchone()
            ):
                raise RefusedError("UserError", "Another job for the same is alive, or was tried since.")
            self._job_method(connection, "requeue", [job])
        self.calls.append(("queue.job", "requeue", (job,)))
        return False

    def _search(
        self, connection: Any, model: str, method: str, positional: Sequence[Any], named: Mapping[str, Any]
    ) -> Any:
        domain = positional[0] if positional else named.get("domain", [])
        where = [sql.SQL("true")]
        values: list[Any] = []
        for name, operator, value in domain:
            if operator not in ("=", "in", "!="):
                raise RefusedError("ValidationError", f"Invalid domain operator {operator}")
            comparison = sql.SQL("{} = any(%s)") if operator == "in" else sql.SQL(f"{{}} {operator} %s")
            where.append(comparison.format(sql.Identifier(name)))
            values.append(list(value) if operator == "in" else value)
        active_only = model == "ir.cron" and (named.get("context") or {}).get("active_test", True)
        if active_only:
            where.append(sql.SQL("active"))
        fields = named.get("fields") or ["id"]
        columns = sql.SQL(", ").join(sql.Identifier(name) for name in dict.fromkeys(["id", *fields]))
        query = sql.SQL("select {} from {} where {} order by id").format(
            columns, sql.Identifier(_TABLES[model]), sql.SQL(" and ").join(where)
        )
        rows = connection.execute(query, values).fetchall()
        if method == "search_count":
            return len(rows)
        return [{name: _shown(value) for name, value in row.items()} for row in rows]

    def _create(self, connection: Any, model: str, values: Any) -> Any:
        if model != "ir.cron.trigger":
            raise RefusedError("AccessError", f"You are not allowed to create '{model}' records.")
        many = values if isinstance(values, list) else [values]
        made = [
            connection.execute(
                "insert into ir_cron_trigger (cron_id, call_at, create_uid, create_date)"
                " values (%(cron_id)s, %(call_at)s, 2, now() at time zone 'utc') returning id",
                each,
            ).fetchone()["id"]
            for each in many
        ]
        self.calls.append((model, "create", tuple(each["cron_id"] for each in many)))
        return made if isinstance(values, list) else made[0]

    def _write(self, connection: Any, database: str, model: str, ids: Sequence[int], values: Mapping[str, Any]) -> bool:
        if model == "queue.job" and (named := sorted(_PROTECTED & values.keys())):
            raise RefusedError("AccessError", f"Not allowed to change field(s): {', '.join(named)}")
        if model == "queue.job":  # what is not protected may be written by whoever manages the queue
            for name, value in values.items():
                query = sql.SQL("update queue_job set {} = %s where id = any(%s)").format(sql.Identifier(name))
                connection.execute(query, (value, list(ids)))
            self.calls.append((model, "write", tuple(ids)))
            return True
        if model != "ir.cron":
            raise RefusedError("AccessError", f"You are not allowed to modify '{model}' records.")
        try:
            connection.execute("select id from ir_cron where id = any(%s) for update nowait", (list(ids),))
        except psycopg.errors.LockNotAvailable:
            connection.rollback()
            raise RefusedError(
                "UserError",
                "Record cannot be modified right now: This cron task is currently being executed and may not be "
                "modified Please try again in a few minutes",
            ) from None
        for name, value in values.items():
            query = sql.SQL("update ir_cron set {} = %s, write_uid = 2 where id = any(%s)").format(sql.Identifier(name))
            connection.execute(query, (value, list(ids)))
        if values.get("active"):  # the cron worker looks at once at what is due
            connection.execute(
                "insert into ir_cron_trigger (cron_id, call_at, create_uid)"
                " select id, nextcall, 2 from ir_cron where id = any(%s)",
                (list(ids),),
            )
        self.calls.append((model, "write", tuple(ids)))
        return True

    def _job_method(self, connection: Any, method: str, ids: Sequence[int]) -> bool:
        if method == "requeue":  # also of one that is done or started: it runs again, as in Odoo
            connection.execute(
                "update queue_job set state = 'pending', retry = 0, date_enqueued = null, date_started = null,"
                " date_done = null, result = null where id = any(%s) and state <> 'wait_dependencies'",
                (list(ids),),
            )
        else:
            connection.execute("update queue_job set state = 'done' where id = any(%s)", (list(ids),))
        return True

    # --- workers

    def _run_jobs(self) -> None:
        while not self._stopped.wait(_WORK_SECONDS):
            for database in sorted(self._databases):
                with psycopg.connect(self._dsn(database), row_factory=dict_row, autocommit=True) as connection:
                    self._run_one_job(connection, database)
                    self._run_triggered_crons(connection)

    def _run_one_job(self, connection: Any, database: str) -> None:
        job = connection.execute(
            "update queue_job set state = 'started', date_started = clock_timestamp() at time zone 'utc',"
            " retry = coalesce(retry, 0) + 1 where id = (select id from queue_job where state = 'pending'"
            " and uuid like 'test-%' order by id limit 1 for update skip locked)"
            " returning id, model_name, method_name, records::text"
        ).fetchone()
        if job is None:
            return
        method = f"{job['model_name']}.{job['method_name']}"
        plan = self.work.get(method, Work())
        time.sleep(plan.seconds)
        fails = bool(plan.error) and plan.times != 0
        ids = json.loads(job["records"] or "{}").get("ids") or [None]
        if not fails or plan.works:
            self.done.append(Done(database, job["id"], method, ids[0]))
            if plan.effect:
                connection.execute(plan.effect, {"record": ids[0]})
        if fails:
            if plan.times is not None:
                plan.times -= 1
            connection.execute(
                "update queue_job set state = 'failed', exc_name = %s, exc_message = %s where id = %s",
                (plan.error, plan.message, job["id"]),
            )
            return
        connection.execute(
            "update queue_job set state = 'done', date_done = clock_timestamp() at time zone 'utc' where id = %s",
            (job["id"],),
        )

    def _run_triggered_crons(self, connection: Any) -> None:
        connection.execute(
            "with due as (delete from ir_cron_trigger where call_at <= now() at time zone 'utc' and create_uid = 2"
            " returning cron_id)"
            " update ir_cron set lastcall = now() at time zone 'utc', nextcall = (now() at time zone 'utc')"
            " + (interval_number || ' ' || interval_type)::interval"
            " where active and id in (select cron_id from due)"
        )


def _shown(value: Any) -> Any:
    """As Odoo sends values: times as text without fractions, nothing as false."""
    if value is None:
        return False
    return value.strftime("%Y-%m-%d %H:%M:%S") if hasattr(value, "strftime") else value
