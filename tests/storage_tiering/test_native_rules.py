"""The account's own lifecycle rules: read, respected, reported where they are against us, and never overwritten."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.estate.loading import load_estate
from shared.finance_calendar.compilation import compile_calendar
from shared.storage_tiering.account import AccountAbilities, ContainerClasses, Selection
from shared.storage_tiering.decisions import Reason
from shared.storage_tiering.native_export import export
from shared.storage_tiering.native_rules import OUR_PREFIX, NativeRuleError, merge, read_rules
from shared.storage_tiering.plan import EARLIER, KEPT_BY_POLICY
from shared.storage_tiering.scope import account_rules
from tests.storage_tiering.world import NOW, Planned, blob, rules

DAY = timedelta(days=1)


def rule(name: str, actions: dict[str, Any], prefixes: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """As Azure Resource Manager gives it."""
    return {
        "enabled": True,
        "name": name,
        "type": "Lifecycle",
        "definition": {
            "actions": {"baseBlob": actions},
            "filters": {"blobTypes": ["blockBlob"], **({"prefixMatch": list(prefixes)} if prefixes else {})},
        },
    } | more


def policy(*found: dict[str, Any]) -> dict[str, Any]:
    return {"id": "...", "name": "DefaultManagementPolicy", "properties": {"policy": {"rules": list(found)}}}


TYPICAL = policy(
    rule(
        "team-a",
        {
            "tierToCool": {"daysAfterModificationGreaterThan": 30},
            "tierToArchive": {"daysAfterModificationGreaterThan": 90, "daysAfterLastTierChangeGreaterThan": 7},
            "delete": {"daysAfterModificationGreaterThan": 365},
        },
        ("doc/",),
    )
)


def test_what_the_account_does_itself_is_not_done_twice() -> None:
    account = rules({"doc": {"cool_after": "30d", "delete_after": "365d"}}, native=read_rules(TYPICAL))
    planned = Planned(account, [blob("doc/a", 40), blob("doc/b", 400), blob("doc/c", 20)])
    assert planned.moves == planned.deletions == []
    assert planned.reasons == {("a", "Cool"): Reason.NATIVE_RULE.value, ("b", "delete"): Reason.NATIVE_RULE.value}
    assert {key: each.blobs for key, each in planned.totals.native.items()} == {
        ("team-a", "Cool"): 1,
        ("team-a", "delete"): 1,
    }
    assert planned.totals.conflicts == {}


def test_what_it_does_against_us_is_reported() -> None:
    account = rules(
        {"doc": {"cool_after": "30d", "archive_after": "200d", "kept_by_law": "10y"}},
        native=read_rules(TYPICAL),
        audited=((NOW - 120 * DAY, NOW - 90 * DAY),),
        at_hand=(Selection("doc", "wanted/"),),
    )
    given = [
        *(blob(f"doc/early{n}", 150) for n in range(7)),
        blob("doc/audited", 100),
        blob("doc/law", 400),
        blob("doc/wanted/x", 130),
        blob("doc/hold", 400, legal_hold=True),
    ]
    found = Planned(account, given).totals.conflicts
    assert {(each.action, each.reason): each.blobs for each in found.values()} == {
        ("Archive", EARLIER): 7,
        ("Archive", Reason.AUDIT.value): 1,
        ("Archive", Reason.AT_HAND.value): 1,
        ("delete", Reason.KEPT_BY_LAW.value): 1,  # a deletion under legal hold is refused by the service
    }
    assert len(found["team-a", "Archive", EARLIER].examples) == 5


def test_a_deletion_that_we_do_not_want_is_a_conflict() -> None:
    account = rules({"doc": {"cool_after": "30d"}}, native=read_rules(TYPICAL))
    planned = Planned(account, [blob("doc/old", 400)])
    assert [each.reason for each in planned.totals.conflicts.values()] == [KEPT_BY_POLICY]
    assert planned.moves == []


@pytest.mark.parametrize(
    ("changed", "acts"),
    [
        ({}, True),
        ({"tier_changed": NOW - 3 * DAY}, False),
        ({"tier": "Archive"}, False),
        ({"kind": "AppendBlob"}, False),
    ],
)
def test_rules_are_read_as_the_service_reads_them(changed: dict[str, Any], acts: bool) -> None:
    account = rules({"doc": {}}, native=read_rules(TYPICAL))
    totals = Planned(account, [blob("doc/x", 100, **({"tier": "Cool"} | changed))]).totals
    assert bool(totals.native) == acts


def test_a_day_count_must_be_exceeded_and_prefixes_tags_and_disabled_rules_count() -> None:
    tagged = rule("tagged", {"delete": {"daysAfterCreationGreaterThan": 1}})
    tagged["definition"]["filters"]["blobIndexMatch"] = [{"name": "state", "op": "==", "value": "done"}]
    off = rule("off", {"delete": {"daysAfterCreationGreaterThan": 1}}, enabled=False)
    account = rules(
        {"doc": {}, "other": {}}, native=read_rules(policy(*TYPICAL["properties"]["policy"]["rules"], tagged, off))
    )
    given = [
        blob("doc/exactly", 30),
        blob("doc/exceeded", 31),
        blob("other/x", 31),
        blob("other/y", 31, tags={"state": "done"}),
    ]
    totals = Planned(account, given).totals
    assert {key: each.blobs for key, each in totals.native.items()} == {("team-a", "Cool"): 1, ("tagged", "delete"): 1}


def test_rules_of_others_survive_as_they_are() -> None:
    strange = rule("team-b", {"somethingNew": {"daysAfterModificationGreaterThan": 1}}, unknown={"kept": True})
    present = policy(strange, rule(f"{OUR_PREFIX}log-1", {}), *TYPICAL["properties"]["policy"]["rules"])
    ours = [rule(f"{OUR_PREFIX}log-2", {"delete": {"daysAfterModificationGreaterThan": 9}}, ("log/",))]
    written = merge(present, ours)["properties"]["policy"]["rules"]
    assert written == [strange, *TYPICAL["properties"]["policy"]["rules"], *ours]
    assert merge(None, ours)["properties"]["policy"]["rules"] == ours
    assert merge(merge(present, ours), ours) == merge(present, ours)


def test_merging_refuses_what_would_not_fit() -> None:
    with pytest.raises(NativeRuleError, match="100 rules of others and 1 of ours are more than 100"):
        merge(policy(*(rule(f"x{n}", {}) for n in range(100))), [rule(f"{OUR_PREFIX}x", {})])
    with pytest.raises(NativeRuleError, match="rule mine does not begin with closekeeper-"):
        merge(None, [rule("mine", {})])
    with pytest.raises(NativeRuleError, match="rule without name: 'definition' is missing"):
        read_rules(policy({"enabled": True}))
    with pytest.raises(NativeRuleError, match=r"properties\.policy\.rules is missing"):
        read_rules({"properties": {}})


EXPRESSIBLE = {"cool_after": "30d", "archive_after": "90d", "delete_after": "365d", "smallest": "0B"}


def test_what_can_be_expressed_is_and_does_the_same() -> None:
    account = rules({"log": EXPRESSIBLE})
    found = export(account, longest_rehydration=45 * DAY, audits=False)
    assert found.not_expressible == ()
    (written,) = found.rules
    assert written["name"] == "closekeeper-log-1"
    assert written["definition"] == {
        "actions": {
            "baseBlob": {
                "tierToCool": {"daysAfterModificationGreaterThan": 30},
                "tierToArchive": {"daysAfterModificationGreaterThan": 90, "daysAfterLastTierChangeGreaterThan": 45},
                "delete": {"daysAfterModificationGreaterThan": 365},
            }
        },
        "filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["log/"]},
    }
    # Read again, they leave our own plan nothing to do, and are against nothing in it.
    native = read_rules(merge(json.loads(json.dumps(TYPICAL)), found.rules))
    planned = Planned(rules({"log": EXPRESSIBLE}, native=native), [blob(f"log/{age}", age + 0.5) for age in range(400)])
    assert planned.moves == planned.deletions == []
    assert planned.totals.conflicts == {}


@pytest.mark.parametrize(
    ("change", "steps", "why"),
    [
        ({"smallest": "128KiB"}, 2, "no sizes"),
        ({"keep": {"last": 1}}, 3, "no series"),
        ({"backup": True}, 2, "newest verified backup"),
        ({"kept_by_law": "10y"}, 1, "no fiscal years"),
        ({"reads_a_year": 1}, 2, "no expected reads"),
        ({"cool_after": "36h"}, 1, "whole days"),
        ({"cool_after": "30d since last access"}, 1, "not tracked"),
        ({"old_versions": {"delete_after": "9d"}}, 1, "not from when it was replaced"),
        ({"index_tags": {"a": "b"}}, 3, "another class"),
    ],
)
def test_what_cannot_be_expressed_is_told(change: dict[str, Any], steps: int, why: str) -> None:
    found = export(rules({"log": EXPRESSIBLE | change}), longest_rehydration=45 * DAY, audits=False)
    assert len(found.not_expressible) == steps
    assert all(why in each.why for each in found.not_expressible)


def test_folders_audits_and_abilities_are_minded_when_exporting() -> None:
    account = rules(
        {"doc": EXPRESSIBLE, "log": EXPRESSIBLE},
        containers={"c": ContainerClasses("doc", {"logs/": "log"})},
        abilities=AccountAbilities(archive=False, soft_delete=False, versioning=False),
    )
    found = export(account, longest_rehydration=DAY, audits=False)
    assert [each["definition"]["filters"]["prefixMatch"] for each in found.rules] == [["c/logs/"]]
    assert {each.why for each in found.not_expressible} == {
        "native rules cannot leave out c/logs/",
        "archive is not offered here",
        "deletions could not be undone",
    }
    audited = export(rules({"doc": EXPRESSIBLE}), longest_rehydration=DAY, audits=True)
    assert audited.rules == ()
    assert {each.why for each in audited.not_expressible} == {"an audit may keep its documents at hand"}


def test_the_calendar_says_which_years_are_audited() -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "group" / "estate.yaml"
    estate = load_estate(example.read_text())
    calendar = compile_calendar(estate.calendar, {})

    def audited(now: datetime) -> list[tuple[str, str]]:
        found = account_rules(estate, "production", "documents", calendar, now, abilities=AccountAbilities())
        assert found.containers["exchange"].folders["pain.001/"] == "payment-file"
        return [(start.isoformat(), end.isoformat()) for start, end in found.audited]

    assert audited(datetime(2027, 1, 24, tzinfo=UTC)) == []
    # The audit of the group accounts wants two fiscal years of 52 and 53 weeks.
    assert audited(datetime(2027, 2, 15, tzinfo=UTC)) == [
        ("2024-12-29T00:00:00+01:00", "2026-01-04T00:00:00+01:00"),
        ("2026-01-04T00:00:00+01:00", "2027-01-03T00:00:00+01:00"),
    ]
