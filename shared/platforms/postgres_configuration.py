"""What a restore does not carry, through azure-mgmt-postgresqlflexibleservers: server parameters, Entra
administrators, firewall rules.

Each change is a long operation, of which a server takes one at a time: who wants several asks again when it is Ready.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

from shared.platforms import settings
from shared.platforms.credentials import credential
from shared.platforms.postgres_servers import ServerId, client, submit

_SCOPE = "https://management.azure.com/.default"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A server parameter. `changed` when somebody set it, `pending` when it waits for a restart."""

    value: str
    changed: bool
    read_only: bool
    pending: bool


@dataclass(frozen=True, slots=True)
class Administrator:
    """An Entra principal that administers a server. `type` is User, Group or ServicePrincipal."""

    object_id: str
    name: str
    type: str
    tenant: str


def parameters(server_id: str) -> dict[str, Parameter]:
    """Every parameter, by its name. Raises azure.core's AzureError, also while the server is not running."""
    at = ServerId.parse(server_id)
    found: dict[str, Parameter] = {}
    for one in client(at.subscription).configurations.list_by_server(at.resource_group, at.name):
        if one.name and (properties := one.properties):
            found[one.name] = Parameter(
                value=properties.value or "",
                changed=properties.source == "user-override",
                read_only=bool(properties.is_read_only),
                pending=bool(properties.is_config_pending_restart),
            )
    return found


def set_parameter(server_id: str, name: str, value: str) -> str:
    """Ask for a parameter's value. Returns the operation's URL; raises ServerRequestRefusedError."""
    from azure.mgmt.postgresqlflexibleservers.models import ConfigurationForUpdate, ConfigurationProperties

    at = ServerId.parse(server_id)
    body = ConfigurationForUpdate(properties=ConfigurationProperties(value=value, source="user-override"))
    return submit(client(at.subscription).configurations.begin_update, at.resource_group, at.name, name, body)


def restart(server_id: str) -> str:
    """Ask for a restart, for the parameters that wait for one. Raises ServerRequestRefusedError."""
    at = ServerId.parse(server_id)
    return submit(client(at.subscription).servers.begin_restart, at.resource_group, at.name)


def administrators(server_id: str) -> list[Administrator]:
    """The Entra administrators. Raises azure.core's AzureError."""
    at = ServerId.parse(server_id)
    found: list[Administrator] = []
    for one in client(at.subscription).administrators_microsoft_entra.list_by_server(at.resource_group, at.name):
        if properties := one.properties:
            found.append(
                Administrator(
                    object_id=properties.object_id or one.name or "",
                    name=properties.principal_name or "",
                    type=str(properties.principal_type or "ServicePrincipal").rpartition(".")[2],
                    tenant=properties.tenant_id or "",
                )
            )
    return found


def add_administrator(server_id: str, administrator: Administrator) -> str:
    """Ask for an administrator. Returns the operation's URL; raises ServerRequestRefusedError."""
    from azure.mgmt.postgresqlflexibleservers.models import (
        AdministratorMicrosoftEntraAdd,
        AdministratorMicrosoftEntraPropertiesForAdd,
    )

    at = ServerId.parse(server_id)
    properties = AdministratorMicrosoftEntraPropertiesForAdd(
        principal_name=administrator.name, principal_type=administrator.type, tenant_id=administrator.tenant
    )
    return submit(
        client(at.subscription).administrators_microsoft_entra.begin_create_or_update,
        at.resource_group,
        at.name,
        administrator.object_id,
        AdministratorMicrosoftEntraAdd(properties=properties),
    )


def ourselves() -> Administrator:
    """The app's own identity, as an administrator of a server.

    Its object id and tenant are read from its own token, which is not verified: it says who we are, and proves nothing.
    """
    claims: dict[str, Any] = json.loads(_decoded(credential().get_token(_SCOPE).token.split(".")[1]))
    name = settings.required("PGUSER", "give the name of the app's PostgreSQL role, the managed identity's name")
    return Administrator(str(claims["oid"]), name, "ServicePrincipal", str(claims.get("tid", "")))


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def firewall(server_id: str) -> dict[str, tuple[str, str]]:
    """The firewall rules by name: first and last address. Raises azure.core's AzureError."""
    at = ServerId.parse(server_id)
    rules = client(at.subscription).firewall_rules.list_by_server(at.resource_group, at.name)
    return {
        rule.name or "": (rule.properties.start_ip_address, rule.properties.end_ip_address)
        for rule in rules
        if rule.properties
    }


def let_in(server_id: str, name: str, address: str) -> str:
    """Ask for a firewall rule for one address. Returns the operation's URL; raises ServerRequestRefusedError."""
    from azure.mgmt.postgresqlflexibleservers.models import FirewallRule, FirewallRuleProperties

    at = ServerId.parse(server_id)
    rule = FirewallRule(properties=FirewallRuleProperties(start_ip_address=address, end_ip_address=address))
    return submit(client(at.subscription).firewall_rules.begin_create_or_update, at.resource_group, at.name, name, rule)


def shut_out(server_id: str, name: str) -> str:
    """Ask for a firewall rule's removal. Returns the operation's URL; raises ServerRequestRefusedError."""
    at = ServerId.parse(server_id)
    return submit(client(at.subscription).firewall_rules.begin_delete, at.resource_group, at.name, name)
