"""What is written into a server's configuration files. They live outside of its data, so no backup carries them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RESERVED_CONNECTIONS = 15
"""What Azure keeps of a server's `max_connections` for itself (document concepts-limits)."""


@dataclass(frozen=True)
class ServerCertificate:
    """PEM files: the server's certificate and key, and the authority that clients verify it against."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class Sizing:
    """What stays the same for a server's whole life, and is handed on to what is restored from it."""

    max_connections: int = 100
    shared_buffers_megabytes: int = 16
    archive_timeout_seconds: int = 10


type Settings = Mapping[str, str | int | bool]


def server_settings(home: Path, *, address: str, port: int, sizing: Sizing, tls: bool) -> Settings:
    """The settings of a server in `home`.

    fsync is off: a killed server loses nothing by that, as the pages are the kernel's by then; only the machine's own
    crash would, and no local estate outlives it. Everything else that protects data is on.
    """
    return {
        "listen_addresses": address,
        "port": port,
        "unix_socket_directories": str(home / "socket"),
        "unix_socket_permissions": "0700",
        "hba_file": str(home / "pg_hba.conf"),
        "ident_file": str(home / "pg_ident.conf"),
        "max_connections": sizing.max_connections,
        "superuser_reserved_connections": RESERVED_CONNECTIONS,
        "shared_buffers": f"{sizing.shared_buffers_megabytes}MB",
        "huge_pages": "off",
        "max_wal_senders": 4,
        "max_replication_slots": 4,
        "min_wal_size": "4MB",
        "max_wal_size": "256MB",
        "dynamic_shared_memory_type": "mmap",  # in the data folder, where nothing can leak
        "fsync": False,
        "wal_level": "replica",
        "archive_mode": True,
        "archive_library": "basic_archive",
        "basic_archive.archive_directory": str(home / "archive"),
        "archive_timeout": sizing.archive_timeout_seconds,
        "password_encryption": "scram-sha-256",
        "ssl": tls,
        **({"ssl_cert_file": str(home / "server.crt"), "ssl_key_file": str(home / "server.key")} if tls else {}),
        "ssl_min_protocol_version": "TLSv1.2",
        "timezone": "GMT",  # the one zone that needs no time zone files
        "log_timezone": "GMT",
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] ",
        "log_checkpoints": False,
    }


def recovery_settings(wal: Path, target: datetime | None) -> Settings:
    """Replay the WAL in a folder up to a target time (None: all of it), then become a server of its own.

    Nobody may connect before: a read in the middle of the replay would see a state that was never asked for. What has
    to be at least as large as it was on the source binds only servers that answer meanwhile.
    """
    settings: dict[str, str | int | bool] = {
        "hot_standby": False,
        "restore_command": _restore_command(wal),
        "recovery_target_timeline": "current",
        "recovery_target_action": "promote",
    }
    if target is not None:
        settings["recovery_target_time"] = target.astimezone(UTC).isoformat(" ")
    return settings


def standby_settings(primary: str, archive: Path) -> Settings:
    """Follow another server, given by its connection string, and its archive where that has dropped some log."""
    return {"primary_conninfo": primary, "restore_command": _restore_command(archive)}


def _restore_command(wal: Path) -> str:
    return f'cp "{wal}/%f" "%p"'


def render_settings(settings: Settings) -> str:
    """The text of a postgresql.conf."""
    return "".join(f"{name} = {_literal(value)}\n" for name, value in settings.items())


def _literal(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def render_authentication(*, superuser: str, tls: bool) -> str:
    """The text of a pg_hba.conf: the superuser through the socket only, everybody else by password only."""
    return f"""\
local      all          {superuser}                trust
local      replication  {superuser}                trust
{"hostssl" if tls else "host"}  all  {superuser}  all  reject
{"hostssl" if tls else "host"}  all  all          all  scram-sha-256
"""
