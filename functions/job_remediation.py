"""Job remediation: from a fault to a verified repair, or to a human with the diagnosis. Its functions and its API.

How it goes is in `functions.remediation_flow`; all that is imported by who uses it first: a cold start needs none.
"""

import asyncio
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from durabletask import task

from functions.routing import Answer, Call, Problem, Route, add_routes
from shared.changes.state import from_data, to_data
from shared.identity import Role

blueprint = df.Blueprint()


@blueprint.orchestration_trigger(context_name="context", orchestration="remediation")
def remediation(ctx: task.OrchestrationContext, started: Any) -> Generator[task.Task[Any], Any, Any]:
    """Look, act, verify, until the fault is over or a human has it."""
    from functions.remediation_flow import remediate

    return (yield from remediate(ctx, started))


# --- activities ------------------------------------------------------------------------------------------------------


@blueprint.activity_trigger(input_name="nothing", activity="remediation_patience")
def remediation_patience(nothing: Any) -> Any:
    """How long to wait for what."""
    from functions import remediation_steps as steps

    return to_data(steps.patience())


@blueprint.activity_trigger(input_name="order", activity="remediation_look")
def remediation_look(order: Any) -> Any:
    """Collect evidence and decide."""
    from functions.remediation_looks import Look, look

    return to_data(look(from_data(Look, order)))


@blueprint.activity_trigger(input_name="question", activity="remediation_check")
def remediation_check(question: Any) -> Any:
    """See whether the world is well."""
    from functions.remediation_looks import check

    return to_data(check(str(question["fingerprint"]), str(question["playbook"])))


@blueprint.activity_trigger(input_name="told", activity="remediation_conclude")
def remediation_conclude(told: Any) -> Any:
    """Record and tell how it ended; then close the alert of what is mended."""
    from functions import remediation_alerts
    from functions import remediation_steps as steps

    conclusion = from_data(steps.Conclusion, told)
    concluded = steps.conclude(conclusion)
    remediation_alerts.close_after(conclusion)
    return concluded


@blueprint.activity_trigger(input_name="told", activity="remediation_tell_waiting")
def remediation_tell_waiting(told: Any) -> Any:
    """Tell that a fault is still there while something is waited for."""
    from functions import remediation_steps as steps

    return steps.tell_waiting(from_data(steps.Conclusion, told))


# --- the poll --------------------------------------------------------------------------------------------------------


@blueprint.function_name("remediation_reconcile")
@blueprint.timer_trigger(arg_name="timer", schedule="%REMEDIATION_POLL_SCHEDULE%")
@blueprint.durable_client_input(client_name="client")
async def remediation_reconcile(timer: func.TimerRequest, client: Any) -> None:
    """Find what no alert told of, and close the alerts that stayed open after a repair."""
    from functions import remediation_reconcile as reconciling
    from functions.signal_intake import start_remediation

    for known in await asyncio.to_thread(reconciling.poll, datetime.now(UTC)):
        await start_remediation(client, known)


# --- API -------------------------------------------------------------------------------------------------------------


async def _list_remediations(call: Call) -> Answer:
    from functions import remediation_reconcile as reconciling
    from functions import remediation_steps as steps

    open_only = call.query.get("open", "true").lower() != "false"
    return Answer(
        {
            "value": await asyncio.to_thread(steps.shown_faults, open_only),
            "not_looked_at": await asyncio.to_thread(reconciling.not_looked_at),
        }
    )


async def _get_remediation(call: Call) -> Answer:
    instance = call.path["id"]
    state = await call.durable.get_orchestration_state(instance)
    if state is None or state.name != "remediation":
        raise Problem(404, "Not found", f"there is no remediation {instance}")
    return Answer(
        {
            "id": instance,
            "status": state.runtime_status.name.lower(),
            "progress": state.get_custom_status(),
            "result": state.get_output(),
        }
    )


add_routes(
    blueprint,
    [
        Route("list_remediations", "GET", "remediations", Role.READER, "List the faults.", _list_remediations),
        Route("get_remediation", "GET", "remediations/{id}", Role.READER, "Show a remediation.", _get_remediation),
    ],
)
