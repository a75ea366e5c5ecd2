"""flexibleServers/configurations: the server parameters, which are PostgreSQL's own settings.

A restored server has none of its source's changes, as Azure's has none. Settings by which the local estate runs its
servers are read-only here.
"""

from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.flexible_servers import refusals
from local.azure.flexible_servers.model import TYPE, Server
from local.azure.flexible_servers.provider import API_VERSIONS, SERVER, FlexibleServers
from local.postgres import PostgresCluster

_EXTENSIONS = "azure.extensions"
_OURS = {
    "archive_command",
    "archive_library",
    "archive_mode",
    "basic_archive.archive_directory",
    "config_file",
    "data_directory",
    "fsync",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "ssl",
    "ssl_cert_file",
    "ssl_key_file",
    "unix_socket_directories",
    "unix_socket_permissions",
    "wal_level",
}
_DATA_TYPES = {"bool": "Boolean", "real": "Numeric", "integer": "Integer", "enum": "Enumeration", "string": "String"}
_COLUMNS = "name, setting, boot_val, vartype, context, short_desc, unit, min_val, max_val, enumvals, pending_restart"


def register(arm: ResourceManager, servers: FlexibleServers) -> None:
    """Serve the parameters of these servers."""

    def show_one(call: Call) -> Answer:
        server = servers.server(call)
        return Answer(200, _one(server, call.names["configurationName"]))

    def show_all(call: Call) -> Answer:
        server = servers.server(call)
        return page(call, [*_read(server, "%"), _extensions(server)], servers.behaviour.page_size)

    def update(call: Call) -> Answer:
        server = servers.server(call)
        name = call.names["configurationName"]
        value = call.properties.get("value")
        if not isinstance(value, str):
            raise refusals.invalid_parameter("value")
        if _one(server, name)["properties"]["isReadOnly"]:
            raise refusals.invalid_parameter(name)

        def work() -> None:
            if name != _EXTENSIONS:
                _set(_cluster(server), name, value)
            server.overrides[name] = value

        return servers.change(
            call, server, "UpdateServerParameterManagementOperation", work, result=lambda: _one(server, name)
        )

    one = f"{SERVER}/configurations/{{configurationName}}"
    arm.register(
        API_VERSIONS,
        [
            Route("GET", f"{SERVER}/configurations", show_all, blocking=True),
            Route("GET", one, show_one, blocking=True),
            Route("PUT", one, update, blocking=True),
            Route("PATCH", one, update, blocking=True),
        ],
    )


def _cluster(server: Server) -> PostgresCluster:
    if server.cluster is None or not server.cluster.running:
        raise refusals.busy(server.name) if server.operation else refusals.not_ready(server.name, server.state)
    return server.cluster


def _one(server: Server, name: str) -> dict[str, Any]:
    if name.lower() == _EXTENSIONS:
        return _extensions(server)
    found = _read(server, name.lower())
    if not found:
        raise refusals.not_found("flexibleServers/configurations", f"{server.name}/{name}", server.group)
    return found[0]


def _read(server: Server, name: str) -> list[dict[str, Any]]:
    condition = "" if name == "%" else "WHERE lower(name) = %s"
    rows = _cluster(server).run_sql(
        f"SELECT {_COLUMNS} FROM pg_settings {condition} ORDER BY name", None if name == "%" else [name]
    )
    return [_show(server, *row) for row in rows]


def _show(
    server: Server,
    name: str,
    value: str,
    default: str | None,
    kind: str,
    context: str,
    description: str,
    unit: str | None,
    least: str | None,
    most: str | None,
    choices: list[str] | None,
    pending_restart: bool,
) -> dict[str, Any]:
    allowed = {"bool": "on,off", "enum": ",".join(choices or [])}.get(kind, f"{least}-{most}" if least else ".*")
    return {
        "id": server.child_id("configurations", name),
        "name": name,
        "type": f"{TYPE}/configurations",
        "properties": {
            "value": server.overrides.get(name, value) if pending_restart else value,
            "defaultValue": default or "",
            "dataType": _DATA_TYPES[kind],
            "allowedValues": allowed,
            "source": "user-override" if name in server.overrides else "system-default",
            "description": description,
            "isDynamicConfig": context != "postmaster",
            "isReadOnly": context == "internal" or name in _OURS,
            "isConfigPendingRestart": pending_restart,
            "unit": unit or "",
            "documentationLink": "",
        },
    }


def _extensions(server: Server) -> dict[str, Any]:
    """Which extensions may be created; the one parameter that is Azure's and not PostgreSQL's."""
    return {
        "id": server.child_id("configurations", _EXTENSIONS),
        "name": _EXTENSIONS,
        "type": f"{TYPE}/configurations",
        "properties": {
            "value": server.overrides.get(_EXTENSIONS, ""),
            "defaultValue": "",
            "dataType": "Set",
            "allowedValues": "amcheck,btree_gin,pg_stat_statements,pg_trgm,pgcrypto,unaccent",
            "source": "user-override" if _EXTENSIONS in server.overrides else "system-default",
            "description": "Specifies which extensions are allowed to be created in the server.",
            "isDynamicConfig": True,
            "isReadOnly": False,
            "isConfigPendingRestart": False,
            "unit": "",
            "documentationLink": "",
        },
    }


def _set(cluster: PostgresCluster, name: str, value: str) -> None:
    import psycopg
    from psycopg import sql

    try:
        cluster.run_sql(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    except psycopg.Error as error:
        raise refusals.invalid_parameter(name) from error
    cluster.run_sql("SELECT pg_reload_conf()")
