"""What a restore does not carry, set on a drill's copy: one change at a time, each of which may be asked for twice."""

from typing import Any

from pydantic import BaseModel

from functions.drill_admission import app_addresses, state
from shared.backup_verification import registry
from shared.backup_verification.carrying import Actual, Administrator, Step, Wanted, described, missing
from shared.backup_verification.drill import DrillPlan, drill_tags
from shared.platforms import postgres_configuration, postgres_servers


def read_configuration(data: object) -> dict[str, Any]:
    """What the source has and a restore does not carry, and what the drill wants on its copy besides."""
    from azure.core.exceptions import AzureError

    plan = DrillPlan.model_validate(data)
    parameters: dict[str, str] = {}
    administrators: list[Administrator] = []
    unread: list[str] = []
    try:
        known = postgres_configuration.parameters(plan.source_id).items()
        parameters = {name: one.value for name, one in known if one.changed and not one.read_only}
    except AzureError as error:
        unread.append(f"server parameters and extensions: {_first_line(error)}")
    try:
        administrators = [_administrator(one) for one in postgres_configuration.administrators(plan.source_id)]
    except AzureError as error:
        unread.append(f"administrators: {_first_line(error)}")
    if plan.self_test or plan.keep:  # who writes to the copy must be let to; production gives the app no such right
        administrators.append(_administrator(postgres_configuration.ourselves()))
    wanted = Wanted(
        tags=drill_tags(plan),
        parameters=parameters,
        administrators=tuple(administrators),
        let_in=None if plan.network else app_addresses(),
        unread=tuple(unread),
    )
    return wanted.model_dump(mode="json")


def _administrator(one: postgres_configuration.Administrator) -> Administrator:
    return Administrator(object_id=one.object_id, name=one.name, type=one.type, tenant=one.tenant)


class _Configuration(BaseModel):
    drill: str
    server_id: str
    wanted: Wanted
    given_up: dict[str, str] = {}


def configure_server(data: object) -> dict[str, Any]:
    """Ask for the next change that the copy lacks. Answers `done`, with what was set in words, when it lacks nothing.

    A server takes one change at a time: whoever finds it busy asks again. A change that Azure refuses is given up. Once
    it lacked nothing, nothing is changed any more: a delivery that comes late would restart it under its checks.
    """
    asked = _Configuration.model_validate(data)
    server = postgres_servers.get(asked.server_id)
    if server is None or server.state != "Ready":
        return {"done": False, "given_up": asked.given_up}
    done = {"done": True, "carried": described(asked.wanted, asked.given_up), "given_up": asked.given_up}
    steps = missing(asked.wanted, _actual(asked, server), asked.given_up)
    if not steps:
        registry.end_configuration(state(), asked.drill)
        return done
    if registry.read_entry(state(), asked.drill).configured:
        return done
    step = steps[0]
    try:
        _change(asked, server, step)
    except postgres_servers.ServerRequestRefusedError as error:
        return {"done": False, "given_up": {**asked.given_up, step.key: str(error)}}
    return {"done": False, "given_up": asked.given_up}


def _actual(asked: _Configuration, server: postgres_servers.ServerFacts) -> Actual:
    wanted = asked.wanted
    known = postgres_configuration.parameters(asked.server_id) if wanted.parameters else {}
    administrators = postgres_configuration.administrators(asked.server_id) if wanted.administrators else []
    return Actual(
        tags=server.tags,
        parameters={name: one.value for name, one in known.items()},
        restart_pending=any(one.pending for one in known.values()),
        administrators=[one.object_id for one in administrators],
        rules=postgres_configuration.firewall(asked.server_id) if wanted.let_in is not None else {},
    )


def _change(asked: _Configuration, server: postgres_servers.ServerFacts, step: Step) -> None:
    server_id = asked.server_id
    match step.what:
        case "tags":
            postgres_servers.tag(server_id, {**server.tags, **asked.wanted.tags})
        case "let in":
            postgres_configuration.let_in(server_id, step.name, step.value)
        case "shut out":
            postgres_configuration.shut_out(server_id, step.name)
        case "administrator" if step.administrator:
            one = step.administrator
            postgres_configuration.add_administrator(
                server_id, postgres_configuration.Administrator(one.object_id, one.name, one.type, one.tenant)
            )
        case "parameter":
            postgres_configuration.set_parameter(server_id, step.name, step.value)
        case _:
            postgres_configuration.restart(server_id)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
