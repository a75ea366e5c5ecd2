"""What things cost. Declared here, so that no price is in the code; said once for all automations."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from shared.estate.declared import Declared, fitting
from shared.estate.inventory.places import AzureRegion

Money = Annotated[float, Field(ge=0, le=1e9)]
Sku = Annotated[str, fitting(r"[A-Za-z][A-Za-z0-9_.-]{1,63}", "SKU", "Standard_D4ds_v5")]


class BlobRates(Declared):
    """Prices of one access tier."""

    gb_month: Money
    """A GB stored for a month."""

    write_10k: Money = 0
    """Ten thousand write operations, a change into this tier included."""

    read_10k: Money = 0
    """Ten thousand read operations."""

    retrieve_gb: Money = 0
    """A GB read or moved out of this tier."""

    retrieve_gb_urgent: Money = 0
    """A GB rehydrated from archive with high priority."""


class StorageRates(Declared):
    """Prices of blobs by access tier. Early deletion is computed from them."""

    hot: BlobRates
    """Hot."""

    cool: BlobRates
    """Cool; at least 30 days are charged."""

    cold: BlobRates
    """Cold; at least 90 days are charged."""

    archive: BlobRates
    """Archive; at least 180 days are charged."""


class PostgresSpeedRates(Declared):
    """Prices of the speed that a PostgreSQL server's Premium SSD v2 is given above what comes with it."""

    iops_month: Money
    """An IOPS for a month."""

    throughput_month: Money = 0
    """A MB/s for a month."""

    iops_included: Annotated[int, Field(ge=0)] = 3000
    """What comes with it: 3000 up to 399 GiB, 12000 from 400 GiB."""

    throughput_included: Annotated[int, Field(ge=0)] = 125
    """What comes with it, in MB/s: 125 up to 399 GiB, 500 from 400 GiB."""


class Rates(Declared):
    """Our prices, without tax, in one currency."""

    currency: Annotated[str, fitting(r"[A-Z]{3}", "currency", "EUR")]
    """ISO 4217 code, such as EUR."""

    storage: StorageRates | None = None
    """Blobs."""

    postgres_hour: Mapping[Sku, Money] = {}
    """An hour of a PostgreSQL server by SKU, such as Standard_D4ds_v5. A standby costs the same once more."""

    postgres_hour_in: Mapping[AzureRegion, Mapping[Sku, Money]] = {}
    """The same in Azure regions where it costs otherwise: that of a replica, say."""

    postgres_speed: PostgresSpeedRates | None = None
    """Provisioned IOPS and throughput of PostgreSQL servers."""

    postgres_gb_month: Money = 0
    """A provisioned GB of a PostgreSQL server for a month."""

    node_hour: Mapping[Sku, Money] = {}
    """An hour of a node by VM size, such as Standard_D8s_v5."""

    cluster_hour: Money = 0
    """An hour of an AKS control plane."""

    redis_hour: Mapping[Sku, Money] = {}
    """An hour of a Redis cache by SKU, such as Balanced_B10, as it runs: with high availability both of its nodes."""
