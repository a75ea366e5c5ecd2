"""A move is made when it pays back, and only then; the money is checked against sums written apart."""

from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.storage_tiering_year import Planned as LivedThrough
from bench.storage_tiering_year import simulate
from shared.blob_facts import MINIMUM_DAYS, BlobFacts, Tier
from shared.estate.policies.rates import BlobRates, StorageRates
from shared.storage_tiering.account import AccountRules
from shared.storage_tiering.decisions import Reason
from tests.storage_tiering.world import MB, NOW, RATES, Planned, blob, rules

DAY = timedelta(days=1)
GB, MONTH = 2**30, 365 / 12
STEPS = {Tier.COOL: 30, Tier.COLD: 70, Tier.ARCHIVE: 150}
DELETED = 400
ORDER = list(Tier)
POLICY = {"cool_after": "30d", "cold_after": "70d", "archive_after": "150d", "delete_after": "400d", "smallest": "0B"}


def of(rates: StorageRates, tier: str) -> BlobRates:
    return getattr(rates, tier.lower())


def gain(facts: BlobFacts, to: Tier, account: AccountRules) -> float:
    """Both futures, until the payback time or the next step that the policy foresees."""
    age = (NOW - facts.modified) / DAY
    following = [days for tier, days in STEPS.items() if days > age and ORDER.index(tier) > ORDER.index(to)]
    stays = min([*following, DELETED]) - age
    days = min(stays, account.payback / DAY)
    here, there = of(account.rates, facts.tier or ""), of(account.rates, to)
    gb = facts.size / GB
    since = max(facts.tier_changed or facts.modified, facts.modified)
    lacking_here = 0 if facts.tier_inferred else max(0, MINIMUM_DAYS[Tier(facts.tier or "")] - (NOW - since) / DAY)
    lacking_there = max(0, MINIMUM_DAYS[to] - stays)
    staying = gb * here.gb_month / MONTH * days
    moving = (
        gb * there.gb_month / MONTH * (days + lacking_there)
        + there.write_10k / 10_000
        + gb * here.gb_month / MONTH * lacking_here
    )
    return staying - moving


@given(seed=st.integers(0, 2**32), payback=st.integers(1, 400), write=st.floats(0.001, 500))
@settings(max_examples=12, deadline=None)
def test_a_move_is_made_when_it_is_cheaper_than_staying_and_only_then(seed: int, payback: int, write: float) -> None:
    random = Random(seed)
    dearer = {
        name: of(RATES, name).model_copy(update={"write_10k": write * place})
        for place, name in enumerate(("cool", "cold", "archive"), 1)
    }
    rates = RATES.model_copy(update=dearer)
    account = rules({"doc": POLICY}, payback=payback * DAY, rates=rates)
    given = {}
    for number in range(300):
        age = random.randrange(DELETED)
        tier = random.choice([Tier.HOT, Tier.COOL, Tier.COLD])
        changed = random.choice([None, NOW - random.randrange(200) * DAY])
        given[f"{number}"] = blob(
            f"doc/{number}",
            age,
            size=int(random.choice([1e4, 1e6, 1e8, 1e10]) * random.random()),
            tier=tier,
            tier_changed=changed,
            tier_inferred=random.random() < 0.2,
        )
    planned = Planned(account, given.values())
    moved = {each.target.name: each for each in planned.moves}
    for name, facts in given.items():
        age = (NOW - facts.modified) / DAY
        present = ORDER.index(Tier(facts.tier or ""))
        open_tiers = [tier for tier, days in STEPS.items() if age >= days and ORDER.index(tier) > present]
        gains = {tier: gain(facts, tier, account) for tier in open_tiers}
        if name in moved:
            to = Tier(moved[name].to_tier)
            assert gains[to] == pytest.approx(max(gains.values()))
            assert gains[to] > 0
            assert moved[name].pays_back_after_days <= payback + 1e-6
        else:
            assert max(gains.values(), default=0) <= 1e-12
            assert not gains or planned.reasons[name, max(gains, key=ORDER.index)] == Reason.NOT_PAID_BACK.value


def test_the_figures_of_a_move() -> None:
    account = rules({"doc": {"archive_after": "30d"}})
    planned = Planned(account, [blob("doc/x", 100, size=10 * GB, tier="Cool", tier_changed=NOW - 12 * DAY)])
    (move,) = planned.moves
    assert move.saved_a_month == pytest.approx(10 * (0.0110 - 0.0020))
    assert move.transaction == pytest.approx(0.130 / 10_000)
    assert move.early_deletion == pytest.approx(10 * 0.0110 * 18 / MONTH)  # 30 days are charged, 12 have passed
    assert move.retrieval_risk == pytest.approx(10 * (0.0220 - 0.0110) + (6.47 - 0.0118) / 10_000)
    assert move.pays_back_after_days == pytest.approx(
        (move.early_deletion + move.transaction) / (move.saved_a_month / MONTH)
    )
    total = planned.totals.moves["doc", "Cool", "Archive"]
    assert (total.blobs, total.saved_a_month) == (1, pytest.approx(move.saved_a_month))


def test_nothing_is_charged_for_leaving_a_tier_that_was_only_inferred() -> None:
    account = rules({"doc": {"archive_after": "1d"}})
    planned = Planned(account, [blob("doc/x", 2, size=GB, tier="Cool", tier_inferred=True)])
    assert [each.early_deletion for each in planned.moves] == [0.0]


def test_a_deletion_tells_what_the_minimum_still_costs() -> None:
    account = rules({"doc": {"delete_after": "100d"}})
    (deletion,) = Planned(account, [blob("doc/x", 110, size=GB, tier="Archive", tier_changed=NOW - 80 * DAY)]).deletions
    assert deletion.early_deletion == pytest.approx(0.0020 * 100 / MONTH)


def test_expected_reads_count() -> None:
    policy = {"archive_after": "30d"}
    seldom, often = rules({"doc": policy}), rules({"doc": policy | {"reads_a_year": 12}})
    given = [blob("doc/x", 100, size=100 * MB)]
    assert Planned(seldom, given).moved == {"x": "Archive"}
    assert Planned(often, given).reasons == {("x", "Archive"): Reason.NOT_PAID_BACK.value}


def test_a_backup_that_will_soon_be_dropped_is_not_moved() -> None:
    """Cool charges 30 days at least: what `daily: 14` drops in a week stays hot, the month's last one moves."""
    account = rules({"backup": {"keep": {"daily": 14, "monthly": 12}, "cool_after": "7d"}})
    planned = Planned(account, [blob(f"backup/db-{NOW - age * DAY:%Y-%m-%d}.dump", age) for age in range(60)])
    assert planned.moved == {"db-2026-10-31.dump": "Cool", "db-2026-09-30.dump": "Cool"}
    assert planned.reasons["db-2026-11-10.dump", "Cool"] == Reason.NOT_PAID_BACK.value


def test_days_of_a_simulated_autumn() -> None:
    nothing, native, planned = simulate(120, 3, every=8)
    assert isinstance(planned, LivedThrough)
    assert planned.ledger.total < native.ledger.total < nothing.ledger.total
    assert planned.lost == 0
    # What the plans foretold is what the ledger, which knows nothing of the planner, charged.
    charged = planned.ledger.charged.get("early deletion", 0.0)
    assert charged == pytest.approx(planned.early_deletion, rel=0.02, abs=1e-6)
