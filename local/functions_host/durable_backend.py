"""`durabletask`'s in-memory backend, made to behave as Azure's does where an app would notice the difference.

It is a test backend, so it takes shortcuts. Each override below says which one it undoes. State lives in the host
process: it survives the worker, not the host.
"""

from collections.abc import Callable, Iterator
from concurrent import futures
from datetime import UTC, datetime
from typing import Any, NoReturn, override

import durabletask.internal.orchestrator_service_pb2 as pb
import durabletask.internal.orchestrator_service_pb2_grpc as stubs
import grpc
from durabletask.internal import helpers
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend, OrchestrationInstance

from local.functions_host.clock import Alarms, Clock

_TERMINAL = (
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
    pb.ORCHESTRATION_STATUS_CANCELED,
)
_ANY_MESSAGE_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_CLIENT_THREADS = 64  # a client that waits for an orchestration holds one


class BackendError(Exception):
    """A request that the backend refuses; `code` says why."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


class _LocalCall:
    """Stands for the gRPC context when the host calls the backend directly."""

    def is_active(self) -> bool:
        return True

    def time_remaining(self) -> float | None:
        return None

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise BackendError(code, details)


LOCAL: Any = _LocalCall()


class DurableBackend(InMemoryOrchestrationBackend):
    """Serves the app's durable clients on a free loopback port, and the host by direct calls with `LOCAL`."""

    def __init__(self, clock: Clock, alarms: Alarms, replace_any_instance: bool) -> None:
        super().__init__(max_history_size=100_000, port=0)
        self._clock = clock
        self._alarms = alarms
        replaceable = [*_TERMINAL]
        if replace_any_instance:
            replaceable += [
                pb.ORCHESTRATION_STATUS_PENDING,
                pb.ORCHESTRATION_STATUS_RUNNING,
                pb.ORCHESTRATION_STATUS_SUSPENDED,
            ]
        self._replaceable = replaceable
        self._parents: dict[str, tuple[str, int]] = {}
        self._first_tokens: dict[str, int] = {}

    @override
    def start(self) -> str:
        """Listen on loopback only (the original listens on every interface) and for many waiting clients."""
        self._shutdown_event.clear()
        self._server = grpc.server(futures.ThreadPoolExecutor(_CLIENT_THREADS), options=_ANY_MESSAGE_SIZE)
        stubs.add_TaskHubSidecarServiceServicer_to_server(self, self._server)
        self._port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return f"127.0.0.1:{self._port}"

    # Starting instances

    @override
    def StartInstance(
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        """Replace a finished instance of the same id, unless the client says otherwise; honour a start time.

        The extension's option `overridableExistingInstanceStates` says NonRunningStates by default; the original
        refuses every id that was ever used, and starts scheduled instances at once.
        """
        if not request.orchestrationIdReusePolicy.replaceableStatus:
            request.orchestrationIdReusePolicy.replaceableStatus.extend(self._replaceable)
        with self._lock:
            response = super().StartInstance(request, context)
            instance = self._instances[response.instanceId]
            self._first_tokens[response.instanceId] = instance.completion_token
            start = request.scheduledStartTimestamp.ToDatetime(tzinfo=UTC)
            if request.HasField("scheduledStartTimestamp") and start > self._clock.now():
                self._orchestration_queue.remove(response.instanceId)
                self._orchestration_queue_set.discard(response.instanceId)
                self._alarms.at(start, lambda: self._enqueue_when_due(instance))
        return response

    def _enqueue_when_due(self, instance: OrchestrationInstance) -> None:
        with self._lock:
            if self._instances.get(instance.instance_id) is instance:
                self._enqueue_orchestration(instance.instance_id)

    @override
    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        super()._create_instance_internal(instance_id, name, encoded_input, version)
        self._first_tokens[instance_id] = self._instances[instance_id].completion_token

    # Handing out and completing work

    @override
    def GetWorkItems(self, request: pb.GetWorkItemsRequest, context: grpc.ServicerContext) -> Iterator[pb.WorkItem]:
        """Stamp each orchestrator run with the host's clock (the original takes the machine's)."""
        for item in super().GetWorkItems(request, context):
            if item.HasField("orchestratorRequest"):
                now = self._clock.now()
                with self._lock:
                    instance = self._instances.get(item.orchestratorRequest.instanceId)
                    dispatched = instance.dispatched_events if instance else []
                    for event in [*dispatched, *item.orchestratorRequest.newEvents]:
                        if event.HasField("orchestratorStarted"):
                            event.timestamp.FromDatetime(now)
            yield item

    @override
    def _enqueue_orchestration(self, instance_id: str) -> None:
        """Queue only what can run: an instance in flight is queued again when it completes, a finished one never.

        The original queues an instance that is in flight, which holds up those behind it, and runs a finished one
        again when a late result arrives, which ends it a second time.
        """
        instance = self._instances.get(instance_id)
        if instance is None or instance_id in self._orchestration_in_flight:
            return
        if instance.status in _TERMINAL:
            instance.pending_events.clear()
            return
        super()._enqueue_orchestration(instance_id)
        self._work_available.set()

    @override
    def CompleteOrchestratorTask(
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._lock:
            response = super().CompleteOrchestratorTask(request, context)
            instance = self._instances.get(request.instanceId)
            if instance is not None:
                if instance.status == pb.ORCHESTRATION_STATUS_PENDING and not instance.history:  # continued as new
                    self._first_tokens[request.instanceId] = instance.completion_token
                if instance.pending_events:  # also while suspended: a resume or terminate may be among them
                    self._enqueue_orchestration(request.instanceId)
        return response

    @override
    def CompleteActivityTask(
        self, request: pb.ActivityResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Drop results for an execution that is over: finished, continued as new, or replaced.

        The original delivers them to the next execution, whose task numbers start from 1 again.
        """
        with self._lock:
            instance = self._instances.get(request.instanceId)
            if instance is None or instance.status in _TERMINAL:
                return pb.CompleteTaskResponse()
            if int(request.completionToken) < self._first_tokens.get(request.instanceId, 0):
                return pb.CompleteTaskResponse()
            return super().CompleteActivityTask(request, context)

    # Timers

    @override
    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        """Wait by the host's clock, without a thread for every timer, and fire only for the same execution."""
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        if instance.status == pb.ORCHESTRATION_STATUS_PENDING:
            instance.status = pb.ORCHESTRATION_STATUS_RUNNING
        execution = self._first_tokens.get(instance.instance_id)

        def fire() -> None:
            with self._lock:
                same = self._instances.get(instance.instance_id) is instance
                if same and self._first_tokens.get(instance.instance_id) == execution:
                    self._deliver(instance.instance_id, helpers.new_timer_fired_event(action.id, fire_at))

        self._alarms.at(fire_at, fire)

    @override
    def _schedule_delayed_entity_operation(self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime) -> None:
        def fire() -> None:
            with self._lock:
                self._queue_entity_operation(entity_id, event)

        self._alarms.at(fire_at, fire)

    def _deliver(self, instance_id: str, event: pb.HistoryEvent) -> None:
        instance = self._instances.get(instance_id)
        if instance is not None and instance.status not in _TERMINAL:
            instance.pending_events.append(event)
            instance.last_updated_at = datetime.now(UTC)
            self._enqueue_orchestration(instance_id)

    # Sub-orchestrations

    @override
    def _process_create_sub_orchestration_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        """Tell the child who its parent is, as Azure does."""
        super()._process_create_sub_orchestration_action(instance, action)
        child = self._instances.get(action.createSubOrchestration.instanceId)
        if child is None or self._parents.get(child.instance_id) != (instance.instance_id, action.id):
            return
        for event in child.pending_events:
            if event.HasField("executionStarted"):
                event.executionStarted.parentInstance.CopyFrom(
                    pb.ParentInstanceInfo(
                        taskScheduledId=action.id,
                        name=helpers.get_string_value(instance.name),
                        orchestrationInstance=pb.OrchestrationInstance(instanceId=instance.instance_id),
                    )
                )

    @override
    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        """Remember the parent; the original waits in a thread of its own, and gives up after 30 seconds."""
        self._parents[sub_instance_id] = (parent_instance_id, task_id)

    @override
    def _notify_waiters(self, instance_id: str) -> None:
        """Also tell the parent when a child ends (called after every orchestrator run)."""
        super()._notify_waiters(instance_id)
        child = self._instances.get(instance_id)
        if child is None or child.status not in _TERMINAL or instance_id not in self._parents:
            return
        parent_id, task_id = self._parents.pop(instance_id)
        if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
            event = helpers.new_sub_orchestration_completed_event(task_id, child.output)
        else:
            event = helpers.new_sub_orchestration_failed_event(task_id, Exception("Sub-orchestration failed"))
            if child.failure_details is not None:
                event.subOrchestrationInstanceFailed.failureDetails.CopyFrom(child.failure_details)
            elif child.status == pb.ORCHESTRATION_STATUS_TERMINATED:
                event.subOrchestrationInstanceFailed.failureDetails.errorMessage = (
                    "The sub-orchestration was terminated."
                )
        self._deliver(parent_id, event)


def pump(backend: DurableBackend, accept: Callable[[pb.WorkItem], None]) -> None:
    """Hand every work item to `accept` until the backend stops (blocks; run it in a thread)."""
    for item in backend.GetWorkItems(pb.GetWorkItemsRequest(), LOCAL):
        accept(item)
