"""The forecast follows the plan, and its sums are those of the blobs themselves."""

from dataclasses import replace
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest

from shared.blob_facts import BlobFacts, Tier
from shared.storage_tiering.account import AccountRules, VerifiedBackup
from shared.storage_tiering.forecast import Month, forecast
from shared.storage_tiering.forecast_plot import svg
from shared.storage_tiering.frames import batch_of
from tests.storage_tiering.world import MB, NOW, blob, rules

ACCOUNT = rules(
    {
        "doc": {"cool_after": "60d", "archive_after": "200d", "delete_after": "300d"},
        "backup": {"backup": True, "keep": {"last": 2, "daily": 7, "monthly": 3}},
    },
    verified=(VerifiedBackup("backup", ("db_2026-11-21.dump",), NOW - timedelta(days=1)),),
)


def rules_at(at: datetime) -> AccountRules:
    return replace(ACCOUNT, now=at)


def foreseen(blobs: list[BlobFacts], batch: int = 1000) -> list[Month]:
    return forecast(rules_at, NOW, (batch_of(blobs[n : n + batch]) for n in range(0, len(blobs), batch)))


def test_a_document_goes_through_the_tiers_and_ends() -> None:
    months = foreseen([blob("doc/x", 40, size=1000 * MB)])
    holding = [next((tier for tier, size in month.planned_bytes.items() if size), None) for month in months]
    assert holding == [Tier.COOL] * 5 + [Tier.ARCHIVE] * 3 + [None] * 4
    assert all(month.untouched_bytes[Tier.HOT] == 1000 * MB for month in months)
    assert months[0].untouched_cost == pytest.approx(1000 * MB / 2**30 * 0.0196)
    assert months[1].planned_cost == pytest.approx(1000 * MB / 2**30 * 0.0110)
    # The deletion leaves the archive before its 180 days.
    assert months[8].planned_cost > 0
    assert months[9].planned_cost == 0


def test_blobs_that_stand_for_many_weigh_as_much() -> None:
    blobs = [blob(f"doc/{n}", 40 + n % 3, size=MB * (1 + n % 7)) for n in range(500)]
    months = foreseen(blobs, batch=10)
    assert months[0].untouched_bytes[Tier.HOT] == pytest.approx(sum(each.size for each in blobs), rel=1e-4)


def test_what_came_lately_comes_again_and_series_are_kept_as_always() -> None:
    dumps = [blob(f"backup/db_{NOW - timedelta(days=age):%Y-%m-%d}.dump", age, size=100 * MB) for age in range(1, 31)]
    months = foreseen(dumps)
    assert [round(sum(month.untouched_bytes.values()) / (100 * MB)) for month in months[:3]] == [60, 90, 120]
    # Seven days, the last of two more months (the newest is among the seven days).
    kept = [round(sum(month.planned_bytes.values()) / (100 * MB)) for month in months]
    assert all(8 <= count <= 10 for count in kept), kept
    assert months[-1].planned_cost < months[-1].untouched_cost / 20


def test_the_plot_is_well_formed_and_tells_the_figures() -> None:
    months = foreseen([blob("doc/x", 10, size=1000 * MB)])
    picture = ElementTree.fromstring(svg(months, "<EUR>"))  # noqa: S314 - our own
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 12 * 4
    assert len(picture.findall("{http://www.w3.org/2000/svg}polyline")) == 2
    assert "a month with the plan" in picture.attrib["aria-label"]
