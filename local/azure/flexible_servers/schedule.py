"""The daily backups that the service takes by itself."""

import asyncio
import logging
from datetime import datetime, timedelta

import psycopg

from local.azure.flexible_servers.behaviour import Behaviour
from local.azure.flexible_servers.model import Server
from local.azure.flexible_servers.registry import Registry, utc_now
from local.postgres.errors import ProgramFailedError, ServerFailedError

_TICK_SECONDS = 30.0

_log = logging.getLogger(__name__)


async def keep_backups(registry: Registry, behaviour: Behaviour) -> None:
    """Until cancelled, back up every server that is due, and drop what is older than its retention."""
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        for server in registry.all():
            await asyncio.to_thread(back_up_when_due, server, behaviour, utc_now())


def back_up_when_due(server: Server, behaviour: Behaviour, now: datetime) -> None:
    """One tick for one server. A server that is being worked on, or not running, waits for the next one."""
    cluster = server.cluster
    if cluster is None or not cluster.running or server.operation is not None:
        return
    if not cluster.backups and now - server.created < behaviour.first_backup_after:
        return
    if not server.working.acquire(blocking=False):
        return
    try:
        retention = timedelta(days=server.backup["backupRetentionDays"])
        cluster.back_up_when_due(now, interval=behaviour.backup_interval, retention=retention)
    except (ProgramFailedError, ServerFailedError, psycopg.Error, OSError) as error:
        _log.warning("%s could not be backed up: %s", server.name, error)
    finally:
        server.working.release()
