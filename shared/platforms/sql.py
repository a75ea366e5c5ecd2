"""Read-only looks at a PostgreSQL database through psycopg, as the app's own identity.

The password is an Entra token for the managed identity (scope ossrdbms-aad), checked by the server when it connects.
Sources: "Connect with managed identity to Azure Database for PostgreSQL", libpq's environment variables.
"""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from shared.platforms import settings
from shared.platforms.credentials import credential

if TYPE_CHECKING:
    import psycopg

_SCOPE = "https://ossrdbms-aad.database.windows.net/.default"


class DatabaseUnavailableError(Exception):
    """The server did not let us in, or the connection was lost. Trying again later may help."""


class ReadOnlyDatabase:
    """One repeatable-read, read-only transaction: every answer is of the same instant."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def rows(self, query: LiteralString, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a small answer."""
        return self._connection.execute(query, parameters or None).fetchall()

    def attempt(self, query: LiteralString, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]] | str:
        """All rows of a small answer, or the server's complaint in one line; the transaction goes on either way.

        Raises psycopg.OperationalError when the connection is lost.
        """
        import psycopg

        try:
            with self._connection.transaction():
                return self.rows(query, parameters)
        except psycopg.Error as error:
            if self._connection.broken:
                raise
            return _first_line(error)

    def stream(self, query: LiteralString, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a large answer, a bounded number in memory at a time."""
        with self._connection.cursor(name="closekeeper") as cursor:
            cursor.itersize = 10_000
            cursor.execute(query, parameters or None)
            yield from cursor


class WritableDatabase(ReadOnlyDatabase):
    """One transaction that may write: of a copy only, and only once it was proven to be one."""


@contextlib.contextmanager
def writable_copy(
    host: str, database: str, *, statement_timeout_seconds: int, commit: bool
) -> Generator[WritableDatabase]:
    """Open a proven copy's database for writing, in one transaction that is committed at the end, or rolled back
    without `commit` and after an error. Raises DatabaseUnavailableError when it cannot be reached or is lost."""
    import psycopg

    try:
        with (
            psycopg.connect(**_login(host, database, statement_timeout_seconds, "off")) as connection,
            connection.transaction(force_rollback=not commit),
        ):
            yield WritableDatabase(connection)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"{host}/{database}: {_first_line(error)}") from error


@contextlib.contextmanager
def read_only(host: str, database: str, *, statement_timeout_seconds: int) -> Generator[ReadOnlyDatabase]:
    """Open the database for reading. Raises DatabaseUnavailableError when it cannot be reached or is lost."""
    import psycopg

    try:
        with psycopg.connect(**_login(host, database, statement_timeout_seconds, "on")) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield ReadOnlyDatabase(connection)
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"{host}/{database}: {_first_line(error)}") from error


def _login(host: str, database: str, statement_timeout_seconds: int, read_only: str) -> dict[str, Any]:
    timeout = f"-c statement_timeout={statement_timeout_seconds * 1000}"
    return {
        "host": host,
        "dbname": database,
        "user": settings.required("PGUSER", "give the name of the app's PostgreSQL role, the managed identity's name"),
        "password": credential().get_token(_SCOPE).token,
        "sslmode": "verify-full",
        "connect_timeout": 10,
        "application_name": "closekeeper",
        "options": f"-c default_transaction_read_only={read_only} {timeout}",
    }


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
