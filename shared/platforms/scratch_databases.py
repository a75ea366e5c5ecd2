"""Databases for a while on the declared scratch server: created empty, locked while they are filled, and dropped."""

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, LiteralString

from shared.platforms import settings
from shared.platforms.credentials import credential
from shared.platforms.sql import DatabaseUnavailableError

if TYPE_CHECKING:
    import psycopg

_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"


class ScratchServer:
    """The maintenance database of the scratch server, with autocommit. Only names with the `prefix` are touched."""

    def __init__(self, connection: "psycopg.Connection[Any]", prefix: str) -> None:
        self._connection, self._prefix = connection, prefix

    def lock(self, name: str) -> bool:
        """Whether this session is the one that fills that database; until the session ends."""
        ((taken,),) = self._rows("select pg_try_advisory_lock(hashtextextended(%s, 0))", name)
        return bool(taken)

    def wait_for_lock(self, name: str, seconds: int) -> bool:
        """Wait until nobody fills that database any more; False when somebody still does after so many seconds."""
        import psycopg

        self._connection.execute("select set_config('lock_timeout', %s, false)", [f"{seconds}s"])
        try:
            self._connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [name])
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def create(self, name: str) -> None:
        """Create the database, empty."""
        self._do("create database {} template template0 encoding 'UTF8'", name)

    def drop(self, name: str) -> None:
        """Drop it, whoever is in it; a missing one is no error."""
        self._do("drop database if exists {} with (force)", name)

    def exists(self, name: str) -> bool:
        """Whether there is such a database."""
        return bool(self._rows("select 1 from pg_database where datname = %s", name))

    def mine(self) -> list[str]:
        """All databases whose name begins with the prefix."""
        return [str(name) for (name,) in self._rows("select datname from pg_database where starts_with(datname, %s)")]

    def roles(self) -> frozenset[str]:
        """The roles of the server."""
        return frozenset(str(name) for (name,) in self._connection.execute("select rolname from pg_roles"))

    def _rows(self, query: LiteralString, name: str = "") -> list[tuple[Any, ...]]:
        return self._connection.execute(query, [name or self._prefix]).fetchall()

    def _do(self, statement: LiteralString, name: str) -> None:
        from psycopg import sql

        if not name.startswith(self._prefix):
            raise ValueError(f"{name} is no scratch database: its name does not begin with {self._prefix}")
        self._connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@contextlib.contextmanager
def scratch_server(host: str, prefix: str) -> Generator[ScratchServer]:
    """Open the server. Raises DatabaseUnavailableError when it cannot be reached or is lost."""
    import psycopg

    try:
        with psycopg.connect(
            host=host,
            dbname="postgres",
            user=settings.required("PGUSER", "give the name of the app's PostgreSQL role"),
            password=credential().get_token(_SCOPE).token,
            sslmode="verify-full",
            connect_timeout=10,
            application_name="closekeeper",
            autocommit=True,
        ) as connection:
            yield ScratchServer(connection, prefix)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"{host}: {str(error).strip().partition(chr(10))[0]}") from error
