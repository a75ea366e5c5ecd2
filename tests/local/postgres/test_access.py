"""Who gets in: TLS with the right authority, passwords while they are valid, and nobody else's superuser."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.azure.certificates import CertificateAuthority
from local.postgres import SUPERUSER, LoopbackAddresses, PostgresCluster, ServerCertificate, programs
from tests.local.postgres.conftest import create_cluster


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, addresses: LoopbackAddresses, authority: CertificateAuthority
) -> Iterator[PostgresCluster]:
    address = addresses.allocate()
    issued = authority.issue("server", ["books.postgres.test"], [address])
    cluster = create_cluster(
        tmp_path_factory.mktemp("tls") / "server",
        addresses,
        address=address,
        certificate=ServerCertificate(issued.certificate, issued.key, authority.root),
    )
    yield cluster
    cluster.destroy()


def log_in(server: PostgresCluster, **options: Any) -> "psycopg.Connection[Any]":
    defaults = {
        "host": server.address,
        "port": server.port,
        "user": "clerk",
        "password": "correct horse",
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": str(server.certificate.authority) if server.certificate else None,
        "connect_timeout": 10,
    }
    return psycopg.connect(**defaults | options)


def test_full_verification_succeeds_by_address_and_by_name(server: PostgresCluster) -> None:
    for options in ({}, {"host": "books.postgres.test", "hostaddr": server.address}):
        with log_in(server, **options) as connection:
            assert connection.pgconn.ssl_in_use


def test_another_authority_is_refused(server: PostgresCluster, tmp_path: Path) -> None:
    stranger = CertificateAuthority(tmp_path)
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        log_in(server, sslrootcert=str(stranger.root))


def test_another_name_is_refused(server: PostgresCluster) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        log_in(server, host="payroll.postgres.test", hostaddr=server.address)


def test_nobody_gets_in_without_encryption(server: PostgresCluster) -> None:
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        log_in(server, sslmode="disable")


def test_a_wrong_password_is_refused(server: PostgresCluster) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(server, password="battery staple")


def test_the_superuser_is_not_reachable_by_network(server: PostgresCluster) -> None:
    server.run_sql(f"ALTER ROLE {SUPERUSER} PASSWORD 'known'")
    with pytest.raises(psycopg.OperationalError, match="rejects connection"):
        log_in(server, user=SUPERUSER, password="known")


def test_the_socket_is_the_superusers_alone(server: PostgresCluster) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        log_in(server, host=str(server.home / "socket"), sslmode="prefer")
    assert (server.home / "socket").stat().st_mode & 0o077 == 0


def test_a_password_lets_in_until_it_expires(server: PostgresCluster) -> None:
    now = datetime.now(UTC)
    server.set_password("drill-identity", "first token", now + timedelta(hours=1), create=True)
    log_in(server, user="drill-identity", password="first token").close()

    server.set_password("drill-identity", "second token", now + timedelta(hours=1))
    log_in(server, user="drill-identity", password="second token").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(server, user="drill-identity", password="first token")

    server.set_password("drill-identity", "second token", now - timedelta(seconds=1))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(server, user="drill-identity", password="second token")

    server.set_password("drill-identity", "second token")
    log_in(server, user="drill-identity", password="second token").close()


def test_a_missing_role_is_made_only_when_asked(server: PostgresCluster) -> None:
    with pytest.raises(psycopg.errors.UndefinedObject):
        server.set_password("nobody there", "token")


def test_no_password_is_ever_logged(server: PostgresCluster) -> None:
    server.run_sql("ALTER SYSTEM SET log_statement = 'all'")
    server.run_sql("SELECT pg_reload_conf()")
    server.set_password("logged role", "very secret token", create=True)
    server.run_sql("ALTER SYSTEM RESET log_statement")
    server.run_sql("SELECT pg_reload_conf()")

    log = server.log.read_text()
    assert 'ALTER ROLE "logged role"' in log
    assert "very secret token" not in log
    assert "correct horse" not in log


def test_the_administrator_manages_but_is_no_superuser(server: PostgresCluster) -> None:
    with log_in(server, autocommit=True) as administrator:
        administrator.execute("CREATE ROLE auditor LOGIN")
        administrator.execute("CREATE DATABASE managed")
        assert administrator.execute(
            "SELECT rolsuper, pg_has_role('azure_pg_admin', 'MEMBER') FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False, True)
        for forbidden in ("CREATE ROLE other SUPERUSER", "ALTER SYSTEM SET fsync = on", "SELECT pg_switch_wal()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                administrator.execute(forbidden)


def test_the_environment_of_the_app_does_not_disturb_the_estate(
    server: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("PGPORT", "1"), ("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", "/none"), ("PGUSER", "me")):
        monkeypatch.setenv(name, value)
    server.restart()
    assert server.run_sql("SELECT current_user::text") == [(SUPERUSER,)]
    assert server.take_base_backup() in server.backups
    assert not [name for name in programs.environment() if name.startswith("PG")]
