"""Nights of a staging environment, with its plans on the real executor."""

from datetime import timedelta

import pytest

from shared.changes.execution import Execution
from shared.changes.policy import OverrideKind
from shared.changes.ports import Act, Acted, Entry
from shared.estate.policies.shutdown_schedules import Busy
from shared.shutdown_schedules.habits import BusyWith
from shared.shutdown_schedules.wishes import Want, Why
from tests.shutdown_schedules.declared import CRON, NIGHTS, POOL, REPLICAS, SERVER, WEB, WORKER, sleep
from tests.shutdown_schedules.staging import TICK, Staging
from tests.shutdown_schedules.test_hours import keep_awake, utc

ALL = {WEB, WORKER, CRON, POOL, SERVER, *REPLICAS}
FRIDAY_EVENING = utc("2026-11-20T18:00")
NIGHT = utc("2026-11-20T20:00")
ON_REQUEST = "nights: { covers: { environment: staging }, retire_after: 2 }"


def asleep_since_friday() -> Staging:
    staging = Staging(FRIDAY_EVENING)
    staging.pass_to(NIGHT)
    assert staging.asleep() == ALL
    staging.effects.clear()
    staging.entries.clear()
    staging.events.clear()
    return staging


def test_goes_to_sleep_in_order_and_wakes_in_reverse_before_people_come() -> None:
    """The order of probe 4: primary before replicas on the way down, replicas before the primary on the way up."""
    staging = Staging(FRIDAY_EVENING)
    staging.pass_to(NIGHT)
    assert staging.asleep() == ALL
    assert [target for target, _ in staging.done()] == [WORKER, WEB, CRON, POOL, SERVER, *REPLICAS]
    staging.effects.clear()
    staging.pass_to(utc("2026-11-23T06:00"))
    assert staging.asleep() == set(), "awake when people come at 07:00 in Berlin"
    up = [target for target, _ in staging.done()]
    assert sorted(up[:2]) == REPLICAS
    assert up[2:] == [SERVER, POOL, CRON, WEB, WORKER]
    assert staging.state == staging.truth
    assert min(each.at for each in staging.effects) >= utc("2026-11-23T05:30")


def test_a_step_waits_until_the_one_before_is_real() -> None:
    staging = Staging(FRIDAY_EVENING)
    staging.pass_to(NIGHT)
    at = {each.target: each.at for each in staging.effects}
    stopped = timedelta(minutes=3)
    assert at[SERVER] >= at[POOL] + stopped
    assert at[REPLICAS[0]] >= at[SERVER] + stopped


def test_the_declared_order_is_followed_and_what_it_leaves_out_is_left_alone() -> None:
    ordered = NIGHTS + "  order: [web, workers, postgres]\n"
    staging = Staging(FRIDAY_EVENING, sleep(ordered))
    staging.pass_to(NIGHT)
    assert [target for target, _ in staging.done()] == [WEB, WORKER, SERVER, *REPLICAS]


@pytest.mark.parametrize("lost", [timedelta(hours=1), timedelta(hours=6), timedelta(days=2)])
def test_after_lost_ticks_of_any_length_it_converges_where_cloud_custodian_and_kube_green_lose_the_day(
    lost: timedelta,
) -> None:
    """Probe 2, at both edges: the ticks around going to sleep, and those around waking, are lost."""
    staging = Staging(FRIDAY_EVENING)
    evening, morning = utc("2026-11-20T18:55"), utc("2026-11-23T05:25")

    def away(at: object) -> bool:
        return evening <= at < evening + lost or morning <= at < morning + lost

    staging.pass_to(evening + lost, lost=away)
    assert staging.asleep() == set()
    staging.pass_to(evening + lost + timedelta(minutes=30), lost=away)
    assert staging.asleep() == ALL
    staging.pass_to(morning + lost, lost=away)
    assert staging.asleep() == ALL
    staging.pass_to(morning + lost + timedelta(minutes=30), lost=away)
    afterwards = staging.sleep.timeline(staging.sleep.resources[0], (), _memory(staging), staging.now, staging.now)
    assert staging.asleep() == (set() if afterwards.wish(staging.now, "").want is Want.AWAKE else ALL)
    assert staging.state == staging.truth or staging.asleep() == ALL


