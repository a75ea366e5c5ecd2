"""The roles of a server: the provider's, the administrator's, and passwords."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

SUPERUSER = "azuresu"
"""The provider's own role, as on Azure. Here it answers on the Unix socket only, and needs no password there."""

_AZURE_PG_ADMIN = """
CREATE ROLE azure_pg_admin CREATEDB CREATEROLE;
GRANT pg_monitor, pg_signal_backend, pg_checkpoint, pg_read_all_data TO azure_pg_admin WITH ADMIN OPTION;
-- Azure lets members at what any other role owns (document security-access-control); this comes near.
GRANT pg_write_all_data TO azure_pg_admin;
"""


def create_administrator(connection: "psycopg.Connection", name: str, password: str) -> None:
    """Make the role that a server is created with: no superuser, but a member of azure_pg_admin, as on Azure."""
    from psycopg import sql

    connection.execute(_AZURE_PG_ADMIN)
    create = sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE IN ROLE azure_pg_admin")
    connection.execute(create.format(sql.Identifier(name)))
    set_password(connection, name, password, None)


def set_password(
    connection: "psycopg.Connection", role: str, password: str, valid_until: datetime | None, *, create: bool = False
) -> None:
    """Set a role's password; see `PostgresCluster.set_password`."""
    from psycopg import sql

    name = sql.Identifier(role)
    if create and not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    until = valid_until.astimezone(UTC).isoformat() if valid_until else "infinity"
    alter = sql.SQL("ALTER ROLE {} PASSWORD {} VALID UNTIL {}")
    connection.execute(alter.format(name, sql.Literal(verifier), sql.Literal(until)))
