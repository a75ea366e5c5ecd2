"""Rates from Azure's public price list, in the shape of its documentation, served by a server of our own."""

import io
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from functions.command_line import MISUSED, WELL, main
from shared.estate.policies.rates import Rates
from shared.storage_tiering.price_list import PriceListError, filter_of, rates_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PRICES = {
    "Hot LRS Data Stored": 0.0196, "Hot LRS Write Operations": 0.059, "Hot Read Operations": 0.0047,
    "Cool LRS Data Stored": 0.011, "Cool LRS Write Operations": 0.118, "Cool Read Operations": 0.0118,
    "Cool Data Retrieval": 0.011,
    "Cold LRS Data Stored": 0.0041, "Cold LRS Write Operations": 0.212, "Cold LRS Read Operations": 0.118,
    "Cold LRS Data Retrieval": 0.033,
    "Archive LRS Data Stored": 0.002, "Archive LRS Write Operations": 0.13, "Archive Read Operations": 6.47,
    "Archive Data Retrieval": 0.022, "Archive Priority Read Operations": 64.7, "Archive Priority Data Retrieval": 0.11,
}  # fmt: skip


def item(meter: str, price: float, **more: Any) -> dict[str, Any]:
    unit = "10K" if meter.endswith("Operations") else "1 GB/Month" if meter.endswith("Stored") else "1 GB"
    return {
        "currencyCode": "EUR",
        "tierMinimumUnits": 0.0,
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": "westeurope",
        "location": "EU West",
        "meterName": meter,
        "productName": "General Block Blob v2",
        "skuName": f"{meter.split()[0]} LRS",
        "serviceName": "Storage",
        "unitOfMeasure": unit,
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
    } | more


ITEMS = [
    item("Hot LRS Data Stored", 0.0180, tierMinimumUnits=51200.0),
    item("Hot LRS Data Stored", 0.9, skuName="Hot GRS"),
    *(item(meter, price) for meter, price in PRICES.items()),
]


@pytest.fixture
def price_server() -> Iterator[tuple[str, list[str]]]:
    """Two pages, linked as Azure links them; and the filters that it was asked with."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked.append(query["$filter"][0])
            half = len(ITEMS) // 2
            second = "$skip" in query
            page = {
                "BillingCurrency": "EUR",
                "Items": ITEMS[half:] if second else ITEMS[:half],
                "NextPageLink": None if second else f"http://{self.headers['Host']}{self.path}&$skip={half}",
                "Count": half,
            }
            body = json.dumps(page).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/retail/prices", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_command_prints_a_section_that_the_estate_accepts(price_server: tuple[str, list[str]]) -> None:
    url, asked = price_server
    out, errors = io.StringIO(), io.StringIO()
    assert main(["rates", "--region", "westeurope", "--url", url], NOW, out, errors) == WELL, errors.getvalue()
    assert asked == [filter_of("westeurope")] * 2
    assert "armRegionName eq 'westeurope'" in asked[0]
    rates = Rates.model_validate(yaml.safe_load(out.getvalue())["rates"])
    assert rates.currency == "EUR"
    assert rates.storage == rates_of(ITEMS, "LRS")
    assert rates.storage is not None
    assert rates.storage.hot.gb_month == 0.0196
    assert rates.storage.cold.retrieve_gb == 0.033
    assert (rates.storage.archive.read_10k, rates.storage.archive.retrieve_gb_urgent) == (6.47, 0.11)
    assert out.getvalue().startswith("# Azure's public prices, westeurope, LRS, first volume band, 2026-11-22\n")


def test_a_redundancy_without_prices_is_told(price_server: tuple[str, list[str]]) -> None:
    out, errors = io.StringIO(), io.StringIO()
    asked = ["rates", "--region", "westeurope", "--redundancy", "XRS", "--url", price_server[0]]
    assert main(asked, NOW, out, errors) == MISUSED
    assert errors.getvalue() == "the price list has no Data Stored of Hot XRS; check region and redundancy\n"
    assert out.getvalue() == ""


def test_another_unit_is_not_taken_for_the_same() -> None:
    changed = [each | {"unitOfMeasure": "100K"} if "Write" in each["meterName"] else each for each in ITEMS]
    with pytest.raises(PriceListError, match="Write Operations of Hot LRS is priced by 100K, not by 10K"):
        rates_of(changed, "LRS")


def test_a_price_list_that_cannot_be_reached_is_told() -> None:
    errors = io.StringIO()
    asked = ["rates", "--region", "westeurope", "--url", "http://127.0.0.1:9/prices"]
    assert main(asked, NOW, io.StringIO(), errors) == MISUSED
    assert errors.getvalue().startswith("127.0.0.1:9: ")
