"""Whether a PostgreSQL server answers, and what it says of itself."""

from shared.platforms import sql

_MAINTENANCE_DATABASE = "postgres"
_WITHIN_SECONDS = 10


def silence(host: str) -> str:
    """Why the server does not answer SQL; empty when it does."""
    try:
        max_connections(host)
    except sql.DatabaseUnavailableError as error:
        return str(error)
    return ""


def max_connections(host: str) -> int:
    """How many it lets in, reserved ones included. Raises sql.DatabaseUnavailableError."""
    with sql.read_only(host, _MAINTENANCE_DATABASE, statement_timeout_seconds=_WITHIN_SECONDS) as database:
        return int(database.rows("select current_setting('max_connections')")[0][0])
