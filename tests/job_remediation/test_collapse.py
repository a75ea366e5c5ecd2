from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.job_remediation.collapse import Fault, Verdict, collapse, end
from shared.job_remediation.signal import Condition, Severity, Signal, Source, Target
from shared.job_remediation.storm import Weather, weather_after
from shared.job_remediation.symptoms import Symptom

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRED, RESOLVED = Condition.FIRED, Condition.RESOLVED


def minute(number: int) -> datetime:
    return NOON + timedelta(minutes=number)


def signal(
    condition: Condition, at: int, *, fault: str = "f", alert: str | None = None, symptom: Symptom = Symptom.JOB_FAILED
) -> Signal:
    return Signal(
        source=Source.AZURE_MONITOR,
        condition=condition,
        fingerprint=fault,
        symptom=symptom,
        title="t",
        severity=Severity.WARNING,
        target=Target(),
        fired_at=minute(at) if condition is FIRED else None,
        resolved_at=minute(at) if condition is RESOLVED else None,
        received_at=minute(at),
        alert_id=alert,
        raw="sha256:0",
    )


def told(*signals: Signal) -> tuple[Fault, list[Verdict]]:
    fault, verdicts = Fault("f"), list[Verdict]()
    for one in signals:
        fault, verdict = collapse(fault, one)
        verdicts.append(verdict)
    return fault, verdicts


def test_copies_begin_once_and_end_once() -> None:
    fault, verdicts = told(*[signal(FIRED, 1)] * 3, *[signal(RESOLVED, 2)] * 2)
    assert verdicts == [
        Verdict.BEGINS,
        Verdict.CONTINUES,
        Verdict.CONTINUES,
        Verdict.ENDS,
        Verdict.OUTDATED,
    ]
    assert (fault.fired, fault.resolved, fault.occurrences, fault.is_open) == (3, 2, 1, False)


def test_resolution_that_overtakes_what_it_resolves_prevents_it() -> None:
    fault, verdicts = told(signal(RESOLVED, 2), signal(FIRED, 1))
    assert verdicts == [Verdict.UNKNOWN, Verdict.OUTDATED]
    assert (fault.is_open, fault.occurrences, fault.began_at) == (False, 0, None)


def test_fault_comes_back() -> None:
    fault, verdicts = told(signal(FIRED, 1, alert="a"), signal(RESOLVED, 2, alert="a"), signal(FIRED, 3, alert="b"))
    assert verdicts == [Verdict.BEGINS, Verdict.ENDS, Verdict.BEGINS]
    assert (fault.began_at, fault.occurrences, fault.alert_ids) == (minute(3), 2, frozenset({"b"}))


def test_late_resolution_does_not_end_what_came_after_it() -> None:
    fault, verdicts = told(signal(FIRED, 1), signal(FIRED, 3), signal(RESOLVED, 2))
    assert verdicts == [Verdict.BEGINS, Verdict.CONTINUES, Verdict.OUTDATED]
    assert (fault.is_open, fault.began_at) == (True, minute(3))


def test_late_firing_of_before_does_not_move_the_beginning() -> None:
    fault, verdicts = told(signal(RESOLVED, 2), signal(FIRED, 3), signal(FIRED, 1))
    assert verdicts[1:] == [Verdict.BEGINS, Verdict.OUTDATED]
    assert fault.began_at == minute(3)


def test_earlier_firing_moves_the_beginning() -> None:
    assert told(signal(FIRED, 3), signal(FIRED, 1))[0].began_at == minute(1)


def test_resolution_without_its_time_ends_what_it_names_only() -> None:
    untimed = replace(signal(RESOLVED, 9), fired_at=minute(1), resolved_at=None)
    assert told(signal(FIRED, 1), untimed)[1] == [Verdict.BEGINS, Verdict.ENDS]
    fault, _ = told(signal(FIRED, 1), untimed, signal(FIRED, 5), untimed)
    assert fault.is_open


def test_alerts_of_an_occurrence_are_remembered_for_closing() -> None:
    fault, _ = told(signal(FIRED, 1, alert="/A"), signal(FIRED, 2, alert="/b"), signal(FIRED, 3, alert="/a"))
    assert fault.alert_ids == frozenset({"/a", "/b"})
    many, _ = told(*[signal(FIRED, n, alert=str(n)) for n in range(500)])
    assert len(many.alert_ids) == 100


