"""Work lists carried out against Azurite, with what the service may do in between."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import StandardBlobTier

from local.blob_proxy import Fault
from shared.storage_tiering import checkpoint
from shared.storage_tiering.answers import Outcome
from shared.storage_tiering.sending import RefusedAltogetherError
from shared.storage_tiering.worklist import WorkListDamagedError
from tests.tiering_apply import planned
from tests.tiering_apply.world import Documents, expected


def numbered(count: int) -> list[str]:
    return [f"2026/{number:05}.pdf" for number in range(count)]


def test_everything_planned_is_moved_in_full_batches_and_nothing_else(documents: Documents) -> None:
    documents.fill(numbered(600))
    before = documents.tiers()
    chosen = [name for name in before if not name.endswith("7.pdf")]
    progress = documents.run(documents.work(documents.steps("Cool", chosen.__contains__)))
    assert progress.done
    assert progress.blobs(Outcome.DONE) == len(chosen) == 540
    assert documents.tiers() == expected(before, chosen, "Cool")
    assert documents.proxy.count("batch") == progress.batches == 3
    assert documents.proxy.count("list") == progress.looks == 1
    assert set(documents.proxy.moved()) == set(chosen)


def test_a_plan_from_a_listing_is_that_of_a_plain_loop_and_applied_as_it_is(documents: Documents) -> None:
    planned.fill(documents, 400)
    now = datetime.now(UTC) + timedelta(days=40)
    before, steps = documents.tiers(), planned.planned_steps(documents, now)
    due = {step.name: step.to for step in steps}
    assert due == planned.plain_loop(documents, now)
    assert len(due) == 340
    documents.proxy.forget()
    assert documents.run(documents.work(steps)).blobs(Outcome.DONE) == 340
    assert documents.tiers() == before | due
    assert documents.proxy.requests == ["list", "batch", "batch"]
    assert planned.planned_steps(documents, now) == []


def test_answers_are_matched_by_their_number_and_not_by_their_order(documents: Documents) -> None:
    documents.fill(numbered(40))
    documents.proxy.shuffled = True
    documents.proxy.faults.append(Fault(name="00007", status=409, code="SomeConflict"))
    progress = documents.run(documents.work(documents.steps("Cool")))
    assert [one.name for one in progress.examples] == ["2026/00007.pdf"]
    assert documents.tiers() == expected(dict.fromkeys(numbered(40), "Cool"), ["2026/00007.pdf"], "Hot")


def test_each_refusal_within_a_batch_is_retried_or_reported(documents: Documents) -> None:
    documents.fill(numbered(300))
    documents.proxy.faults += [
        Fault(name="00010", status=429, code="TooManyRequests", retry_after=3),
        Fault(name="00011", status=503, code="ServerBusy", times=3),
        Fault(name="00012", status=500, code="InternalError"),
        Fault(name="00013", status=412, code="LeaseIdMissing"),
        Fault(name="00014", status=412, code="ConditionNotMet"),
        Fault(name="00015", status=409, code="BlobArchived"),
        Fault(name="00016", status=404, code="BlobNotFound"),
        Fault(name="00017", status=403, code="AuthorizationPermissionMismatch"),
        Fault(name="00018", status=503, code="ServerBusy", times=100),
    ]
    work = documents.work(documents.steps("Cool"))
    progress = documents.run(work)
    left = {one.name[5:10]: (one.outcome, one.code) for one in checkpoint.read_left(documents.state, work)}
    assert left == {
        "00013": (Outcome.HELD, "LeaseIdMissing"),
        "00014": (Outcome.CHANGED, "ConditionNotMet"),
        "00015": (Outcome.HELD, "BlobArchived"),
        "00016": (Outcome.GONE, "BlobNotFound"),
        "00017": (Outcome.REFUSED, "AuthorizationPermissionMismatch"),
        "00018": (Outcome.UNANSWERED, "ServerBusy"),
    }
    not_moved = {name for name, tier in documents.tiers().items() if tier == "Hot"}
    assert not_moved == {f"2026/{number}.pdf" for number in left}
    assert progress.blobs() == 300
    assert progress.blobs(Outcome.DONE) == 294
    assert max(documents.proxy.moved().values()) == 1
    assert any(2.5 < seconds <= 3 for seconds in documents.slept), "Retry-After is kept"
    assert progress.busy["ServerBusy"] == 3 + 8


def test_a_blob_that_changed_since_it_was_planned_is_left_alone(documents: Documents) -> None:
    documents.fill(numbered(6))
    steps = documents.steps("Cool")
    documents.fill(["2026/00001.pdf"], data=b"changed")
    documents.owner.delete_blob("2026/00002.pdf")
    documents.owner.get_blob_client("2026/00003.pdf").set_standard_blob_tier(StandardBlobTier.COLD)
    documents.owner.get_blob_client("2026/00004.pdf").acquire_lease()
    documents.owner.get_blob_client("2026/00005.pdf").set_standard_blob_tier(StandardBlobTier.COOL)
    progress = documents.run(documents.work(steps))
    assert {outcome: tally.blobs for outcome, tally in progress.tallies.items()} == {
        Outcome.DONE: 1,
        Outcome.CHANGED: 2,
        Outcome.GONE: 1,
        Outcome.HELD: 1,
        Outcome.ALREADY: 1,
    }
    assert documents.proxy.moved() == {"2026/00000.pdf": 1}


def test_what_is_gone_is_seen_without_a_look_at_each(documents: Documents) -> None:
    documents.fill(numbered(30))
    steps = documents.steps("Cool")
    gone = [f"2026/{number:05}.pdf" for number in (*range(5, 12), *range(20, 30))]
    documents.owner.delete_blobs(*gone)
    progress = documents.run(documents.work(steps))
    assert progress.blobs(Outcome.GONE) == 17
    assert progress.blobs(Outcome.DONE) == 13
    assert progress.looks == documents.proxy.count("list") == 2


def test_a_deletion_is_of_what_was_planned_or_of_nothing(documents: Documents) -> None:
    documents.fill(numbered(5))
    steps = documents.steps("")
    documents.fill(["2026/00001.pdf"], data=b"changed")
    documents.owner.delete_blob("2026/00002.pdf")
    progress = documents.run(documents.work(steps))
    assert sorted(documents.tiers()) == ["2026/00001.pdf"]
    assert progress.blobs(Outcome.DONE) == 3
    assert progress.blobs(Outcome.CHANGED) == progress.blobs(Outcome.GONE) == 1


def test_a_blob_that_changes_between_the_look_and_the_deletion_is_left_alone(documents: Documents) -> None:
    documents.fill(numbered(5))
    documents.proxy.before_batch = lambda _number: documents.fill(["2026/00001.pdf"], data=b"changed")
    progress = documents.run(documents.work(documents.steps("")))
    assert sorted(documents.tiers()) == ["2026/00001.pdf"]
    assert [(one.outcome, one.code) for one in progress.examples] == [(Outcome.CHANGED, "ConditionNotMet")]


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_lost_answer_moves_nothing_twice(documents: Documents, drop: str) -> None:
    documents.fill(numbered(300))
    documents.proxy.faults.append(Fault(drop=drop))
    progress = documents.run(documents.work(documents.steps("Cool")), at_once=1)
    assert set(documents.tiers().values()) == {"Cool"}
    assert set(documents.proxy.moved().values()) == {1}
    assert progress.blobs(Outcome.DONE, Outcome.ALREADY) == 300
    assert progress.blobs(Outcome.ALREADY) == (256 if drop == "after" else 0)


def test_a_busy_service_is_waited_for_by_all_senders(documents: Documents) -> None:
    documents.fill(numbered(300))
    documents.proxy.faults.append(Fault(status=503, code="ServerBusy", retry_after=7, times=2))
    progress = documents.run(documents.work(documents.steps("Cool")))
    assert progress.blobs(Outcome.DONE) == 300
    assert max(documents.slept) > 6.5


def test_a_service_that_forbids_everything_ends_the_run_at_once(documents: Documents) -> None:
    documents.fill(numbered(300))
    documents.proxy.faults.append(Fault(status=403, code="AuthorizationPermissionMismatch", times=100))
    with pytest.raises(RefusedAltogetherError, match="403 AuthorizationPermissionMismatch"):
        documents.run(documents.work(documents.steps("Cool")), at_once=1)
    assert documents.proxy.count("batch") == 1


ODD = [
    *("space in it.pdf", "ü&=#?.pdf", "per%20cent", "plus+", "dot.", "日本/語..", "emoji😀", "quote'\"<>&amp;.xml"),
    *("tab\tx", "a//b", "/lead", "trail/", "~tilde", "a:b,c;d", "-- batch_", "İ.pdf"),
    *("n" * 1024, "ü" * 1024, "語" * 1024),
]  # fmt: skip


def test_odd_names_are_reached_as_they_are(documents: Documents) -> None:
    documents.fill(ODD)
    assert sorted(documents.tiers()) == sorted(ODD)
    progress = documents.run(documents.work(documents.steps("Cool")))
    assert progress.blobs(Outcome.DONE) == len(ODD)
    assert set(documents.tiers().values()) == {"Cool"}
    gone = documents.run(documents.work(documents.steps(""), "deletions"))
    assert gone.blobs(Outcome.DONE) == len(ODD)
    assert documents.tiers() == {}


def test_many_of_the_longest_names_are_split_by_bytes(documents: Documents) -> None:
    names = [f"{number:03}" + "語" * 1021 for number in range(300)]
    documents.fill(names)
    progress = documents.run(documents.work(documents.steps("Cool")))
    assert progress.blobs(Outcome.DONE) == 300
    assert progress.batches == 2


def test_a_name_that_a_path_may_shorten_is_not_sent(documents: Documents) -> None:
    documents.fill(["a.pdf", "b"])
    steps = documents.steps("Cool")
    bent = [type(steps[0])("x/../a.pdf", *[getattr(steps[0], f) for f in list(steps[0].__slots__)[1:]])]
    progress = documents.run(documents.work(bent))
    assert [(one.outcome, one.code) for one in progress.examples] == [(Outcome.REFUSED, "NotAddressable")]
    assert documents.proxy.requests == []


def test_sparse_moves_skip_what_lies_between_them(documents: Documents) -> None:
    documents.fill(numbered(300))
    chosen = ["2026/00000.pdf", "2026/00299.pdf"]
    documents.run(documents.work(documents.steps("Cool", chosen.__contains__)))
    assert documents.proxy.count("list") == 1


def test_a_stopped_run_says_so_and_goes_on_later(documents: Documents) -> None:
    documents.fill(numbered(600))
    before = documents.tiers()
    work = documents.work(documents.steps("Cool"), part_steps=256)
    said = iter(["", "", "the stop switch is pulled"])
    progress = documents.run(work, at_once=1, stopped=lambda: next(said, "the stop switch is pulled"))
    assert (progress.done, progress.stopped) == (False, "the stop switch is pulled")
    assert documents.tiers() == expected(before, numbered(512), "Cool")
    progress = documents.run(work)
    assert progress.done
    assert set(documents.proxy.moved().values()) == {1}
    assert progress.blobs(Outcome.DONE) == 600


def test_a_list_that_was_tampered_with_is_not_carried_out(documents: Documents) -> None:
    documents.fill(numbered(3))
    work = documents.work(documents.steps("Cool"))
    part = documents.state.read(work.parts[0].name)
    documents.state.replace(part_name := work.parts[0].name, part.data[:-9], part.etag)
    with pytest.raises(WorkListDamagedError, match=part_name):
        documents.run(work)
    assert documents.proxy.requests == []


def test_while_one_delivery_works_another_one_changes_nothing(documents: Documents) -> None:
    documents.fill(numbered(300))
    work = documents.work(documents.steps("Cool"))
    second: list[str] = []

    def meanwhile(number: int) -> None:
        if number == 1:
            with pytest.raises(AssertionError, match="claimed until"):
                documents.run(work, holder="another")
            second.append("refused")

    documents.proxy.before_batch = meanwhile
    documents.run(work, at_once=1)
    assert second == ["refused"]
    assert set(documents.proxy.moved().values()) == {1}