def test_a_person_who_starts_a_server_and_snoozes_by_name_is_left_alone_until_then_where_the_peers_miss_a_part() -> (
    None
):
    """Probe 3. c7n, kube-green and py-kube-downscaler have no until, no name, or stop it again at once."""
    staging = asleep_since_friday()
    nine, eleven = utc("2026-11-20T21:00"), utc("2026-11-20T23:00")
    staging.pass_to(nine)
    staging.edit(SERVER, power="Ready")
    staging.override(keep_awake("2026-11-20T21:00", "2026-11-20T23:00", target=SERVER, reason="year-end test"))
    staging.pass_to(eleven)
    assert staging.state[SERVER] == {"power": "Ready"}
    assert staging.done(SERVER) == [], "untouched till then"
    assert {each.target for each in staging.effects} == set(REPLICAS), "what it needs is woken, nothing else"
    staging.effects.clear()
    staging.pass_to(eleven + timedelta(minutes=15))
    assert [target for target, _ in staging.done()] == [SERVER, *REPLICAS]
    assert staging.state[SERVER] == {"power": "Stopped"}
    (applied,) = [each for each in staging.entries if each.kind == "applied" and _is_about(staging, each, SERVER)]
    assert applied.time >= eleven


def test_a_server_that_a_person_woke_without_a_word_is_left_alone_for_the_grace_only() -> None:
    staging = asleep_since_friday()
    staging.edit(SERVER, power="Ready")
    staging.pass_to(NIGHT + timedelta(minutes=60))
    assert staging.done() == []
    assert staging.kinds()["woken_by_person"] == 1
    staging.pass_to(NIGHT + timedelta(minutes=90))
    assert staging.done() == [(SERVER, {"power": "Stopped"})]
    assert staging.kinds()["woken_by_person"] == 1


def test_what_was_just_created_is_left_alone_for_the_grace_and_the_rest_sleeps() -> None:
    staging = Staging(FRIDAY_EVENING)
    staging.created[SERVER] = NIGHT - timedelta(minutes=20)
    staging.pass_to(NIGHT + timedelta(minutes=35))
    assert staging.asleep() == ALL - {SERVER, *REPLICAS}
    case = next(each for each in staging.tick().cases if each.resource.target == SERVER)
    assert (case.wish.want, case.wish.why) == (Want.LEAVE, Why.CREATED)
    assert case.wish.sentence == "it was just created; it is left alone until 2026-11-20 20:40 UTC"
    staging.pass_to(NIGHT + timedelta(minutes=70))
    assert staging.asleep() == ALL


def test_pods_that_a_person_woke_keep_their_nodes_and_come_back_as_the_person_left_them() -> None:
    staging = asleep_since_friday()
    staging.edit(POOL, power="Running")
    staging.edit(WEB, replicas=5)
    staging.pass_to(NIGHT + timedelta(minutes=50))
    assert staging.done() == []
    staging.pass_to(NIGHT + timedelta(minutes=90))
    assert staging.done() == [(WEB, {"replicas": 0, "autoscaling": "off"}), (POOL, {"power": "Stopped"})]
    staging.pass_to(utc("2026-11-23T06:00"))
    assert staging.state[WEB]["replicas"] == 5


def test_what_azure_started_after_seven_days_is_stopped_at_the_next_tick_with_one_record_and_no_alarm() -> None:
    """Probe 5. No peer stops it again; here nobody is told either, since nothing is wrong."""
    staging = Staging(utc("2026-11-12T01:50"), sleep(ON_REQUEST))
    staging.pass_to(utc("2026-11-12T03:00"))
    assert staging.asleep() == ALL
    stopped = min(staging.stopped_at[each] for each in (SERVER, *REPLICAS))
    staging.effects.clear()
    staging.entries.clear()
    staging.events.clear()
    staging.pass_to(stopped + timedelta(days=7))
    assert staging.done() == []
    staging.pass_to(stopped + timedelta(days=7, hours=1))
    assert {each.target for each in staging.effects} == {SERVER, *REPLICAS}
    for server in (SERVER, *REPLICAS):
        (again,) = [each for each in staging.effects if each.target == server]
        assert again.at - stopped - timedelta(days=7) <= timedelta(minutes=30)
        mine = [
            each
            for each in staging.entries
            if each.kind == "woken_by_azure" and each.subject.endswith(server.casefold())
        ]
        assert len(mine) == 1
    told = {event.type.rpartition(".")[2] for event in staging.events}
    assert not told & {"woken_by_azure", "woken_by_person", "failed", "plan_failed", "refused"}, told
    assert staging.asleep() == ALL
    staging.entries.clear()
    staging.pass_to(staging.now + timedelta(hours=6))
    assert staging.entries == [], "and then it is quiet"


