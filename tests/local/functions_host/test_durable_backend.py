"""The repaired in-memory backend by itself, with the test in the worker's place."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
import pytest
from durabletask.internal import helpers

from local.functions_host.clock import Alarms, ManualClock
from local.functions_host.durable_backend import LOCAL, BackendError, DurableBackend

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Engine:
    """A backend and the stream of its work items."""

    def __init__(self, replace_any_instance: bool = False) -> None:
        self.clock = ManualClock(NOW)
        self.loop = asyncio.new_event_loop()
        self.alarms = Alarms(self.clock, self.loop)
        self.backend = DurableBackend(self.clock, self.alarms, replace_any_instance)
        self.items = self.backend.GetWorkItems(pb.GetWorkItemsRequest(), LOCAL)

    def start(self, instance: str, at: datetime | None = None) -> None:
        request = pb.CreateInstanceRequest(instanceId=instance, name="job")
        if at is not None:
            request.scheduledStartTimestamp.FromDatetime(at)
        self.backend.StartInstance(request, LOCAL)

    def complete(self, item: pb.WorkItem, *actions: pb.OrchestratorAction) -> None:
        request = item.orchestratorRequest
        response = pb.OrchestratorResponse(instanceId=request.instanceId, completionToken=item.completionToken)
        response.actions.extend(actions)
        self.backend.CompleteOrchestratorTask(response, LOCAL)

    def finish(self, item: pb.WorkItem) -> pb.CompleteTaskResponse:
        """Complete an activity with its completion token as the result."""
        activity = item.activityRequest
        response = pb.ActivityResponse(
            instanceId=activity.orchestrationInstance.instanceId,
            taskId=activity.taskId,
            completionToken=item.completionToken,
            result=helpers.get_string_value(item.completionToken),
        )
        return self.backend.CompleteActivityTask(response, LOCAL)

    def let_alarms_ring(self) -> None:
        async def ring() -> None:
            task = asyncio.create_task(self.alarms.run())
            await asyncio.sleep(0.01)
            task.cancel()

        self.loop.run_until_complete(ring())


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.backend.stop()
    engine.loop.close()


def schedule(task_id: int) -> pb.OrchestratorAction:
    return helpers.new_schedule_task_action(task_id, "step", None, None)


def end(status: pb.OrchestrationStatus) -> pb.OrchestratorAction:
    return helpers.new_complete_orchestration_action(9, status, None)


def test_a_result_of_an_execution_that_was_continued_as_new_is_dropped(engine: Engine) -> None:
    engine.start("i")
    engine.complete(next(engine.items), schedule(1), end(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW))
    first, second = next(engine.items), next(engine.items)
    orchestrator, old = (first, second) if first.HasField("orchestratorRequest") else (second, first)
    engine.complete(orchestrator, schedule(1))
    new = next(engine.items)
    assert new.activityRequest.taskId == old.activityRequest.taskId
    engine.finish(old)
    engine.finish(new)
    events = next(engine.items).orchestratorRequest.newEvents
    results = [event.taskCompleted.result.value for event in events if event.HasField("taskCompleted")]
    assert results == [new.completionToken]


def test_a_result_for_a_replaced_instance_is_dropped(engine: Engine) -> None:
    engine.start("i")
    engine.complete(next(engine.items), schedule(1))
    old = next(engine.items)
    engine.backend.TerminateInstance(pb.TerminateRequest(instanceId="i"), LOCAL)
    engine.complete(next(engine.items), end(pb.ORCHESTRATION_STATUS_TERMINATED))
    engine.start("i")
    engine.finish(old)
    events = next(engine.items).orchestratorRequest.newEvents
    assert not [event for event in events if event.HasField("taskCompleted")]


def test_a_timer_of_an_execution_that_was_continued_as_new_does_not_fire(engine: Engine) -> None:
    engine.start("i")
    timer = helpers.new_create_timer_action(1, NOW + timedelta(hours=1))
    engine.complete(next(engine.items), timer, end(pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW))
    engine.complete(next(engine.items), helpers.new_create_timer_action(1, NOW + timedelta(hours=2)))
    engine.clock.advance(timedelta(hours=1))
    engine.let_alarms_ring()
    assert not engine.backend._instances["i"].pending_events
    engine.clock.advance(timedelta(hours=1))
    engine.let_alarms_ring()
    events = next(engine.items).orchestratorRequest.newEvents
    assert [event.timerFired.fireAt.ToDatetime(tzinfo=UTC) for event in events if event.HasField("timerFired")] == [
        NOW + timedelta(hours=2)
    ]
    assert events[0].timestamp.ToDatetime(tzinfo=UTC) == NOW + timedelta(hours=2)


def test_a_scheduled_start(engine: Engine) -> None:
    engine.start("later", at=NOW + timedelta(hours=3))
    engine.start("now")
    assert next(engine.items).orchestratorRequest.instanceId == "now"
    engine.clock.advance(timedelta(hours=3))
    engine.let_alarms_ring()
    assert next(engine.items).orchestratorRequest.instanceId == "later"


def test_an_instance_in_flight_does_not_hold_up_the_others(engine: Engine) -> None:
    engine.start("a")
    item = next(engine.items)
    engine.backend.RaiseEvent(pb.RaiseEventRequest(instanceId="a", name="x"), LOCAL)
    assert "a" not in engine.backend._orchestration_queue
    engine.start("b")
    assert next(engine.items).orchestratorRequest.instanceId == "b"
    engine.complete(item)
    again = next(engine.items).orchestratorRequest
    assert again.instanceId == "a"
    assert [event.eventRaised.name for event in again.newEvents if event.HasField("eventRaised")] == ["x"]


def test_who_may_be_replaced(engine: Engine) -> None:
    engine.start("i")
    with pytest.raises(BackendError) as refused:
        engine.start("i")
    assert refused.value.code == grpc.StatusCode.ALREADY_EXISTS
    engine.complete(next(engine.items), end(pb.ORCHESTRATION_STATUS_COMPLETED))
    engine.start("i")


def test_any_state_may_be_replaced_when_host_json_says_so() -> None:
    engine = Engine(replace_any_instance=True)
    engine.start("i")
    engine.start("i")
    assert next(engine.items).orchestratorRequest.instanceId == "i"
    engine.loop.close()


def test_it_listens_on_loopback_only(engine: Engine) -> None:
    assert engine.backend.start().startswith("127.0.0.1:")
