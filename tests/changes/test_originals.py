from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.changes.originals import Originals, Verdict
from shared.changes.state import from_data, to_data

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def saved(originals: Originals, owner: str, observed: dict[str, Any], wanted: dict[str, Any]) -> Originals:
    return originals.saved(owner, observed, wanted, NOW)


def test_what_was_found_is_given_back_where_it_still_is_what_we_set() -> None:
    known = saved(Originals("t"), "night", {"n": 3, "min": 1, "max": 5}, {"n": 0, "min": 0, "max": 0})
    now = {"n": 0, "min": 2, "max": 5}
    assert known.verdicts("night", now) == {"n": Verdict.GIVE_BACK, "min": Verdict.EDITED, "max": Verdict.ALREADY}
    assert known.to_give_back("night", now) == {"n": 3}
    assert known.released("night") == Originals("t")


@pytest.mark.parametrize(
    ("edited", "given_back"),
    [
        ({"min": 16, "max": 40}, {}),  # six at most cannot go with sixteen at least
        ({"min": 6, "max": 40}, {"max": 6}),
        ({"min": 12, "max": 1}, {}),
        ({"min": 12, "max": 20}, {"min": 2}),
    ],
)
def test_a_bound_is_left_alone_where_it_cannot_go_with_the_one_that_a_human_set(
    edited: dict[str, Any], given_back: dict[str, Any]
) -> None:
    known = saved(Originals("t"), "peak", {"min": 2, "max": 6}, {"min": 12, "max": 40})
    assert known.to_give_back("peak", edited) == given_back


def test_a_second_sleep_does_not_save_the_sleep_as_the_original() -> None:
    known = saved(Originals("t"), "night", {"n": 3}, {"n": 0})
    again = saved(known, "night", {"n": 0}, {"n": 0})
    assert again.to_give_back("night", {"n": 0}) == {"n": 3}


def test_what_a_human_set_meanwhile_is_the_new_original() -> None:
    known = saved(Originals("t"), "night", {"n": 3}, {"n": 0})
    again = saved(known, "night", {"n": 5}, {"n": 0})
    assert again.to_give_back("night", {"n": 0}) == {"n": 5}


def test_an_act_that_never_happened_between_two_others_loses_nothing() -> None:
    known = saved(Originals("t"), "peak", {"n": 3}, {"n": 6})
    known = saved(known, "peak", {"n": 6}, {"n": 8})  # noted, but the act was lost
    known = saved(known, "peak", {"n": 6}, {"n": 9})
    assert known.to_give_back("peak", {"n": 9}) == {"n": 3}


def test_the_peak_that_ends_while_the_night_is_on_is_given_back_by_the_night() -> None:
    known = saved(Originals("t"), "peak", {"n": 3}, {"n": 6})
    known = saved(known, "night", {"n": 6}, {"n": 0})
    assert known.verdicts("peak", {"n": 0}) == {"n": Verdict.UNDER_ANOTHER}
    assert known.to_give_back("peak", {"n": 0}) == {}
    assert known.released("peak").to_give_back("night", {"n": 0}) == {"n": 3}
    assert known.released("night").to_give_back("peak", {"n": 6}) == {"n": 3}


def test_true_is_not_one_and_the_order_of_names_is_nothing() -> None:
    known = saved(Originals("t"), "x", {"on": True, "o": {"a": 1, "b": 2}}, {"on": 1, "o": {}})
    assert known.verdicts("x", {"on": 1, "o": {"b": 2, "a": 1}}) == {"on": Verdict.GIVE_BACK, "o": Verdict.ALREADY}


def test_originals_survive_their_way_through_json() -> None:
    known = saved(Originals("t"), "x", {"n": None, "l": [1, {"a": 0.5}]}, {"n": 1, "l": True})
    assert from_data(Originals, to_data(known)) == known


Steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["save", "act"]), st.sampled_from(["peak", "night", "fix"]), st.integers(0, 100)),
        st.tuples(st.just("give back"), st.sampled_from(["peak", "night", "fix"]), st.just(0)),
    ),
    max_size=30,
)


@given(Steps)
def test_whatever_the_automations_do_in_whatever_order_the_original_comes_back(
    steps: list[tuple[str, str, int]],
) -> None:
    """`save` notes the wish and is lost before the act; `act` notes it and acts. Values are unique, as intents are."""
    start = -1
    now, known = start, Originals("t")
    for number, (step, owner, value) in enumerate(steps):
        wish = value * 1000 + number
        if step == "give back":
            now = known.to_give_back(owner, {"n": now}).get("n", now)
            known = known.released(owner)
            continue
        known = saved(known, owner, {"n": now}, {"n": wish})
        if step == "act":
            now = wish
    for owner in ("fix", "peak", "night"):
        now = known.to_give_back(owner, {"n": now}).get("n", now)
        known = known.released(owner)
    assert now == start
    assert known == Originals("t")


@given(Steps, Steps)
def test_a_human_edit_is_never_overwritten_by_giving_back(
    before: list[tuple[str, str, int]], after: list[tuple[str, str, int]]
) -> None:
    """After the edit automations may act again on purpose; giving all back then comes to the human's value."""
    now, known = -1, Originals("t")
    for number, (step, owner, value) in enumerate([*before, ("human", "", 0), *after]):
        wish = value * 1000 + number
        if step == "human":
            now = -2
        elif step == "give back":
            now = known.to_give_back(owner, {"n": now}).get("n", now)
            known = known.released(owner)
        else:
            known = saved(known, owner, {"n": now}, {"n": wish})
            now = wish if step == "act" else now
    for owner in ("fix", "peak", "night"):
        now = known.to_give_back(owner, {"n": now}).get("n", now)
        known = known.released(owner)
    assert now == -2
