"""A small app that shows the host everything a host must do. Effects are lines in the file that EFFECTS names."""

import asyncio
import json
import logging
import os
import time
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
from durabletask import task
from durabletask.entities import EntityInstanceId

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

FAST_RETRY = task.RetryPolicy(first_retry_interval=timedelta(milliseconds=10), max_number_of_attempts=3)


def effect(text: str) -> None:
    with Path(os.environ["EFFECTS"]).open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def count(text: str) -> int:
    path = Path(os.environ["EFFECTS"])
    return path.read_text(encoding="utf-8").splitlines().count(text) if path.exists() else 0


async def hold(name: str) -> None:
    """Run until the test lets go of this name."""
    effect(f"held {name}")
    while not Path(f"{os.environ['EFFECTS']}.{name}").exists():
        await asyncio.sleep(0.01)


def describe(req: func.HttpRequest) -> func.HttpResponse:
    body = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "headers": dict(req.headers),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(body), mimetype="application/json", status_code=201)


# HTTP


@app.route(route="echo", auth_level=func.AuthLevel.ANONYMOUS)
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req)


@app.route(route="items/{id:int}", methods=["GET", "PUT"], auth_level=func.AuthLevel.ANONYMOUS)
def item_by_number(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req)


@app.route(route="items/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def item_by_name(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req)


@app.route(route="files/{*rest}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def files(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req)


@app.route(route="pages/{page?}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def pages(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req)


@app.route(route="keyed", methods=["GET"])
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route(route="guarded", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def guarded(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route(route="fails", auth_level=func.AuthLevel.ANONYMOUS)
def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("a secret of the inside: code=hush-hush-hush")


@app.route(route="text", auth_level=func.AuthLevel.ANONYMOUS)
def text(req: func.HttpRequest) -> str:
    return "plain ä"


@app.route(route="bytes", auth_level=func.AuthLevel.ANONYMOUS)
def mirror(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(req.get_body(), mimetype="application/octet-stream", headers={"X-Twice": "a"})
    response.headers.add("Set-Cookie", "flavour=oat; Path=/; HttpOnly; SameSite=Lax; Max-Age=60")
    return response


@app.route(route="nothing", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=200, body="ok")


@app.route(route="out", auth_level=func.AuthLevel.ANONYMOUS)
@app.function_name("out_binding")
def out_binding(req: func.HttpRequest) -> func.HttpResponse:
    logging.getLogger("shop").warning("stock of %s is low", "oats", extra={"sku": 1})
    return func.HttpResponse(os.getcwd() + " " + os.environ["WEBSITE_HOSTNAME"])


@app.route(route="slow/{seconds}", auth_level=func.AuthLevel.ANONYMOUS)
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    effect("slow began")
    await asyncio.sleep(float(req.route_params["seconds"]))
    return func.HttpResponse("done")


@app.route(route="held/{name}", auth_level=func.AuthLevel.ANONYMOUS)
async def held_request(req: func.HttpRequest) -> func.HttpResponse:
    await hold(req.route_params["name"])
    return func.HttpResponse("done")


@app.route(route="pid", auth_level=func.AuthLevel.ANONYMOUS)
async def pid(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(os.getpid()))


@app.route(route="disabled", auth_level=func.AuthLevel.ANONYMOUS)
def switched_off(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("on")


# Timers


def note_timer(name: str, timer: func.TimerRequest) -> None:
    effect(json.dumps({"timer": name, "past_due": timer.past_due, "status": timer.schedule_status}))


@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
def hourly(timer: func.TimerRequest) -> None:
    note_timer("hourly", timer)


@app.timer_trigger(arg_name="timer", schedule="%NIGHTLY%", run_on_startup=False)
def nightly(timer: func.TimerRequest) -> None:
    note_timer("nightly", timer)


@app.timer_trigger(arg_name="timer", schedule="01:30:00", run_on_startup=True)
def every_90_minutes(timer: func.TimerRequest) -> None:
    note_timer("every_90_minutes", timer)


@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def slow_timer(timer: func.TimerRequest) -> None:
    effect("slow_timer in")
    time.sleep(0.3)
    effect("slow_timer out")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def yearly(timer: func.TimerRequest) -> None:
    note_timer("yearly", timer)


# Event Grid


@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    if isinstance(event, func.CloudEvent):
        effect(json.dumps({"cloud": event.id, "type": event.type, "source": event.source, "data": event.get_json()}))
    else:
        effect(json.dumps({"grid": event.id, "type": event.event_type, "topic": event.topic, "data": event.get_json()}))
    if "fail" in event.id:
        raise RuntimeError("the event is bad")


# Durable


@app.route(route="orchestrations/{name}/{instance}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    given = json.loads(req.get_body() or b"null")
    name, instance = req.route_params["name"], req.route_params["instance"]
    await client.schedule_new_orchestration(name, input=given, instance_id=instance)
    return client.create_check_status_response(req, instance)


@app.orchestration_trigger(context_name="context")
def chain(ctx: task.OrchestrationContext, names: list):
    results = []
    for name in names:
        ctx.set_custom_status(f"at {name}")
        results.append((yield ctx.call_activity("once", input=name)))
    return results


@app.activity_trigger(input_name="name")
def once(name: str) -> str:
    effect(f"once {name}")
    return name.upper()


@app.orchestration_trigger(context_name="context")
def all_at_once(ctx: task.OrchestrationContext, names: list):
    return (yield task.when_all([ctx.call_activity("once", input=name) for name in names]))


@app.orchestration_trigger(context_name="context")
def fan_out(ctx: task.OrchestrationContext, number: int):
    results = yield task.when_all([ctx.call_activity("overlap", input=n) for n in range(number)])
    return sum(results)


@app.activity_trigger(input_name="number")
async def overlap(number: int) -> int:
    effect("overlap in")
    await asyncio.sleep(0.05)
    effect("overlap out")
    return number


@app.orchestration_trigger(context_name="context")
def holds(ctx: task.OrchestrationContext, name: str):
    yield ctx.call_activity("held", input=name)


@app.activity_trigger(input_name="name")
async def held(name: str) -> None:
    await hold(name)


@app.orchestration_trigger(context_name="context")
def parent(ctx: task.OrchestrationContext, name: str):
    result = yield ctx.call_sub_orchestrator("child", input=name, instance_id=f"{ctx.instance_id}:child")
    try:
        yield ctx.call_sub_orchestrator("child", input="bad", instance_id=f"{ctx.instance_id}:bad")
    except task.TaskFailedError as error:
        return [result, str(error.details.message)]
    return result


@app.orchestration_trigger(context_name="context")
def child(ctx: task.OrchestrationContext, name: str):
    if name == "bad":
        yield ctx.call_activity("raises", input="in the child")
    result = yield ctx.call_activity("once", input=name)
    return [result, ctx.parent_instance_id]


@app.activity_trigger(input_name="text")
def raises(text: str) -> None:
    raise ValueError(f"boom {text}")


@app.orchestration_trigger(context_name="context")
def catches(ctx: task.OrchestrationContext, _):
    try:
        yield ctx.call_activity("raises", input="once")
    except task.TaskFailedError as error:
        return [error.details.error_type, error.details.message, "boom once" in (error.details.stack_trace or "")]


@app.orchestration_trigger(context_name="context")
def unknown_activity(ctx: task.OrchestrationContext, _):
    return (yield ctx.call_activity("nobody"))


@app.orchestration_trigger(context_name="context")
def retries(ctx: task.OrchestrationContext, name: str):
    return (yield ctx.call_activity("third_time", input=name, retry_policy=FAST_RETRY))


@app.activity_trigger(input_name="name")
def third_time(name: str) -> int:
    effect(name)
    if count(name) < 3:
        raise OSError("not yet")
    return count(name)


@app.orchestration_trigger(context_name="context")
def waits(ctx: task.OrchestrationContext, _):
    approval = ctx.wait_for_external_event("approve")
    deadline = ctx.create_timer(timedelta(hours=6))
    winner = yield task.when_any([approval, deadline])
    return {"approved": approval.get_result()} if winner == approval else {"expired": str(ctx.current_utc_datetime)}


@app.orchestration_trigger(context_name="context")
def counts_down(ctx: task.OrchestrationContext, number: int):
    yield ctx.call_activity("once", input=f"n{number}")
    if number > 0:
        ctx.continue_as_new(number - 1)
        return None
    return "lift off"


@app.orchestration_trigger(context_name="context")
def uses_entity(ctx: task.OrchestrationContext, key: str):
    entity = EntityInstanceId("counter", key)
    ctx.signal_entity(entity, "add", 2)
    yield ctx.call_entity(entity, "add", 3)
    return (yield ctx.call_entity(entity, "get"))


@app.entity_trigger(context_name="context")
def counter(ctx, given):
    value = ctx.get_state(int, 0)
    if ctx.operation == "add":
        effect(f"counter add {given}")
        ctx.set_state(value + given)
        return None
    if ctx.operation == "fail":
        raise ValueError("entity boom")
    return value


@app.orchestration_trigger(context_name="context")
def hangs_once(ctx: task.OrchestrationContext, name: str):
    return (yield ctx.call_activity("hang_once", input=name))


@app.activity_trigger(input_name="name")
def hang_once(name: str) -> int:
    effect(name)
    if count(name) == 1:
        time.sleep(60)
    return count(name)
