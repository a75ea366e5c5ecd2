"""Azure's public price list (Retail Prices REST API): no credentials, read only by an explicit command."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

PUBLIC = "https://prices.azure.com/api/retail/prices"
_VERSION = "2023-01-01-preview"
_SECONDS = 30


class PricesNotReadError(Exception):
    """The price list cannot be reached or read; the message says why."""


def items(odata_filter: str, currency: str, url: str = PUBLIC) -> Iterator[dict[str, Any]]:
    """All items that fit the filter, over all pages. Raises PricesNotReadError."""
    query = urlencode({"api-version": _VERSION, "currencyCode": currency, "$filter": odata_filter})
    following: str | None = f"{url}?{query}"
    while following:
        page = _page(following, urlsplit(url).netloc)
        yield from page["Items"]
        following = page.get("NextPageLink")


def _page(url: str, host: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or parts.hostname != urlsplit(f"//{host}").hostname:
        raise PricesNotReadError("the next page of the price list is at another place; it was not followed")
    try:
        with urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310 - the scheme was checked
            page = json.load(answer)
    except (OSError, ValueError) as error:
        raise PricesNotReadError(f"{host}: {error}") from error
    if not isinstance(page, dict) or "Items" not in page:
        raise PricesNotReadError(f"{host}: the answer is no price list")
    return page  # pyright: ignore[reportUnknownVariableType] - a JSON object
