"""Redis caches."""

from shared.estate.azure_ids import RedisId
from shared.estate.declared import Declared
from shared.estate.values import Host


class Redis(Declared):
    """An Azure Managed Redis (Microsoft.Cache/redisEnterprise) or an Azure Cache for Redis."""

    id: RedisId
    """Azure resource id."""

    host: Host | None = None
    """The host name to connect to, when it is not the one that Azure reports."""