def test_a_crash_between_saving_the_original_and_scaling_loses_nothing_where_kube_green_loses_the_replicas() -> None:
    """Probe 7. kube-green writes its restore patches after it has put the workload to sleep."""
    staging = Staging(FRIDAY_EVENING, seed=7, crashes=0.7)
    staging.pass_to(utc("2026-11-20T23:00"))
    assert staging.asleep() == ALL
    staging.pass_to(utc("2026-11-23T08:30"))
    assert staging.state == staging.truth
    assert staging.state[WEB] == {"replicas": 3, "autoscaling": "on"}
    assert len(staging.acts) > len(staging.effects), "some acts died before their effect"
    assert len(staging.effects) == 2 * len(ALL), "and none was done twice"


def test_waking_is_given_up_for_nobody_when_sleep_was_still_under_way() -> None:
    """A person needs it back at once: what has not begun to sleep is withdrawn, what has comes back."""
    staging = Staging(FRIDAY_EVENING)
    staging.pass_to(utc("2026-11-20T19:05"))
    assert WEB in staging.asleep()
    assert SERVER not in staging.asleep()
    staging.override(keep_awake("2026-11-20T19:05", "2026-11-20T19:40"))
    staging.tick(requested=True)
    staging.pass_to(utc("2026-11-20T19:40"))
    assert staging.asleep() == set()
    assert staging.state == staging.truth
    staging.effects.clear()
    staging.pass_to(NIGHT + timedelta(minutes=30))
    assert [target for target, _ in staging.done()] == [WORKER, WEB, CRON, POOL, SERVER, *REPLICAS], "in order again"


def test_wakes_on_request_what_a_person_had_stopped_but_never_by_itself() -> None:
    staging = Staging(utc("2026-11-20T12:00"))
    staging.pass_to(utc("2026-11-20T12:10"))
    staging.edit(SERVER, power="Stopped")
    staging.pass_to(utc("2026-11-23T12:00"))
    assert staging.state[SERVER] == {"power": "Stopped"}, "a person's edit wins"
    assert SERVER not in {each.target for each in staging.effects}
    staging.override(keep_awake("2026-11-23T12:00", "2026-11-23T15:00"))
    staging.tick(requested=True)
    staging.work()
    staging.pass_to(utc("2026-11-23T12:30"))
    assert staging.state[SERVER] == {"power": "Ready"}


def test_what_is_running_puts_sleep_off_until_it_ends() -> None:
    staging = Staging(FRIDAY_EVENING)
    staging.busy = [BusyWith(Busy.DUMPS, "1 dumps are read from erp")]
    staging.pass_to(NIGHT)
    assert staging.done() == []
    assert staging.kinds()["sleep_deferred"] == 1
    case = staging.tick().cases[0]
    assert (case.wish.want, case.wish.why) == (Want.LEAVE, Why.BUSY)
    assert case.wish.sentence == "sleep waits until 2026-11-20 23:00 UTC at the latest: 1 dumps are read from erp"
    staging.busy = []
    staging.pass_to(NIGHT + timedelta(minutes=40))
    assert staging.asleep() == ALL


def test_what_is_busy_for_too_long_stays_awake_until_the_next_night_and_that_is_told() -> None:
    staging = Staging(utc("2026-11-18T18:00"))
    staging.busy = [BusyWith(Busy.JOBS, "2 queue jobs run in contoso")]
    staging.pass_to(utc("2026-11-18T23:30"))
    staging.busy = []
    staging.pass_to(utc("2026-11-19T04:00"))
    assert staging.done() == []
    assert staging.kinds()["sleep_given_up"] == 1
    assert [event.type for event in staging.events if "given_up" in event.type] == ["closekeeper.change.sleep_given_up"]
    staging.pass_to(utc("2026-11-19T20:30"))
    assert staging.asleep() == ALL


def test_a_kind_of_work_that_is_not_declared_puts_nothing_off() -> None:
    staging = Staging(FRIDAY_EVENING, sleep(NIGHTS + "  defer: { while_running: [dumps] }\n"))
    staging.busy = [BusyWith(Busy.JOBS, "2 queue jobs run in contoso")]
    staging.pass_to(NIGHT)
    assert staging.asleep() == ALL


