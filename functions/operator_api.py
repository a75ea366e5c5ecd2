"""The governance of changes over HTTP: approvals, freeze exceptions, overrides, the stop switch, changes.

Whether somebody may, `shared.changes.governance` decides and records, refusals too. The routes ask for the least role
that can see the thing, so that a refused attempt to approve gets into the evidence instead of ending at the door.
"""

import asyncio
from datetime import UTC, datetime

import azure.durable_functions as df
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from functions.change_execution import services, wake
from functions.governed import governed
from functions.routing import Answer, Call, Route, add_routes
from shared.changes import governance
from shared.changes.exceptions import Scope
from shared.changes.policy import OverrideKind
from shared.changes.state import to_data
from shared.identity import Role

blueprint = df.Blueprint()


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ApprovalAnswer(_Body):
    """An answer to a request for approval, about the plan that was seen."""

    plan_hash: str = Field(min_length=1, max_length=128, description="The hash of the plan that was shown")
    granted: bool
    note: str = Field(default="", max_length=2000)


class ExceptionRequest(_Body):
    """A request for an exception from a freeze."""

    environment: str = Field(min_length=1, max_length=100)
    tenant: str | None = Field(default=None, max_length=100)
    automation: str | None = Field(default=None, max_length=100)
    classes: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    ticket: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=2000)
    start: AwareDatetime
    end: AwareDatetime
    most_uses: int = Field(default=1, ge=1)


class Ruling(_Body):
    """An answer to a request for an exception."""

    granted: bool
    note: str = Field(default="", max_length=2000)


class Note(_Body):
    """Why."""

    note: str = Field(default="", max_length=2000)


class OverrideRequest(_Body):
    """Something to set aside for a while. Without `start` it begins at once."""

    kind: OverrideKind
    environment: str | None = Field(default=None, max_length=100)
    automation: str | None = Field(default=None, max_length=100)
    target: str | None = Field(default=None, max_length=1000)
    reason: str = Field(min_length=1, max_length=2000)
    start: AwareDatetime | None = None
    end: AwareDatetime


class StopSwitchRequest(_Body):
    """How the stop switch shall stand."""

    pulled: bool
    reason: str = Field(min_length=1, max_length=2000)


# --- approvals -------------------------------------------------------------------------------------------------------


async def _list_approvals(call: Call) -> Answer:
    return Answer({"value": to_data(await governed(lambda: governance.list_approvals(services())))})


async def _get_approval(call: Call) -> Answer:
    return Answer(to_data(await governed(lambda: governance.show_approval(services(), call.path["id"]))))


async def _answer_approval(call: Call) -> Answer:
    body: ApprovalAnswer = call.body
    approval, instances = await governed(
        lambda: governance.answer_approval(
            services(),
            call.caller,
            call.path["id"],
            plan_hash=body.plan_hash,
            granted=body.granted,
            note=body.note,
            now=_now(),
        )
    )
    await wake(call.durable, instances)
    return Answer(to_data(approval))


# --- exceptions from a freeze ----------------------------------------------------------------------------------------


async def _list_exceptions(call: Call) -> Answer:
    return Answer({"value": to_data(await governed(lambda: governance.list_exceptions(services())))})


async def _post_exception(call: Call) -> Answer:
    body: ExceptionRequest = call.body
    made = await governed(
        lambda: governance.request_exception(
            services(),
            call.caller,
            Scope(
                environment=body.environment,
                tenant=body.tenant,
                automation=body.automation,
                classes=body.classes,
                targets=body.targets,
            ),
            ticket=body.ticket,
            reason=body.reason,
            start=body.start,
            end=body.end,
            most_uses=body.most_uses,
            now=_now(),
            key=call.idempotency_key,
        )
    )
    return Answer(to_data(made), 201, {"Location": f"/api/exceptions/{made.id}"})


async def _rule_on_exception(call: Call) -> Answer:
    body: Ruling = call.body
    after = await governed(
        lambda: governance.rule_on_exception(
            services(), call.caller, call.path["id"], granted=body.granted, note=body.note, now=_now()
        )
    )
    await _wake_environment(call, after.scope.environment)
    return Answer(to_data(after))


