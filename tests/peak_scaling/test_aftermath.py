"""What came of a peak: whether what users feel was kept, against the last one, and what is not known of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from shared.estate.policies.peak_scaling import ServiceTargets
from shared.peak_scaling.aftermath import Advice, AfterAction, report
from shared.peak_scaling.memory import Course, Held, Stretch
from shared.peak_scaling.targets import Kind, Target

START = datetime(2026, 11, 26, 5, tzinfo=UTC)
LIMITS = {"latency": 2.0, "queue_delay": 300.0}
POOL = Target("pool main/worker", Kind.POOL, "/pools/worker", "main/worker")
COMPONENT = "/subscriptions/{}/resourceGroups/rg/providers/Microsoft.Insights/components/appi".format(
    "00000000-0000-0000-0000-000000000000"
)


def after(felt: Mapping[str, Sequence[float]], busy: float, previous: AfterAction | None = None) -> AfterAction:
    level = {"min": 10, "max": 30}
    held = Held(
        occasion="close",
        since=START,
        before={"min": 4, "max": 10},
        needs=("close",),
        stretches=(Stretch(level, START, START),),
    )
    return report(
        environment="production",
        key="close",
        event="period-close",
        period="2026-11",
        window=(START, START + timedelta(days=7)),
        course=Course(stays={POOL.name: held}),
        targets={POOL.name: POOL},
        rates=None,
        used={"": felt, POOL.key: {"cpu": [busy] * 20}},
        limits=LIMITS,
        previous=previous,
        now=START + timedelta(days=9),
    )


def test_what_users_felt_is_judged_by_its_95th_percentile_and_against_the_last_peak() -> None:
    before = after({"latency": [1.5] * 20, "queue_delay": [20.0]}, 0.6)
    assert (before.missed, before.unmeasured, before.sentence.partition(":")[0]) == (
        (),
        (),
        "period-close 2026-11 kept its targets",
    )
    outlier = after({"latency": [1.0] * 19 + [90.0], "queue_delay": [20.0]}, 0.6, before)
    assert outlier.missed == ()
    slow = after({"latency": [1.0] * 18 + [3.5] * 2, "queue_delay": [20.0]}, 0.6, before)
    assert slow.missed == ("latency",)
    assert slow.sentence.startswith("period-close 2026-11 missed latency (3.5 s, 1.5 s last time): keep pool main/work")
    assert slow.targets[0].advice is Advice.KEEP
    assert "the bottleneck is elsewhere" in slow.targets[0].why


def test_what_is_not_measured_is_not_said_to_be_kept() -> None:
    found = after({"queue_delay": [20.0]}, 0.2)
    assert (found.missed, found.unmeasured) == ((), ("latency",))
    assert (
        found.sentence == "period-close 2026-11 kept its targets but for latency, not measured: reduce pool main/worker"
    )
    assert after({}, 0.2).sentence.startswith("period-close 2026-11 was not measured")


def test_where_latency_is_measured_is_declared_beside_what_is_to_be_kept() -> None:
    assert ServiceTargets.model_validate({"latency": "2s"}).latency_of is None
    assert str(ServiceTargets.model_validate({"latency": "2s", "latency_of": COMPONENT}).latency_of) == COMPONENT
    with pytest.raises(ValidationError, match="give `latency`, such as 2s"):
        ServiceTargets.model_validate({"latency_of": COMPONENT})
    with pytest.raises(ValidationError, match="another kind of resource"):
        ServiceTargets.model_validate({"latency": "2s", "latency_of": COMPONENT.replace("components", "webtests")})
