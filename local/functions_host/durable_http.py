"""The Durable extension's HTTP API: /runtime/webhooks/durabletask/..."""

import json
import uuid
from typing import Any
from urllib.parse import quote, unquote

import durabletask.internal.orchestrator_service_pb2 as pb
import grpc
from durabletask.internal import helpers

from local.functions_host.durable_backend import LOCAL, BackendError, DurableBackend
from local.functions_host.web import Request, Response

_STATUS_NAMES = {
    pb.ORCHESTRATION_STATUS_PENDING: "Pending",
    pb.ORCHESTRATION_STATUS_RUNNING: "Running",
    pb.ORCHESTRATION_STATUS_SUSPENDED: "Suspended",
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
}
_OVER = ("Completed", "Failed", "Terminated", "Canceled")


class DurableHttpApi:
    """Status, events and management of orchestration instances; the caller has checked the key."""

    def __init__(self, backend: DurableBackend, base_url: str, query: str) -> None:
        self._backend = backend
        self._base_url = base_url
        self._query = query

    async def handle(self, request: Request, path: str) -> Response:
        """Answer a request; `path` is what follows /runtime/webhooks/durabletask/."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match request.method, [parts[0].lower(), *parts[1:]]:
            case "GET", ["instances"]:
                return self._list(request)
            case "POST", ["orchestrators", name]:
                return self._start(request, name, uuid.uuid4().hex)
            case "POST", ["orchestrators", name, instance]:
                return self._start(request, name, instance)
            case "GET", ["instances", instance]:
                return self._status(request, instance)
            case "DELETE", ["instances", instance]:
                purged = self._backend.PurgeInstances(pb.PurgeInstancesRequest(instanceId=instance), LOCAL)
                count = purged.deletedInstanceCount
                return _json(200, {"instancesDeleted": count}) if count else Response(404)
            case "POST", ["instances", instance, operation, *rest]:
                return self._manage(request, instance, operation.lower(), rest)
            case _:
                return Response(404)

    def _state(self, instance: str, payloads: bool = False) -> pb.OrchestrationState | None:
        request = pb.GetInstanceRequest(instanceId=instance, getInputsAndOutputs=payloads)
        response = self._backend.GetInstance(request, LOCAL)
        return response.orchestrationState if response.exists else None

    def _list(self, request: Request) -> Response:
        wanted = [name.strip().lower() for name in request.query.get("runtimeStatus", "").split(",") if name.strip()]
        statuses = [status for status, name in _STATUS_NAMES.items() if name.lower() in wanted]
        query = pb.InstanceQuery(runtimeStatus=statuses, fetchInputsAndOutputs=True)
        if prefix := request.query.get("instanceIdPrefix"):
            query.instanceIdPrefix.value = prefix
        found = self._backend.QueryInstances(pb.QueryInstancesRequest(query=query), LOCAL)
        return _json(200, [_describe(state, show_input=True) for state in found.orchestrationState])

    def _start(self, request: Request, name: str, instance: str) -> Response:
        text = request.body.decode("utf-8", "replace").strip()
        if text and not _is_json(text):
            return Response(400, b"The body must be JSON.")
        create = pb.CreateInstanceRequest(name=name, instanceId=instance, input=helpers.get_string_value(text or None))
        try:
            self._backend.StartInstance(create, LOCAL)
        except BackendError as error:
            return Response(409, str(error).encode())
        return _json(202, self._links(instance), location=self._url(instance))

    def _status(self, request: Request, instance: str) -> Response:
        state = self._state(instance, payloads=True)
        if state is None:
            return Response(404)
        show_input = request.query.get("showInput", "true").lower() != "false"
        body = _describe(state, show_input=show_input)
        if body["runtimeStatus"] not in _OVER:
            return _json(202, body, location=self._url(instance))
        fails = request.query.get("returnInternalServerErrorOnFailure", "false").lower() == "true"
        return _json(500 if fails and body["runtimeStatus"] == "Failed" else 200, body)

    def _manage(self, request: Request, instance: str, operation: str, rest: list[str]) -> Response:
        state = self._state(instance)
        if state is None:
            return Response(404)
        over = _STATUS_NAMES[state.orchestrationStatus] in _OVER
        reason = helpers.get_string_value(request.query.get("reason"))
        try:
            match operation, rest:
                case "raiseevent", [name]:
                    text = request.body.decode("utf-8", "replace").strip()
                    if text and not _is_json(text):
                        return Response(400, b"The body must be JSON.")
                    event = pb.RaiseEventRequest(
                        instanceId=instance, name=name, input=helpers.get_string_value(text or None)
                    )
                    return Response(410) if over else _done(self._backend.RaiseEvent(event, LOCAL))
                case "terminate", []:
                    output = helpers.get_string_value(json.dumps(request.query.get("reason")))
                    terminate = pb.TerminateRequest(instanceId=instance, output=output)
                    return Response(410) if over else _done(self._backend.TerminateInstance(terminate, LOCAL))
                case "suspend", []:
                    suspend = pb.SuspendRequest(instanceId=instance, reason=reason)
                    return Response(410) if over else _done(self._backend.SuspendInstance(suspend, LOCAL))
                case "resume", []:
                    resume = pb.ResumeRequest(instanceId=instance, reason=reason)
                    return Response(410) if over else _done(self._backend.ResumeInstance(resume, LOCAL))
                case "rewind", []:
                    rewind = pb.RewindInstanceRequest(instanceId=instance, reason=reason)
                    return _done(self._backend.RewindInstance(rewind, LOCAL))
                case "restart", []:
                    new_id = request.query.get("restartWithNewInstanceId", "true").lower() != "false"
                    restart = pb.RestartInstanceRequest(instanceId=instance, restartWithNewInstanceId=new_id)
                    started = self._backend.RestartInstance(restart, LOCAL).instanceId
                    return _json(202, self._links(started), location=self._url(started))
                case _:
                    return Response(404)
        except BackendError as error:
            return Response(410 if error.code == grpc.StatusCode.FAILED_PRECONDITION else 404)

    def _url(self, instance: str, rest: str = "", query: str = "") -> str:
        return f"{self._base_url}/instances/{quote(instance, safe='')}{rest}?{query}{self._query}"

    def _links(self, instance: str) -> dict[str, str]:
        return {
            "id": instance,
            "statusQueryGetUri": self._url(instance),
            "sendEventPostUri": self._url(instance, "/raiseEvent/{eventName}"),
            "terminatePostUri": self._url(instance, "/terminate", "reason={text}&"),
            "suspendPostUri": self._url(instance, "/suspend", "reason={text}&"),
            "resumePostUri": self._url(instance, "/resume", "reason={text}&"),
            "rewindPostUri": self._url(instance, "/rewind", "reason={text}&"),
            "purgeHistoryDeleteUri": self._url(instance),
            "restartPostUri": self._url(instance, "/restart"),
        }


def _describe(state: pb.OrchestrationState, *, show_input: bool) -> dict[str, Any]:
    output = _payload(state.output.value)
    if state.orchestrationStatus == pb.ORCHESTRATION_STATUS_FAILED and state.HasField("failureDetails"):
        output = f"Orchestrator function '{state.name}' failed: {state.failureDetails.errorMessage}"
    return {
        "name": state.name,
        "instanceId": state.instanceId,
        "runtimeStatus": _STATUS_NAMES[state.orchestrationStatus],
        "input": _payload(state.input.value) if show_input else None,
        "customStatus": _payload(state.customStatus.value),
        "output": output,
        "createdTime": _time(state.createdTimestamp),
        "lastUpdatedTime": _time(state.lastUpdatedTimestamp),
    }


def _time(timestamp: Any) -> str:
    return timestamp.ToDatetime().strftime("%Y-%m-%dT%H:%M:%SZ")


def _payload(text: str) -> Any:
    if not text:
        return None
    return json.loads(text) if _is_json(text) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _done(_response: object) -> Response:
    return Response(202)


def _json(status: int, value: Any, *, location: str | None = None) -> Response:
    headers = [("content-type", "application/json; charset=utf-8")]
    if location is not None:
        headers += [("location", location), ("retry-after", "10")]
    return Response(status, json.dumps(value).encode(), tuple(headers))
