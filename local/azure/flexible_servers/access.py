"""flexibleServers' firewall rules, Entra administrators and databases.

Firewall rules are kept and shown, but loopback has no firewall; a restored server has none of its source's.
"""

import ipaddress
from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.flexible_servers import refusals
from local.azure.flexible_servers.model import TYPE, Server
from local.azure.flexible_servers.provider import API_VERSIONS, SERVER, FlexibleServers
from local.azure.flexible_servers.provision import let_administer, shut_out

_HIDDEN = ("template0", "template1")


def register(arm: ResourceManager, servers: FlexibleServers) -> None:
    """Serve what lets people in, and the databases that they then find."""
    arm.register(API_VERSIONS, [*_firewall_rules(servers), *_administrators(servers), *_databases(servers)])


def _firewall_rules(servers: FlexibleServers) -> list[Route]:
    def show(server: Server, name: str) -> dict[str, Any]:
        return _child(server, "firewallRules", name, server.firewall_rules[name])

    def get(call: Call) -> Answer:
        server, name = servers.server(call), call.names["firewallRuleName"]
        if name not in server.firewall_rules:
            raise refusals.not_found("flexibleServers/firewallRules", f"{server.name}/{name}", server.group)
        return Answer(200, show(server, name))

    def show_all(call: Call) -> Answer:
        server = servers.server(call)
        return page(call, [show(server, name) for name in server.firewall_rules], servers.behaviour.page_size)

    def put(call: Call) -> Answer:
        server, name = servers.server(call), call.names["firewallRuleName"]
        given = call.properties
        for bound in ("startIpAddress", "endIpAddress"):
            try:
                ipaddress.IPv4Address(given.get(bound))
            except ValueError:
                raise refusals.invalid_parameter(bound) from None
        rule = {bound: given[bound] for bound in ("startIpAddress", "endIpAddress")}
        return servers.change(
            call,
            server,
            "UpsertFirewallRulesManagementOperation",
            lambda: server.firewall_rules.update({name: rule}),
            result=lambda: show(server, name),
        )

    def delete(call: Call) -> Answer:
        server, name = servers.server(call), call.names["firewallRuleName"]
        if name not in server.firewall_rules:
            return Answer(204)

        def work() -> None:
            server.firewall_rules.pop(name, None)

        return servers.change(call, server, "DropFirewallRulesManagementOperation", work)

    one = f"{SERVER}/firewallRules/{{firewallRuleName}}"
    return [
        Route("GET", f"{SERVER}/firewallRules", show_all),
        Route("GET", one, get),
        Route("PUT", one, put),
        Route("DELETE", one, delete),
    ]


def _administrators(servers: FlexibleServers) -> list[Route]:
    def show(server: Server, object_id: str) -> dict[str, Any]:
        return _child(server, "administrators", object_id, server.administrators[object_id])

    def get(call: Call) -> Answer:
        server, object_id = servers.server(call), call.names["objectId"]
        if object_id not in server.administrators:
            raise refusals.not_found("flexibleServers/administrators", f"{server.name}/{object_id}", server.group)
        return Answer(200, show(server, object_id))

    def show_all(call: Call) -> Answer:
        server = servers.server(call)
        return page(call, [show(server, key) for key in server.administrators], servers.behaviour.page_size)

    def put(call: Call) -> Answer:
        server, object_id = servers.server(call), call.names["objectId"]
        given = call.properties
        if not given.get("principalName"):
            raise refusals.invalid_parameter("principalName")
        if not server.running:
            raise refusals.not_ready(server.name, server.state)

        def work() -> None:
            assert server.cluster is not None
            let_administer(server.cluster, given["principalName"])
            servers.renew_passwords(server)
            server.administrators[object_id] = {
                "objectId": object_id,
                "principalName": given["principalName"],
                "principalType": given.get("principalType", "ServicePrincipal"),
                "tenantId": given.get("tenantId", ""),
            }

        return servers.change(
            call, server, "AddAdministratorManagementOperation", work, result=lambda: show(server, object_id)
        )

    def delete(call: Call) -> Answer:
        server, object_id = servers.server(call), call.names["objectId"]
        if object_id not in server.administrators:
            return Answer(204)

        def work() -> None:
            assert server.cluster is not None
            shut_out(server.cluster, server.administrators.pop(object_id)["principalName"])

        return servers.change(call, server, "DropAdministratorManagementOperation", work)

    one = f"{SERVER}/administrators/{{objectId}}"
    return [
        Route("GET", f"{SERVER}/administrators", show_all),
        Route("GET", one, get),
        Route("PUT", one, put),
        Route("DELETE", one, delete),
    ]


def _databases(servers: FlexibleServers) -> list[Route]:
    def show_all(call: Call) -> Answer:
        return page(call, _read_databases(servers.server(call)), servers.behaviour.page_size)

    def get(call: Call) -> Answer:
        server, name = servers.server(call), call.names["databaseName"]
        for database in _read_databases(server):
            if database["name"] == name:
                return Answer(200, database)
        raise refusals.not_found("flexibleServers/databases", f"{server.name}/{name}", server.group)

    return [
        Route("GET", f"{SERVER}/databases", show_all, blocking=True),
        Route("GET", f"{SERVER}/databases/{{databaseName}}", get, blocking=True),
    ]


def _read_databases(server: Server) -> list[dict[str, Any]]:
    if server.cluster is None or not server.cluster.running:
        raise refusals.not_ready(server.name, server.state)
    rows = server.cluster.run_sql(
        "SELECT datname, pg_encoding_to_char(encoding), datcollate FROM pg_database "
        "WHERE NOT datname = ANY(%s) ORDER BY datname",
        [list(_HIDDEN)],
    )
    return [
        _child(server, "databases", name, {"charset": charset, "collation": collation})
        for name, charset, collation in rows
    ]


def _child(server: Server, kind: str, name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": server.child_id(kind, name),
        "name": name,
        "type": f"{TYPE}/{kind}",
        "properties": properties,
    }
