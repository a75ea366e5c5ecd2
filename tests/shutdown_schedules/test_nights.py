"""Nights of a staging environment, with its plans on the real executor."""

from datetime import timedelta

from shared.shutdown_schedules import tending
from shared.shutdown_schedules.memory import Condition
from shared.shutdown_schedules.wishes import Want, Why
from tests.shutdown_schedules.declared import CRON, NIGHTS, POOL, REPLICAS, SERVER, WEB, WORKER, sleep
from tests.shutdown_schedules.staging import Staging
from tests.shutdown_schedules.test_hours import keep_awake, utc

ALL = {WEB, WORKER, CRON, POOL, SERVER, *REPLICAS}
OFF = {"power": "Stopped"}
FRIDAY_EVENING = utc("2026-11-20T18:00")


def test_goes_to_sleep_in_order_and_wakes_in_reverse_before_people_come() -> None:
    staging = Staging(FRIDAY_EVENING)
    staging.pass_to(utc("2026-11-20T21:00"))
    assert staging.asleep() == ALL
    down = [target for target, _ in staging.done()]
    assert down == [WORKER, WEB, CRON, POOL, SERVER, *REPLICAS]
    staging.effects.clear()
    staging.pass_to(utc("2026-11-23T06:00"))
    assert staging.asleep() == set(), "awake when people come at 07:00 in Berlin"
    up = [target for target, _ in staging.done()]
    assert sorted(up[:2]) == REPLICAS
    assert up[2:] == [SERVER, POOL, CRON, WEB, WORKER]
    assert staging.state == staging.truth
    assert min(each.at for each in staging.effects) >= utc("2026-11-23T05:30")
