"""Real PostgreSQL servers that stand in for Azure's: archived log, base backups, point-in-time restore, TLS."""

from local.postgres.addresses import LoopbackAddresses
from local.postgres.base_backups import BaseBackup
from local.postgres.binaries import binary
from local.postgres.cluster import PostgresCluster
from local.postgres.configuration import ServerCertificate
from local.postgres.errors import CancelledError, ProgramFailedError, RestoreFailedError, ServerFailedError
from local.postgres.roles import SUPERUSER

__all__ = [
    "SUPERUSER",
    "BaseBackup",
    "CancelledError",
    "LoopbackAddresses",
    "PostgresCluster",
    "ProgramFailedError",
    "RestoreFailedError",
    "ServerCertificate",
    "ServerFailedError",
    "binary",
]
