"""A forecast beside a plan, from one reading."""

from datetime import timedelta

import pytest

from functions.tiering_outlook import Outlook
from shared.storage_tiering.frames import batch_of
from tests.storage_tiering.world import MB, NOW, blob, rules

CLASSES = {"logs": {"cool_after": "30d", "smallest": "1KiB"}}


def test_twelve_months_are_foreseen_while_the_plan_reads() -> None:
    account = rules(CLASSES)
    batches = [batch_of([blob(f"logs/{lot}-{number}", number) for number in range(40)]) for lot in range(10)]
    with Outlook(lambda at: rules(CLASSES, at), account.now) as ahead:
        assert len(list(ahead.seeing(batches))) == 10
    months = ahead.months()
    assert len(months) == 12
    assert months[0]["at"] > (NOW + timedelta(days=27)).isoformat()
    assert months[-1]["planned_bytes"]["Cool"] >= 400 * 100 * MB
    assert months[-1]["planned_cost"] < months[-1]["untouched_cost"]


def test_without_blobs_nothing_is_foreseen() -> None:
    with Outlook(lambda at: rules(CLASSES, at), NOW) as ahead:
        assert list(ahead.seeing([])) == []
    assert ahead.months() == []


def test_a_forecast_that_fails_does_not_hold_up_who_reads() -> None:
    def no_rules(at: object) -> object:
        raise LookupError("no calendar for then")

    with Outlook(no_rules, NOW) as ahead:  # type: ignore[arg-type]
        assert len(list(ahead.seeing([batch_of([blob("logs/a")])] * 20))) == 20
    with pytest.raises(LookupError, match="no calendar for then"):
        ahead.months()
