"""flexibleServers/backups: the automatic ones are listed, those on demand can be made and deleted."""

import re
from datetime import UTC, datetime
from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.flexible_servers import refusals
from local.azure.flexible_servers.model import TYPE, Server, rfc3339
from local.azure.flexible_servers.provider import API_VERSIONS, SERVER, FlexibleServers
from local.postgres import BaseBackup

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_MOST_ON_DEMAND = 7
_RUNNING = "on-demand backup"


def register(arm: ResourceManager, servers: FlexibleServers) -> None:
    """Serve the backups of these servers. On demand: at most seven, one at a time, and none on Burstable sizes."""

    def find(call: Call) -> tuple[Server, BaseBackup]:
        server = servers.server(call)
        name = call.names["backupName"]
        for backup in _backups(server):
            if backup.name == name:
                return server, backup
        raise refusals.not_found("flexibleServers/backups", f"{server.name}/{name}", server.group)

    def show_one(call: Call) -> Answer:
        return Answer(200, _show(*find(call)))

    def show_all(call: Call) -> Answer:
        server = servers.server(call)
        return page(call, [_show(server, backup) for backup in _backups(server)], servers.behaviour.page_size)

    def create(call: Call) -> Answer:
        server = servers.server(call)
        name = call.names["backupName"]
        if not _NAME.fullmatch(name):
            raise refusals.invalid_parameter("backupName")
        if server.operation is not None:
            raise refusals.busy(server.name)
        if server.state != "Ready" or server.cluster is None:
            raise refusals.not_ready(server.name, server.state)
        if server.sku.tier == "Burstable":
            raise refusals.invalid_parameter("sku.tier")
        names = [backup.name for backup in _backups(server)]
        if _RUNNING in server.on_demand or name in names or len(server.on_demand) >= _MOST_ON_DEMAND:
            raise refusals.internal()
        cluster = server.cluster
        server.on_demand.add(_RUNNING)

        def work() -> None:
            cluster.take_base_backup(name)
            server.on_demand.remove(_RUNNING)
            server.on_demand.add(name)

        return servers.begin(
            call,
            server,
            "backup",
            "CreateOnDemandBackupManagementOperation",
            work,
            failed=lambda _: server.on_demand.discard(_RUNNING),
            result=lambda: _show(*find(call)),
        )

    def delete(call: Call) -> Answer:
        server = servers.server(call)
        name = call.names["backupName"]
        if name not in [backup.name for backup in _backups(server)]:
            return Answer(204)
        if name not in server.on_demand:
            raise refusals.invalid_parameter("backupName")

        def work() -> None:
            assert server.cluster is not None
            server.cluster.backup_store.remove(name)
            server.on_demand.discard(name)

        return servers.begin(
            call, server, "backup", "DeleteOnDemandBackupManagementOperation", work, failed=lambda _: None
        )

    def show_long_term(call: Call) -> Answer:
        server = servers.server(call)
        return page(call, [_show_long_term(server, at) for at in server.long_term], servers.behaviour.page_size)

    one = f"{SERVER}/backups/{{backupName}}"
    arm.register(
        API_VERSIONS,
        [
            Route("GET", f"{SERVER}/backups", show_all),
            Route("GET", one, show_one),
            Route("PUT", one, create),
            Route("DELETE", one, delete),
            Route("GET", f"{SERVER}/ltrBackupOperations", show_long_term),
        ],
    )


def _backups(server: Server) -> list[BaseBackup]:
    return server.cluster.backups if server.cluster else []


def _show_long_term(server: Server, at: datetime) -> dict[str, Any]:
    name = f"ltr-{at:%Y%m%dT%H%M%S}"
    return {
        "id": server.child_id("ltrBackupOperations", name),
        "name": name,
        "type": f"{TYPE}/ltrBackupOperations",
        "properties": {
            "backupName": name,
            "status": "Succeeded",
            "startTime": rfc3339(at),
            "endTime": rfc3339(at),
            "percentComplete": 100,
        },
    }


def _show(server: Server, backup: BaseBackup) -> dict[str, Any]:
    on_demand = backup.name in server.on_demand
    return {
        "id": server.child_id("backups", backup.name),
        "name": backup.name,
        "type": f"{TYPE}/backups",
        "properties": {
            "backupType": "Customer On-Demand" if on_demand else "Full",
            "completedTime": backup.completed_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "source": "Customer Initiated" if on_demand else "Automatic",
        },
    }
