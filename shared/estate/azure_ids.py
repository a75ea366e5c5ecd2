"""Azure resource ids: parsed, and equal whatever their case, as Azure treats them."""

import re
from dataclasses import dataclass
from typing import Annotated

from shared.estate.declared import Written

_SEGMENT = re.compile(r"[\w.()\-]{1,260}")
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True, eq=False)
class AzureId:
    """A resource, or a resource group when `provider` is empty.

    `types` and `names` are outermost first: a subnet has types (virtualNetworks, subnets). The case is kept as it was
    written; comparing and hashing ignore it, because Azure's services return the same id in several cases.
    """

    subscription: str
    resource_group: str
    provider: str = ""
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The resource's own name; the group's for a resource group."""
        return self.names[-1] if self.names else self.resource_group

    @property
    def kind(self) -> str:
        """Provider and types in lower case, such as `microsoft.dbforpostgresql/flexibleservers`; empty for a group."""
        return "/".join((self.provider, *self.types)).lower()

    def __str__(self) -> str:
        text = f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
        if self.provider:
            pairs = "".join(f"/{kind}/{name}" for kind, name in zip(self.types, self.names, strict=True))
            text += f"/providers/{self.provider}{pairs}"
        return text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AzureId) and str(self).casefold() == str(other).casefold()

    def __hash__(self) -> int:
        return hash(str(self).casefold())


def parse_azure_id(text: str) -> AzureId:
    """The id's parts; raises ValueError saying which part is wrong."""
    parts = text.split("/")
    if len(parts) < 5 or parts[0] or parts[1].lower() != "subscriptions" or parts[3].lower() != "resourcegroups":
        raise ValueError("is not an Azure resource id; it begins with /subscriptions/ID/resourceGroups/GROUP")
    if not _GUID.fullmatch(parts[2]):
        raise ValueError("is an Azure resource id whose subscription is no GUID; copy the id from the portal")
    if any(not _SEGMENT.fullmatch(part) for part in parts[1:]):
        raise ValueError("is an Azure resource id with an empty or odd part; copy the id from the portal")
    rest = parts[5:]
    if not rest:
        return AzureId(parts[2], parts[4])
    if rest[0].lower() != "providers" or len(rest) < 4 or len(rest) % 2:
        raise ValueError("is an Azure resource id that breaks off; after the group comes /providers/PROVIDER/TYPE/NAME")
    return AzureId(parts[2], parts[4], rest[1], tuple(rest[2::2]), tuple(rest[3::2]))


def _of_kind(title: str, example: str, *kinds: str) -> Written[AzureId]:
    """Ids of these kinds only, so that a cluster's id in a server's place is seen before the first call fails."""

    def parse(text: str) -> AzureId:
        parsed = parse_azure_id(text)
        if parsed.kind not in kinds:
            raise ValueError(f"is the id of another kind of resource; expected {title}: {example}")
        return parsed

    return Written(AzureId, parse, str, r"^/subscriptions/[^/]+/resource[gG]roups/", (example,))


_GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-erp"

ResourceGroupId = Annotated[AzureId, _of_kind("a resource group", _GROUP, "")]
PostgresServerId = Annotated[
    AzureId,
    _of_kind(
        "a PostgreSQL flexible server",
        f"{_GROUP}/providers/Microsoft.DBforPostgreSQL/flexibleServers/pg-erp",
        "microsoft.dbforpostgresql/flexibleservers",
    ),
]
ClusterId = Annotated[
    AzureId,
    _of_kind(
        "an AKS cluster",
        f"{_GROUP}/providers/Microsoft.ContainerService/managedClusters/aks-erp",
        "microsoft.containerservice/managedclusters",
    ),
]
StorageAccountId = Annotated[
    AzureId,
    _of_kind(
        "a storage account",
        f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/sterpdocs",
        "microsoft.storage/storageaccounts",
    ),
]
RedisId = Annotated[
    AzureId,
    _of_kind(
        "an Azure Managed Redis or Azure Cache for Redis",
        f"{_GROUP}/providers/Microsoft.Cache/redisEnterprise/redis-erp",
        "microsoft.cache/redisenterprise",
        "microsoft.cache/redis",
    ),
]
ComponentId = Annotated[
    AzureId,
    _of_kind(
        "an Application Insights component",
        f"{_GROUP}/providers/Microsoft.Insights/components/appi-erp",
        "microsoft.insights/components",
    ),
]
SubnetId = Annotated[
    AzureId,
    _of_kind(
        "a subnet",
        f"{_GROUP}/providers/Microsoft.Network/virtualNetworks/vnet-erp/subnets/drills",
        "microsoft.network/virtualnetworks/subnets",
    ),
]
PrivateDnsZoneId = Annotated[
    AzureId,
    _of_kind(
        "a private DNS zone",
        f"{_GROUP}/providers/Microsoft.Network/privateDnsZones/erp.postgres.database.azure.com",
        "microsoft.network/privatednszones",
    ),
]
