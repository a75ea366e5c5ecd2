"""Runs Durable work items in the worker: at least once each, with the list of what was handed out kept here.

The backend forgets an item that was handed out, so this module delivers it again whenever the worker ended first.
"""

import asyncio
import base64
import json
import threading
from dataclasses import dataclass
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.internal import helpers

from local.functions_host.config import HostJson
from local.functions_host.durable_backend import LOCAL, BackendError, DurableBackend, pump
from local.functions_host.faults import FaultPlan, Kind
from local.functions_host.functions import Function
from local.functions_host.logs import HostLog
from local.functions_host.worker_process import Invocation, Worker, WorkerExitedError

_TRIGGERS: dict[str, tuple[Kind, str]] = {
    "orchestrationTrigger": ("orchestrator", "orchestration"),
    "activityTrigger": ("activity", "activity"),
    "entityTrigger": ("entity", "entityName"),
}


@dataclass
class _WorkItem:
    kind: Kind
    name: str
    instance: str
    item: pb.WorkItem
    number: int | None
    completed: bool = False


class _KilledError(WorkerExitedError):
    """A fault switch ended the worker."""


class DurableEngine:
    """Delivers the backend's work items to the functions that they name."""

    def __init__(
        self,
        backend: DurableBackend,
        worker: Worker,
        functions: list[Function],
        limits: HostJson,
        faults: FaultPlan,
        log: HostLog,
    ) -> None:
        self._backend = backend
        self._worker = worker
        self._faults = faults
        self._log = log
        self._functions: dict[tuple[Kind, str], Function] = {}
        for function in functions:
            if function.kind in _TRIGGERS and function.runs:
                kind, property_name = _TRIGGERS[function.kind]
                name = str(function.trigger.get(property_name) or function.name)
                self._functions[kind, name.lower()] = function
        self._slots: dict[Kind, asyncio.Semaphore] = {
            "activity": asyncio.Semaphore(limits.max_activities),
            "orchestrator": asyncio.Semaphore(limits.max_orchestrators),
            "entity": asyncio.Semaphore(limits.max_entities),
        }
        self._tasks: set[asyncio.Task[None]] = set()
        self.numbered = 0

    @property
    def idle(self) -> bool:
        return not self._tasks

    def start(self) -> None:
        loop = asyncio.get_running_loop()

        def accept(item: pb.WorkItem) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._accept, item)

        threading.Thread(target=pump, args=(self._backend, accept), name="durable-pump", daemon=True).start()

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _accept(self, item: pb.WorkItem) -> None:
        work = self._describe(item)
        task = asyncio.get_running_loop().create_task(self._process(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _describe(self, item: pb.WorkItem) -> _WorkItem:
        kind: Kind
        match item.WhichOneof("request"):
            case "orchestratorRequest":
                request = item.orchestratorRequest
                events = [*request.pastEvents, *request.newEvents]
                started = [event.executionStarted for event in events if event.HasField("executionStarted")]
                kind, name, instance = "orchestrator", started[-1].name if started else "", request.instanceId
            case "activityRequest":
                activity = item.activityRequest
                kind, name, instance = "activity", activity.name, activity.orchestrationInstance.instanceId
            case _:
                instance = item.entityRequestV2.instanceId
                kind, name = "entity", instance.split("@")[1]
        number = None
        if kind in self._faults.faults.kinds:
            self.numbered += 1
            number = self.numbered
        return _WorkItem(kind, name, instance, item, number)

    async def _process(self, work: _WorkItem) -> None:
        if delay := self._faults.shuffle_delay():
            await asyncio.sleep(delay)
        twice = self._faults.faults.deliver_twice if work.kind == "activity" else ""
        if twice == "together":
            await asyncio.gather(self._deliver(work), self._deliver(work))
        elif twice == "in_turn":
            await self._execute(work)
            await self._deliver(work)
        else:
            await self._deliver(work)
        if twice == "late":
            await asyncio.sleep(self._faults.faults.late_seconds)
            await self._execute(work)

    async def _deliver(self, work: _WorkItem) -> None:
        """Run the item until it is completed."""
        while not work.completed:
            result = await self._execute(work)
            if self._faults.strikes("drop", work.number):
                self._log.write("Warning", "Host.Durable", f"Dropped the completion of {work.kind} '{work.name}'.")
                await asyncio.sleep(self._faults.faults.redeliver_seconds)
                continue
            if self._faults.strikes("delay", work.number):
                await asyncio.sleep(self._faults.faults.delay_seconds)
            if not work.completed:
                work.completed = True
                self._complete(work, result)

    async def _execute(self, work: _WorkItem) -> Invocation | None:
        """Run the function once, to its end. None: there is no such function."""
        function = self._functions.get((work.kind, work.name.lower()))
        if function is None:
            return None
        while True:
            async with self._slots[work.kind]:
                try:
                    if self._faults.strikes("kill_before", work.number):
                        self._worker.kill()
                        raise _KilledError("Killed before the work item.")
                    result = await self._worker.invoke(function, [_input(work, function)])
                    if self._faults.strikes("kill_after", work.number):
                        self._worker.kill()
                        raise _KilledError("Killed after the work item.")
                    return result
                except WorkerExitedError as error:
                    what = f"{work.kind} '{work.name}' of '{work.instance}'"
                    self._log.write("Warning", "Host.Durable", f"{error} Delivering {what} again.")

    # Completions

    def _complete(self, work: _WorkItem, result: Invocation | None) -> None:
        try:
            if work.kind == "orchestrator":
                self._backend.CompleteOrchestratorTask(_orchestrator_response(work, result), LOCAL)
            elif work.kind == "activity":
                self._backend.CompleteActivityTask(_activity_response(work, result), LOCAL)
            else:
                self._backend.CompleteEntityTask(_entity_result(work, result), LOCAL)
        except BackendError as error:
            self._log.write("Error", "Host.Durable", f"{work.kind} '{work.name}' of '{work.instance}': {error}")


def _input(work: _WorkItem, function: Function) -> dict[str, Any]:
    """The trigger's value: orchestrators and entities take base64 protobuf, activities JSON."""
    name = function.trigger["name"]
    if work.kind == "activity":
        request = work.item.activityRequest
        return {"name": name, "type": "json", "value": request.input.value if request.HasField("input") else "null"}
    if work.kind == "orchestrator":
        message = work.item.orchestratorRequest.SerializeToString()
    else:
        message = helpers.convert_to_entity_batch_request(work.item.entityRequestV2)[0].SerializeToString()
    return {"name": name, "type": "string", "value": base64.b64encode(message).decode()}


def _returned_message(result: Invocation) -> bytes:
    """The protobuf message that an orchestrator or entity returned."""
    assert result.value is not None
    value = result.value["value"]
    return base64.b64decode(json.loads(value) if result.value["type"] == "json" else value)


def _orchestrator_response(work: _WorkItem, result: Invocation | None) -> pb.OrchestratorResponse:
    response = pb.OrchestratorResponse(instanceId=work.instance)
    if result is not None and result.succeeded:
        response.ParseFromString(_returned_message(result))
    else:
        action = helpers.new_complete_orchestration_action(
            -1, pb.ORCHESTRATION_STATUS_FAILED, None, _failure_details(work, result)
        )
        response.actions.append(action)
    response.completionToken = work.item.completionToken
    return response


def _activity_response(work: _WorkItem, result: Invocation | None) -> pb.ActivityResponse:
    response = pb.ActivityResponse(
        instanceId=work.instance,
        taskId=work.item.activityRequest.taskId,
        completionToken=work.item.completionToken,
    )
    if result is None or not result.succeeded:
        response.failureDetails.CopyFrom(_failure_details(work, result))
    elif result.value is not None:
        is_json = result.value["type"] == "json"
        response.result.value = result.value["value"] if is_json else json.dumps(result.value["value"])
    return response


def _entity_result(work: _WorkItem, result: Invocation | None) -> pb.EntityBatchResult:
    request = work.item.entityRequestV2
    infos = helpers.convert_to_entity_batch_request(request)[1]
    batch = pb.EntityBatchResult(entityState=request.entityState if request.HasField("entityState") else None)
    if result is not None and result.succeeded:
        batch.ParseFromString(_returned_message(result))
    else:
        failure = pb.OperationResultFailure(failureDetails=_failure_details(work, result))
        batch.results.extend(pb.OperationResult(failure=failure) for _ in infos)
    batch.completionToken = work.item.completionToken
    del batch.operationInfos[:]
    batch.operationInfos.extend(infos)
    return batch


def _failure_details(work: _WorkItem, result: Invocation | None) -> pb.TaskFailureDetails:
    """What the Durable extension makes of a failed invocation: "Type: message" split, and the first line only."""
    if result is None:
        message = f"The function '{work.name}' doesn't exist, is disabled, or is not an {work.kind} function."
        return pb.TaskFailureDetails(errorType="(unknown)", errorMessage=message)
    text = result.error or ""
    error_type, colon, message = text.partition(": ")
    details = pb.TaskFailureDetails(
        errorType=error_type.rstrip() if colon else "(unknown)",
        errorMessage=message.split("\n")[0].rstrip() if colon else text,
    )
    details.stackTrace.value = result.stack
    # An empty message would be read as a success by the in-memory backend.
    details.errorMessage = details.errorMessage or details.errorType
    return details
