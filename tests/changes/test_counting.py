"""Budgets, breakers, places, outside rates and backoff: whatever the order of events, what they promise holds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.changes.breakers import Breaker, BreakerState
from shared.changes.budgets import Attempts
from shared.changes.limits import Places
from shared.changes.policy import BreakerRule, Budget, Limits, RetryRule
from shared.changes.retry import next_try
from shared.changes.throttling import AKS_AGENT_POOL_WRITES, Queue, Rate
from tests.changes.world import a_change

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@given(
    limit=st.integers(0, 4),
    asked=st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abcdefgh")), max_size=40),
)
def test_no_stretch_of_time_sees_more_attempts_than_the_budget_and_each_counts_once(
    limit: int, asked: list[tuple[int, str]]
) -> None:
    budget, attempts, now = Budget(limit, 10 * MINUTE), Attempts(), NOW
    counted: dict[str, list[datetime]] = {}
    for pause, attempt in asked:
        now += pause * MINUTE
        known = any(now - at < budget.window for at in counted.get(attempt, []))
        free_at = attempts.free_at(budget, attempt, now)
        if free_at > now:
            assert not known, "an attempt that was counted is refused when it comes again"
            later = attempts.free_at(budget, attempt, free_at)
            assert later == free_at or limit == 0, "free at the time that was told"
            continue
        attempts = attempts.count(budget, attempt, now)
        if not known:
            counted.setdefault(attempt, []).append(now)
    moments = sorted(at for times in counted.values() for at in times)
    for index, start in enumerate(moments):
        assert sum(1 for at in moments[index:] if at < start + budget.window) <= limit


def test_a_budget_that_was_cut_is_free_when_enough_attempts_have_left() -> None:
    attempts = Attempts()
    for number in range(4):
        attempts = attempts.count(Budget(4, HOUR), str(number), NOW + number * MINUTE)
    assert attempts.free_at(Budget(2, HOUR), "new", NOW + 10 * MINUTE) == NOW + 62 * MINUTE


def test_a_breaker_opens_after_consecutive_failures_and_closes_by_its_probe() -> None:
    rule = BreakerRule(failures=3, open_for=HOUR, probe_for=10 * MINUTE)
    breaker = Breaker()
    for entry, succeeded in (("1", False), ("2", False), ("3", True), ("4", False), ("5", False), ("5", False)):
        breaker = breaker.reported(rule, entry, succeeded=succeeded, now=NOW)
    assert breaker.state(rule, NOW) is BreakerState.CLOSED, "a success between, and the same failure told twice"
    breaker = breaker.reported(rule, "6", succeeded=False, now=NOW)
    assert breaker.free_at(rule, "7", NOW) == NOW + HOUR
    assert breaker.reported(rule, "old", succeeded=True, now=NOW) == breaker, "what began before proves nothing"

    later = NOW + HOUR
    breaker = breaker.entered(rule, "7", later)
    assert breaker.free_at(rule, "8", later) == later + 10 * MINUTE, "one probe at a time"
    assert breaker.free_at(rule, "7", later) == later, "the probe may come again"
    assert breaker.free_at(rule, "8", later + 10 * MINUTE) == later + 10 * MINUTE, "a probe that died is replaced"
    failed = breaker.reported(rule, "7", succeeded=False, now=later)
    assert failed.free_at(rule, "8", later) == later + HOUR
    patient = BreakerRule(failures=30, open_for=HOUR)
    assert breaker.reported(patient, "7", succeeded=False, now=later).free_at(patient, "8", later) == later + HOUR
    assert breaker.reported(rule, "7", succeeded=True, now=later).state(rule, later) is BreakerState.CLOSED
    assert breaker.left("7").free_at(rule, "8", later) == later


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("enter"), st.integers(0, 5), st.integers(0, 40)),
            st.tuples(st.sampled_from(["fail", "succeed", "leave"]), st.integers(0, 5), st.integers(0, 40)),
        ),
        max_size=60,
    )
)
def test_a_breaker_never_has_two_probes_and_never_stays_shut_for_good(events: list[tuple[str, int, int]]) -> None:
    rule = BreakerRule(failures=2, open_for=HOUR, probe_for=2 * HOUR)
    breaker, now = Breaker(), NOW
    for event, number, minutes in events:
        now += minutes * MINUTE
        entry = str(number)
        if event == "enter":
            if breaker.free_at(rule, entry, now) <= now:
                probe = breaker.probe
                state = breaker.state(rule, now)
                breaker = breaker.entered(rule, entry, now)
                if state is BreakerState.HALF_OPEN and probe not in (None, entry):
                    assert breaker.probe == entry, "only a probe that is overdue is replaced"
            else:
                assert breaker.state(rule, now) is not BreakerState.CLOSED
        elif event == "leave":
            breaker = breaker.left(entry)
        else:
            breaker = breaker.reported(rule, entry, succeeded=event == "succeed", now=now)
    after = now + rule.open_for + rule.probe_for
    assert breaker.free_at(rule, "new", after) <= after


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "give back", "time"]), st.integers(0, 7), st.integers(1, 2)), max_size=60
    )
)
def test_places_never_exceed_any_limit(events: list[tuple[str, int, int]]) -> None:
    limits = Limits(per_target=1, per_environment=3, share=0.5, lease=10 * MINUTE)
    changes = [a_change(str(number // 2), occasion=str(number)) for number in range(8)]
    places, now = Places(), NOW
    for event, number, run in events:
        change = changes[number]
        if event == "take":
            if not places.hindrances(change, limits, 4, now):
                places = places.take(change, run, limits, now)
                assert change.id in places.taken
        elif event == "give back":
            places = places.give_back(change.id, run)
        else:
            now += 3 * MINUTE
        held = [place for place in places.taken.values() if now < place.until]
        assert len(held) <= 3
        assert len({place.target for place in held}) == len(held), "one change per target"
        assert len({place.target for place in held}) <= 2, "half of four targets"


def test_a_place_is_kept_by_its_change_and_given_back_by_its_run_only() -> None:
    limits, change = Limits(per_environment=1), a_change()
    places = Places().take(change, 2, limits, NOW)
    assert places.hindrances(change, limits, 10, NOW) == []
    assert places.hindrances(a_change("b"), limits, 10, NOW)
    assert places.give_back(change.id, 1) == places
    assert places.give_back(change.id, 2) == Places()
    assert places.hindrances(a_change("b"), limits, 10, NOW + limits.lease) == []


def test_agent_pool_writes_are_twenty_at_once_and_then_one_a_minute() -> None:
    queue = Queue()
    for number in range(23):
        queue = queue.reserve(AKS_AGENT_POOL_WRITES, str(number), NOW)
    waits = [queue.reserved[str(number)] - NOW for number in range(23)]
    assert waits[:20] == [timedelta()] * 20
    assert waits[20:] == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert queue.reserve(AKS_AGENT_POOL_WRITES, "22", NOW + MINUTE) == queue, "asked twice is reserved once"


@given(
    burst=st.integers(1, 5),
    asked=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 1000), st.integers(0, 30)), max_size=60),
)
def test_reserved_calls_never_exceed_the_rate(burst: int, asked: list[tuple[int, int, int]]) -> None:
    rate, queue, now = Rate(burst, MINUTE), Queue(), NOW
    calls: dict[str, datetime] = {}
    for pause, number, closed in asked:
        now += timedelta(seconds=pause)
        if closed > 28:
            queue = queue.close(now + closed * MINUTE)
            continue
        queue = queue.reserve(rate, str(number), now)
        at = queue.reserved[str(number)]
        if str(number) not in calls:
            calls[str(number)] = at
            assert at >= now
            assert queue.closed_until is None or at >= min(queue.closed_until, at)
    moments = sorted(calls.values())
    for index, start in enumerate(moments[: -burst or None]):
        spread = moments[index + burst] - start
        assert spread >= MINUTE or queue.closed_until is not None


def test_retry_after_closes_the_queue_for_everybody() -> None:
    rate = Rate(5, MINUTE)
    queue = Queue().close(NOW + HOUR).close(NOW + MINUTE)
    assert queue.reserve(rate, "a", NOW).reserved["a"] == NOW + HOUR
    assert queue.reserve(rate, "a", NOW + 2 * HOUR).reserved["a"] == NOW + 2 * HOUR


RULE = RetryRule(timedelta(seconds=10), timedelta(minutes=5), 3)


@given(seed=st.text(max_size=10), tries=st.integers(1, 200))
def test_backoff_grows_within_its_bounds_and_is_the_same_in_every_replay(seed: str, tries: int) -> None:
    moment = next_try(RULE, seed, tries, NOW, deadline=NOW + HOUR)
    assert moment is not None
    assert moment == next_try(RULE, seed, tries, NOW, deadline=NOW + HOUR)
    full = min(RULE.first * 2 ** min(tries - 1, 20), RULE.longest)
    assert NOW + full / 2 <= moment <= NOW + full


def test_different_changes_are_spread() -> None:
    assert len({next_try(RULE, f"change {n}", 1, NOW, deadline=NOW + HOUR) for n in range(50)}) > 40


@pytest.mark.parametrize("seconds", [1, 30, 3000])
def test_retry_after_is_honoured_and_the_deadline_too(seconds: int) -> None:
    asked = timedelta(seconds=seconds)
    moment = next_try(RULE, "x", 1, NOW, retry_after=asked, deadline=NOW + HOUR)
    assert moment is not None
    assert asked <= moment - NOW <= asked + RULE.first
    assert next_try(RULE, "x", 1, NOW, retry_after=asked, deadline=NOW + asked) is None
