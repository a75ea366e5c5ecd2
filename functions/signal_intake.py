"""The intake of alerts and events: kept first, then entered into the register, then a remediation is started.

It answers as soon as nothing can be lost any more. What it cannot read is kept, told and answered 202: senders drop or
repeat what is answered otherwise, and neither helps.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
import azure.functions as func

from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.changes.errors import StateContentionError
from shared.identity import Person, Role

if TYPE_CHECKING:
    from shared.job_remediation.collapse import Verdict
    from shared.job_remediation.intake.reception import Received
    from shared.job_remediation.register import Known
    from shared.job_remediation.signal import Source

blueprint = df.Blueprint()
_LOG = logging.getLogger("closekeeper.signal_intake")

_AT_ONCE = 8

RESOLVED = "resolved"
"""The external event that tells a remediation that its fault is over. It carries nothing: the register says more."""


async def _post_signals(call: Call) -> Answer:
    return await _received(call, call.data)


async def _post_signed_signals(call: Call) -> Answer:
    from functions import intake_steps as steps
    from shared.estate.problems import EstateInvalidError
    from shared.estate.source import EstateUnavailableError
    from shared.platforms.settings import MissingSettingError
    from shared.platforms.vaults import VaultError

    now, webhook = datetime.now(UTC), call.path["webhook"]
    try:
        problem = await asyncio.to_thread(steps.signature_problem_of, webhook, call.headers, call.data, now)
        only = await asyncio.to_thread(steps.format_of, webhook)
    except (EstateInvalidError, EstateUnavailableError, VaultError, MissingSettingError) as error:
        _LOG.error("the signature of a delivery to %s could not be checked: %s", webhook, error)
        raise Problem(503, "Try again", "the signature could not be checked; send it again later") from error
    if problem:
        raise Problem(401, "Unauthorized", problem)
    return await _received(call, call.data, only)


async def _received(call: Call, body: bytes, only: "Source | None" = None) -> Answer:
    from azure.core.exceptions import AzureError
    from grpc.aio import AioRpcError

    from functions import intake_steps as steps

    try:
        by = call.caller.name if isinstance(call.caller, Person) else ""
        received = await asyncio.to_thread(steps.receive, body, datetime.now(UTC), by, only)
        if received.handshake:
            return Answer({"validationResponse": received.handshake})
        await _follow(call.durable, received.told)
    except (StateContentionError, AzureError, AioRpcError) as error:
        # 503 is what senders try again; after a 500 action groups do not.
        _LOG.warning("signals were not taken in: %s", error)
        raise Problem(503, "Try again", "the signals could not be kept or followed; send them again") from error
    return Answer(answer_of(received), 202)


def answer_of(received: "Received") -> dict[str, object]:
    """What the sender is told: what became of each signal, what could not be read, and where the delivery is kept."""
    return {
        "signals": [
            {
                "fingerprint": known.fault.fingerprint,
                "symptom": known.signal.symptom,
                "verdict": verdict,
                "remediation": known.remediation if known.fault.occurrences else None,
            }
            for known, verdict in received.told
        ],
        "unrecognised": [{"reason": one.reason, "missing": one.missing} for one in received.unrecognised],
        "kept": received.raw,
    }


async def _options_signals(call: Call) -> Answer:
    """The handshake of CloudEvents webhooks: whoever knows the key may send as often as they like."""
    origin = call.headers.get("webhook-request-origin", "")
    allowed = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"} if origin else {}
    return Answer(None, 200, {**allowed, "Allow": "POST, OPTIONS"})


async def _follow(client: Any, told: "Sequence[tuple[Known, Verdict]]") -> None:
    """Start what is due, and tell what runs that its fault is over: different faults at the same time, those of one
    fault in their order."""
    from shared.job_remediation.collapse import Verdict

    of_fault: dict[str, list[tuple[Known, Verdict]]] = {}
    for known, verdict in told:
        of_fault.setdefault(known.fault.fingerprint, []).append((known, verdict))
    turns = asyncio.Semaphore(_AT_ONCE)

    async def follow(words: "Sequence[tuple[Known, Verdict]]") -> None:
        async with turns:
            for known, verdict in words:
                if known.is_due:
                    await start_remediation(client, known)
                elif verdict is Verdict.ENDS:
                    await _end(client, known)

    await asyncio.gather(*map(follow, of_fault.values()))


async def start_remediation(client: Any, known: "Known") -> None:
    """Start the newest occurrence's remediation once. The note comes last: whoever finds none starts it again, and
    finds it running.

    Without an estate in force nothing is started; the register knows that it is due, and a later tick starts it.
    """
    from grpc.aio import AioRpcError

    from functions import remediation_steps as steps
    from functions.remediation_storms import note_weather
    from shared.estate.problems import EstateInvalidError
    from shared.estate.source import EstateUnavailableError

    try:
        await asyncio.to_thread(note_weather, known.signal)
    except (EstateInvalidError, EstateUnavailableError) as error:
        _LOG.error("%s waits for an estate in force: %s", known.remediation, error)
        return
    fingerprint, occurrence = known.fault.fingerprint, known.fault.occurrences
    if await client.get_orchestration_state(known.remediation, fetch_payloads=False) is None:
        order = {"fingerprint": fingerprint, "occurrence": occurrence}
        try:
            await client.schedule_new_orchestration("remediation", input=order, instance_id=known.remediation)
        except AioRpcError:  # another sender's copy was faster, or there is no answer: looked up, not guessed
            if await client.get_orchestration_state(known.remediation, fetch_payloads=False) is None:
                raise
    await asyncio.to_thread(steps.note_started, fingerprint, occurrence)


async def _end(client: Any, known: "Known") -> None:
    from grpc.aio import AioRpcError

    from functions.remediation_storms import note_over

    await asyncio.to_thread(note_over, known)
    try:
        await client.raise_orchestration_event(known.remediation, RESOLVED)
    except AioRpcError as error:  # it is over; one that runs looks into the register before it acts
        _LOG.info("%s was not told of the resolution: %s", known.remediation, error.code())


add_routes(
    blueprint,
    [
        Route("post_signals", "POST", "signals", Role.OPERATOR, "Receive alerts and events.", _post_signals),
        Route("options_signals", "OPTIONS", "signals", Role.OPERATOR, "CloudEvents' handshake.", _options_signals),
        Route(
            "post_signed_signals",
            "POST",
            "signals/{webhook}",
            Role.OPERATOR,
            "Receive alerts of a declared webhook, signed.",
            _post_signed_signals,
        ),
    ],
)


@blueprint.function_name("remediation_events")
@blueprint.event_grid_trigger(arg_name="event")  # pyright: ignore[reportUnknownMemberType] - not typed there
@blueprint.durable_client_input(client_name="client")
async def remediation_events(event: func.EventGridEvent, client: Any) -> None:
    """Receive one event of a subscription on a system topic. A failure has it delivered again."""
    from functions import intake_steps as steps

    received = await asyncio.to_thread(steps.receive, _delivered(event), datetime.now(UTC))
    await _follow(client, received.told)


def _delivered(event: Any) -> bytes:
    """The event as Event Grid sent it: the worker has taken it apart."""
    if isinstance(event, func.CloudEvent):
        told = {
            "specversion": "1.0",
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": _text(event.time),
            "data": event.get_json(),
        }
    else:
        told = {
            "id": event.id,
            "topic": event.topic,
            "subject": event.subject,
            "eventType": event.event_type,
            "eventTime": _text(event.event_time),
            "data": event.get_json(),
            "dataVersion": event.data_version,
        }
    return json.dumps(told).encode()


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


@blueprint.function_name("remediation_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%REMEDIATION_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def remediation_tick(timer: func.TimerRequest, client: Any) -> None:
    """Start what a crash between keeping and starting left, tell of what could not be read, purge what is old."""
    from functions import intake_steps
    from functions import remediation_steps as steps
    from shared.estate.problems import EstateInvalidError
    from shared.estate.source import EstateUnavailableError

    now = datetime.now(UTC)
    await asyncio.to_thread(intake_steps.tell_unrecognised, now)
    for known in await asyncio.to_thread(steps.due_faults, now):
        await start_remediation(client, known)
    try:
        await asyncio.to_thread(intake_steps.purge_deliveries, now)
    except (EstateInvalidError, EstateUnavailableError) as error:
        _LOG.error("nobody knows how long deliveries are kept, so none is purged: %s", error)