async def _revoke_exception(call: Call) -> Answer:
    body: Note = call.body
    return Answer(
        to_data(
            await governed(
                lambda: governance.revoke_exception(
                    services(), call.caller, call.path["id"], note=body.note, now=_now()
                )
            )
        )
    )


# --- overrides and the stop switch -----------------------------------------------------------------------------------


async def _list_overrides(call: Call) -> Answer:
    return Answer({"value": to_data(await governed(lambda: governance.list_overrides(services())))})


async def _post_override(call: Call) -> Answer:
    body: OverrideRequest = call.body
    now = _now()
    made = await governed(
        lambda: governance.set_override(
            services(),
            call.caller,
            body.kind,
            environment=body.environment,
            automation=body.automation,
            target=body.target,
            reason=body.reason,
            start=body.start or now,
            end=body.end,
            now=now,
            key=call.idempotency_key,
        )
    )
    return Answer(to_data(made), 201, {"Location": f"/api/overrides/{made.id}"})


async def _delete_override(call: Call) -> Answer:
    after = await governed(lambda: governance.revoke_override(services(), call.caller, call.path["id"], now=_now()))
    if after.environment:
        await _wake_environment(call, after.environment)
    return Answer(to_data(after))


async def _get_stop_switch(call: Call) -> Answer:
    switch = await governed(lambda: governance.stop_switch(services()))
    return Answer(to_data(switch) if switch else {"pulled": False})


async def _put_stop_switch(call: Call) -> Answer:
    body: StopSwitchRequest = call.body
    throw = governance.pull_stop_switch if body.pulled else governance.release_stop_switch
    return Answer(to_data(await governed(lambda: throw(services(), call.caller, reason=body.reason, now=_now()))))


async def _get_change(call: Call) -> Answer:
    return Answer(to_data(await governed(lambda: governance.show_change(services(), call.path["id"]))))


async def _wake_environment(call: Call, environment: str) -> None:
    """Waiting changes look again at once; one whose wake-up is lost looks by itself within minutes."""
    await wake(call.durable, await asyncio.to_thread(governance.waiting_instances, services(), environment, _now()))


def _now() -> datetime:
    return datetime.now(UTC)


READER = Role.READER
add_routes(
    blueprint,
    [
        Route("list_approvals", "GET", "approvals", READER, "Requests for approval.", _list_approvals),
        Route("get_approval", "GET", "approvals/{id}", READER, "What exactly would be done.", _get_approval),
        Route(
            "answer_approval",
            "POST",
            "approvals/{id}/answer",
            READER,
            "Grant or refuse; needs a person who is an approver and did not ask.",
            _answer_approval,
            ApprovalAnswer,
        ),
        Route("list_exceptions", "GET", "exceptions", READER, "Exceptions from freezes.", _list_exceptions),
        Route(
            "post_exception", "POST", "exceptions", READER, "Ask for an exception.", _post_exception, ExceptionRequest
        ),
        Route(
            "rule_on_exception",
            "POST",
            "exceptions/{id}/ruling",
            READER,
            "Grant or refuse; needs a person who is an approver and did not ask.",
            _rule_on_exception,
            Ruling,
        ),
        Route("revoke_exception", "POST", "exceptions/{id}/revoke", READER, "Take it back.", _revoke_exception, Note),
        Route("list_overrides", "GET", "overrides", READER, "What is set aside.", _list_overrides),
        Route(
            "post_override", "POST", "overrides", READER, "Keep awake, pause or mute.", _post_override, OverrideRequest
        ),
        Route("delete_override", "DELETE", "overrides/{id}", READER, "Revoke an override.", _delete_override),
        Route("get_stop_switch", "GET", "stop-switch", READER, "How the stop switch stands.", _get_stop_switch),
        Route(
            "put_stop_switch",
            "PUT",
            "stop-switch",
            READER,
            "Pull or release the stop switch.",
            _put_stop_switch,
            StopSwitchRequest,
        ),
        Route("get_change", "GET", "changes/{id}", READER, "What is remembered of a change.", _get_change),
    ],
)
