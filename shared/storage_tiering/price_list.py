"""Rates for the estate from Azure's public price list. Read by an explicit command; no plan ever asks for prices.

Source: Azure Retail Prices REST API, 2023-01-01-preview: items with `meterName`, `skuName`, `unitOfMeasure`,
`tierMinimumUnits`, `retailPrice`. Meters are not named evenly: some name the redundancy, some do not.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.estate.policies.rates import StorageRates

PRODUCT = "General Block Blob v2"
_TIERS = ("hot", "cool", "cold", "archive")
_METERS = {
    "gb_month": ("Data Stored", "1 GB/Month"),
    "write_10k": ("Write Operations", "10K"),
    "read_10k": ("Read Operations", "10K"),
    "retrieve_gb": ("Data Retrieval", "1 GB"),
    "retrieve_gb_urgent": ("Priority Data Retrieval", "1 GB"),
}


class PriceListError(Exception):
    """The price list does not say what is needed; the message names the meter."""


def filter_of(region: str) -> str:
    """The OData filter that asks for the meters of block blobs in a region, such as westeurope."""
    conditions = {
        "serviceName": "Storage",
        "productName": PRODUCT,
        "armRegionName": region,
        "priceType": "Consumption",
    }
    return " and ".join(f"{name} eq '{value}'" for name, value in conditions.items())


def rates_of(items: Iterable[Mapping[str, Any]], redundancy: str) -> "StorageRates":
    """The rates of the first volume band for a redundancy such as LRS or GRS. Raises PriceListError."""
    from shared.estate.policies.rates import StorageRates

    found = list(items)
    return StorageRates.model_validate({tier: _tier(found, tier, redundancy) for tier in _TIERS})


def as_yaml(rates: "StorageRates", currency: str, source: str) -> str:
    """The section of the estate, to be looked at and put into its file."""
    lines = [f"# {source}", "rates:", f"  currency: {currency}", "  storage:"]
    for tier in _TIERS:
        prices = getattr(rates, tier).model_dump(exclude_defaults=True)
        lines.append(f"    {tier}: {{ {', '.join(f'{name}: {price:.10g}' for name, price in prices.items())} }}")
    return "\n".join(lines) + "\n"


def _tier(items: list[Mapping[str, Any]], tier: str, redundancy: str) -> dict[str, float]:
    prices: dict[str, float] = {}
    for field, (meter, unit) in _METERS.items():
        sku = f"{tier.title()} {redundancy}"
        named = [each for each in items if each["skuName"] == sku and _is_meter(str(each["meterName"]), meter)]
        first_band = [each for each in named if float(each["tierMinimumUnits"]) == 0]
        if not first_band:
            if meter.endswith("Retrieval") and (tier == "hot" or meter.startswith("Priority")):
                continue
            raise PriceListError(f"the price list has no {meter} of {sku}; check region and redundancy")
        if first_band[0]["unitOfMeasure"] != unit:
            raise PriceListError(f"{meter} of {sku} is priced by {first_band[0]['unitOfMeasure']}, not by {unit}")
        prices[field] = float(first_band[0]["retailPrice"])
    return prices


def _is_meter(name: str, meter: str) -> bool:
    return name.endswith(meter) and ("Priority" in name) == meter.startswith("Priority")
