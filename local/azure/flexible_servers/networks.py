"""The subnets that servers are put into, and what Microsoft.Network says of their addresses.

Sources: operation VirtualNetworks_ListUsage of Microsoft.Network; documents concepts-networking-private (a subnet
delegated to flexible servers, in the server's region, with a private DNS zone) and how-to-restore-server (public stays
public, private stays private). Inferred, as no source was found: the refusals' words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.azure.arm import Answer, Call, ResourceManager, Route, page
from local.azure.errors import ArmError
from local.azure.flexible_servers import model, refusals
from local.azure.flexible_servers.model import Server

API_VERSIONS = ("2024-05-01", "2024-07-01", "2025-01-01")
_USAGES = (
    "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
    "/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}/usages"
)
_PAGE = 100
_PUBLIC = {"publicNetworkAccess": "Enabled"}


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet that is delegated to flexible servers. `addresses` are those that Azure leaves to its user."""

    id: str
    location: str
    addresses: int


class Subnets:
    """All delegated subnets. An address is taken by every server in them."""

    def __init__(self) -> None:
        self._subnets: dict[str, Subnet] = {}

    def add(self, subnet_id: str, location: str, addresses: int = 251) -> None:
        """Make a subnet, or give one that is there another size; 251 is what a /24 leaves."""
        self._subnets[subnet_id.lower()] = Subnet(subnet_id, location, addresses)

    def wanted(
        self, body: Mapping[str, Any], location: str, servers: list[Server], source: Server | None = None
    ) -> dict[str, Any]:
        """The network that a request for a server asks for; raises ArmError when it cannot have it."""
        properties = model.json_object(body.get("properties"), "properties")
        given = model.json_object(properties.get("network"), "network")
        subnet_id, zone = given.get("delegatedSubnetResourceId"), given.get("privateDnsZoneArmResourceId")
        if source is not None and bool(subnet_id) != ("delegatedSubnetResourceId" in source.network):
            raise refusals.invalid_parameter("network")
        if not subnet_id:
            return dict(_PUBLIC)
        subnet = self._subnets.get(str(subnet_id).lower())
        if subnet is None or subnet.location != location:
            raise refusals.invalid_parameter("network.delegatedSubnetResourceId")
        if not zone:
            raise refusals.invalid_parameter("network.privateDnsZoneArmResourceId")
        if _used(subnet, servers) >= subnet.addresses:
            raise ArmError(400, "SubnetIsFull", f"Subnet {subnet.id} with address prefix is full.")
        return {
            "delegatedSubnetResourceId": subnet_id,
            "privateDnsZoneArmResourceId": zone,
            "publicNetworkAccess": "Disabled",
        }

    def usages(self, network_id: str, servers: list[Server]) -> list[dict[str, Any]]:
        """One for each subnet of a virtual network."""
        return [
            {
                "currentValue": _used(subnet, servers),
                "id": subnet.id,
                "limit": subnet.addresses,
                "name": {"localizedValue": "Subnet size and usage", "value": "SubnetSpace"},
                "unit": "Count",
            }
            for key, subnet in self._subnets.items()
            if key.rpartition("/subnets/")[0] == network_id.lower()
        ]


def _used(subnet: Subnet, servers: list[Server]) -> int:
    return sum(
        str(server.network.get("delegatedSubnetResourceId", "")).lower() == subnet.id.lower() for server in servers
    )


def register(arm: ResourceManager, servers: Any) -> None:
    """Serve what virtual networks say of their subnets' addresses."""

    def usages(call: Call) -> Answer:
        found = servers.subnets.usages(call.path.removesuffix("/usages"), servers.all())
        if not found:
            name = call.names["virtualNetworkName"]
            raise ArmError(
                404,
                "ResourceNotFound",
                f"The Resource 'Microsoft.Network/virtualNetworks/{name}' under resource group "
                f"'{call.names['resourceGroupName']}' was not found.",
            )
        return page(call, found, _PAGE)

    arm.register(API_VERSIONS, [Route("GET", _USAGES, usages)])
