"""How a request for a server becomes a real cluster, and who may log in to it."""

import psycopg
from psycopg import sql

from local.azure.flexible_servers import refusals
from local.azure.flexible_servers.creation import CopiedServer, NewServer
from local.azure.flexible_servers.model import Server
from local.azure.flexible_servers.registry import Registry
from local.postgres import PostgresCluster, ServerCertificate
from local.postgres.errors import CancelledError, ProgramFailedError, RestoreFailedError, ServerFailedError


def make_cluster(server: Server, wanted: NewServer | CopiedServer, registry: Registry) -> PostgresCluster:
    """Make what was asked for and start it; raises ArmError, and leaves nothing then."""
    certificate = registry.certificate(server)
    try:
        if isinstance(wanted, NewServer):
            return _create(server, wanted, registry, certificate)
        return _copy(server, wanted, registry, certificate)
    except psycopg.Error as error:
        raise refusals.invalid_parameter("administratorLogin") from error
    except (RestoreFailedError, ProgramFailedError, ServerFailedError) as error:
        raise refusals.restore_failed(str(error)) from error
    except CancelledError as error:
        raise refusals.dropping() from error


def _create(server: Server, wanted: NewServer, registry: Registry, certificate: ServerCertificate) -> PostgresCluster:
    return PostgresCluster.create(
        registry.folder / server.name,
        address=server.address,
        port=server.port,
        certificate=certificate,
        administrator=wanted.administrator,
        password=wanted.password,
        max_connections=wanted.sku.max_connections,
    )


def _copy(server: Server, wanted: CopiedServer, registry: Registry, certificate: ServerCertificate) -> PostgresCluster:
    folder, source = registry.folder / server.name, wanted.source.cluster
    assert source is not None
    if wanted.replica:
        return PostgresCluster.create_replica(
            folder, source, address=server.address, port=server.port, certificate=certificate, cancel=server.cancel
        )
    return PostgresCluster.restore(
        folder,
        source,
        target=wanted.target,
        clamp=True,  # as Azure: what was not archived yet at the target is not there, and that is no failure
        address=server.address,
        port=server.port,
        certificate=certificate,
        cancel=server.cancel,
    )


def let_read(cluster: PostgresCluster, role: str) -> None:
    """Give the app's identity a role that reads everything, as the operator of a real server would."""
    cluster.run_sql(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    cluster.run_sql(sql.SQL("GRANT pg_read_all_data, pg_monitor, pg_signal_backend TO {}").format(sql.Identifier(role)))


def let_administer(cluster: PostgresCluster, role: str) -> None:
    """Let an Entra principal in as an administrator."""
    if not cluster.run_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]):
        cluster.run_sql(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    cluster.run_sql(sql.SQL("ALTER ROLE {} LOGIN CREATEDB CREATEROLE").format(sql.Identifier(role)))
    cluster.run_sql(sql.SQL("GRANT azure_pg_admin TO {}").format(sql.Identifier(role)))


def shut_out(cluster: PostgresCluster, role: str) -> None:
    """Let nobody in by a role any longer; it stays, since it may own things."""
    cluster.run_sql(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(role)))