def test_concluded_remediation_deals_with_what_fired_before() -> None:
    fault, _ = told(signal(FIRED, 1))
    fault = end(fault, minute(5))
    assert not fault.is_open
    assert fault.began_at is None
    fault, verdict = collapse(fault, signal(FIRED, 4))
    assert verdict is Verdict.OUTDATED
    assert collapse(fault, signal(FIRED, 6))[1] is Verdict.BEGINS


def test_conclusion_does_not_deal_with_what_fired_after() -> None:
    fault, _ = told(signal(FIRED, 1), signal(FIRED, 7))
    assert end(fault, minute(5)).is_open


def test_signal_of_another_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="is not about fault f"):
        collapse(Fault("f"), signal(FIRED, 1, fault="g"))


SIGNALS = st.lists(st.tuples(st.sampled_from([FIRED, RESOLVED]), st.integers(0, 8)), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(SIGNALS, st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_order_and_any_copies_end_in_the_same_knowledge(
    drawn: list[tuple[Condition, int]], random: Random, copies: int
) -> None:
    signals = [signal(condition, at) for condition, at in drawn]
    shuffled = signals * copies
    random.shuffle(shuffled)
    one, other = told(*signals)[0], told(*shuffled)[0]
    assert (one.fired_until, one.resolved_until, one.is_open) == (
        other.fired_until,
        other.resolved_until,
        other.is_open,
    )
    assert (other.fired, other.resolved) == (one.fired * copies, one.resolved * copies)


@settings(max_examples=300, deadline=None)
@given(SIGNALS)
def test_begins_and_ends_alternate_and_nothing_outdated_begins(drawn: list[tuple[Condition, int]]) -> None:
    fault, is_open, resolved_until = Fault("f"), False, -1
    for condition, at in drawn:
        fault, verdict = collapse(fault, signal(condition, at))
        if condition is RESOLVED:
            resolved_until = max(resolved_until, at)
        assert not (verdict is Verdict.BEGINS and (is_open or at <= resolved_until))
        assert not (verdict is Verdict.ENDS and not is_open)
        is_open = verdict is Verdict.BEGINS or (is_open and verdict is not Verdict.ENDS)
        assert is_open == fault.is_open
        assert (fault.began_at is not None) == is_open
        assert fault.began_at is None or minute(resolved_until) < fault.began_at


def test_no_order_begins_more_often_than_there_were_occurrences() -> None:
    occurrences = [signal(FIRED, 1), signal(RESOLVED, 2), signal(FIRED, 3), signal(RESOLVED, 4), signal(FIRED, 5)]
    begins = {told(*order)[1].count(Verdict.BEGINS) for order in permutations(occurrences)}
    assert begins == {1, 2, 3}


def test_storm_begins_with_so_many_faults_and_lasts_the_cool_down() -> None:
    weather = Weather()
    for number in range(9):
        for _ in range(20):
            weather = weather_after(weather, signal(FIRED, 0, fault=str(number)), 10, timedelta(minutes=30))
    assert not weather.is_stormy(minute(0))
    weather = weather_after(weather, signal(FIRED, 1, fault="9"), 10, timedelta(minutes=30))
    assert (weather.storm_since, weather.storm_until, weather.signals) == (minute(1), minute(31), 181)
    assert weather.is_stormy(minute(30))
    assert not weather.is_stormy(minute(31))


def test_faults_that_come_one_by_one_are_no_storm() -> None:
    weather = Weather()
    for number in range(100):
        weather = weather_after(weather, signal(FIRED, number, fault=str(number)), 10, timedelta(minutes=30))
    assert weather.storm_until is None
    assert len(weather.last_told) <= 10


@pytest.mark.parametrize("kind", [{"condition": RESOLVED}, {"condition": FIRED, "symptom": Symptom.BLOB_CREATED}])
def test_good_news_is_no_storm(kind: dict[str, Any]) -> None:
    weather = Weather()
    for number in range(100):
        told = signal(FIRED, 0, fault=str(number))
        told = replace(told, **kind)
        weather = weather_after(weather, told, 10, timedelta(minutes=30))
    assert weather.storm_until is None
    assert weather.last_told == {}