def test_warns_once_before_sleep_with_a_link_to_postpone_it_and_again_when_it_was_postponed() -> None:
    staging = Staging(FRIDAY_EVENING)
    staging.pass_to(utc("2026-11-20T18:25"))
    assert staging.kinds()["sleep_warning"] == 0
    staging.pass_to(utc("2026-11-20T18:50"))
    (event,) = [event for event in staging.events if event.type.endswith("sleep_warning")]
    assert event.data["sleeps_at"] == "2026-11-20T19:00:00+00:00"
    assert event.data["postpone"] == "POST /api/environments/staging/postpone"
    staging.override(keep_awake("2026-11-20T18:50", "2026-11-20T21:00"))
    staging.pass_to(utc("2026-11-20T20:25"))
    assert staging.kinds()["sleep_warning"] == 1
    staging.pass_to(utc("2026-11-20T20:55"))
    assert staging.kinds()["sleep_warning"] == 2
    assert staging.asleep() == set()


def test_an_environment_that_nobody_woke_for_weeks_is_proposed_for_retirement_once() -> None:
    staging = Staging(utc("2026-11-02T10:00"), sleep(ON_REQUEST))
    hourly = 12
    for _ in range(24 * 15):
        staging.pass_to(staging.now + TICK)
        staging.now += (hourly - 1) * TICK
    assert staging.kinds()["retirement_proposed"] == 1
    staging.override(keep_awake("2026-11-17T10:00", "2026-11-17T12:00"))
    for _ in range(24 * 15):
        staging.pass_to(staging.now + TICK)
        staging.now += (hourly - 1) * TICK
    assert staging.kinds()["retirement_proposed"] == 2


def test_a_failure_is_a_failed_plan_tried_again_and_what_depends_on_it_waits() -> None:
    staging = Staging(FRIDAY_EVENING)
    staging.answers[POOL] = [Acted(Act.FAILED, detail="409 PodDrainFailure")]
    staging.pass_to(utc("2026-11-20T19:05"))
    results = {run.plan.by_id[key].target: end for run in staging.runs for key, end in run.ended.items()}
    assert results[POOL].result == "failed"
    assert "PodDrainFailure" in results[POOL].detail
    assert results[SERVER].result == "skipped"
    staging.pass_to(NIGHT)
    assert staging.asleep() == ALL, "the next tick tries what is left"


def test_production_is_refused_by_default_and_a_pause_holds_everything() -> None:
    from shared.estate.problems import EstateInvalidError

    with pytest.raises(EstateInvalidError, match="production, which does not sleep"):
        sleep(stage="production")
    staging = Staging(FRIDAY_EVENING)
    staging.override(
        keep_awake("2026-11-20T18:00", "2026-11-21T08:00", kind=OverrideKind.PAUSE, automation="shutdown_schedules")
    )
    staging.pass_to(NIGHT)
    assert staging.done() == []
    assert staging.tick().cases[0].wish.why is Why.PAUSED


def test_repeated_ticks_are_one_plan() -> None:
    staging = Staging(utc("2026-11-20T19:00"))
    first = staging.tick()
    again = staging.tick()
    assert first.changes
    assert not again.changes
    assert len(staging.runs) == 1


def test_a_look_that_began_before_another_one_decides_nothing() -> None:
    """It began in the night, took its time, and saw what the morning's look had woken."""
    staging = asleep_since_friday()
    staging.pass_to(utc("2026-11-23T05:25"))
    slow = staging.now
    staging.pass_to(utc("2026-11-23T06:00"))
    assert staging.asleep() == set()
    morning, staging.now = staging.now, slow
    late = staging.tick()
    assert (late.changes, late.unwanted) == ((), {})
    staging.now = morning
    staging.pass_to(utc("2026-11-23T07:00"))
    assert staging.asleep() == set()
    assert not [each for each in staging.entries if each.kind in ("woken_by_azure", "woken_by_person")]


def _is_about(staging: Staging, entry: Entry, target: str) -> bool:
    known = staging.services.store.get(f"executions/{entry.body['change_id']}", Execution)
    return known is not None and known.change.target == target


def _memory(staging: Staging) -> object:
    from shared.shutdown_schedules import tending

    return tending.remembered(staging.services.store, "staging")
