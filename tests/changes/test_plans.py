from datetime import UTC, datetime

import pytest

from shared.changes.change import Change
from shared.changes.errors import InvalidPlanError
from shared.changes.plan import Plan
from shared.changes.state import from_data, to_data
from shared.risk import Risk
from tests.changes.world import a_change

MONDAY = datetime(2026, 11, 23, 18, tzinfo=UTC)


def test_the_same_intent_has_the_same_id_whatever_was_observed_and_whenever_it_may_run() -> None:
    seen_otherwise = a_change(before={"n": 5}, reason="another", latest=MONDAY, risk=Risk.FINANCIAL)
    assert seen_otherwise.id == a_change().id
    assert seen_otherwise.digest != a_change().digest


@pytest.mark.parametrize(
    "difference",
    [
        {"automation": "other"},
        {"environment": "test"},
        {"tenant": "acme"},
        {"kind": "other"},
        {"target": "b"},
        {"action": "slow-set"},
        {"occasion": "2"},
        {"after": {"n": 1}},
    ],
)
def test_another_intent_has_another_id(difference: dict[str, object]) -> None:
    assert a_change(**difference).id != a_change().id


def test_a_change_survives_the_way_through_json_with_its_id_and_digest() -> None:
    change = a_change(after={"n": 0, "list": [1, 2.5, None, True], "x": {"y": "z"}}, earliest=MONDAY, depends_on=("1",))
    back = from_data(Change, to_data(change))
    assert (back, back.id, back.digest) == (change, change.id, change.digest)


def test_times_without_zone_and_times_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"latest .* no time zone"):
        a_change(latest=datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="before its earliest"):
        a_change(earliest=MONDAY, latest=MONDAY.replace(hour=1))


def test_equal_plans_have_equal_hashes_in_whatever_order_they_were_made() -> None:
    a, b = a_change("a"), a_change("b")
    c = a_change("c", depends_on=(b.id, a.id))
    one, other = Plan.of([c, b, a, a]), Plan.of([a, b, a_change("c", depends_on=(a.id, b.id))])
    assert one.hash == other.hash
    assert [change.target for change in one.changes] == ["a", "b", "c"]
    assert Plan.of([a, b]).hash != one.hash


def test_dependencies_come_first_also_against_the_alphabet() -> None:
    z = a_change("z")
    assert [change.target for change in Plan.of([a_change("a", depends_on=(z.id,)), z]).changes] == ["z", "a"]


def test_a_circle_is_refused_and_named() -> None:
    # Ids do not depend on depends_on, so a circle can be written down.
    a, b, c = a_change("a"), a_change("b"), a_change("c")
    circle = [
        a_change("a", depends_on=(c.id,)),
        a_change("b", depends_on=(a.id,)),
        a_change("c", depends_on=(b.id,)),
        a_change("d", depends_on=(a.id,)),
    ]
    with pytest.raises(InvalidPlanError) as error:
        Plan.of(circle)
    assert "set staging a -> set staging c -> set staging b -> set staging a" in str(error.value)


def test_a_missing_dependency_and_one_intent_with_two_contents_are_refused() -> None:
    with pytest.raises(InvalidPlanError, match="depends on missing, which is not in the plan"):
        Plan.of([a_change(depends_on=("missing",))])
    with pytest.raises(InvalidPlanError, match="one intent"):
        Plan.of([a_change(reason="one"), a_change(reason="two")])


def test_a_diff_tells_what_was_added_removed_and_altered() -> None:
    before = Plan.of([a_change("a"), a_change("b"), a_change("c")])
    after = Plan.of([a_change("b"), a_change("c", risk=Risk.DISRUPTIVE), a_change("d")])
    diff = after.diff(before)
    assert [change.target for change in diff.added] == ["d"]
    assert [change.target for change in diff.removed] == ["a"]
    assert [(old.risk, new.risk) for old, new in diff.altered] == [(Risk.REVERSIBLE, Risk.DISRUPTIVE)]
    assert not diff.empty
    assert before.diff(before).empty
