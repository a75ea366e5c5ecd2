"""The app's functions as the host sees them: names, triggers, bindings; and the errors of those that cannot run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.functions_host.config import ConfigError, Settings
from local.functions_host.routes import Route, RouteError
from local.functions_host.schedules import Schedule, ScheduleError, parse_schedule

_TRIGGERS = (
    "httpTrigger",
    "timerTrigger",
    "eventGridTrigger",
    "orchestrationTrigger",
    "activityTrigger",
    "entityTrigger",
)


@dataclass(frozen=True)
class Function:
    """One function. `trigger` is its trigger's binding with settings resolved; `error` says why it cannot run."""

    name: str
    id: str
    bindings: tuple[Mapping[str, Any], ...]
    trigger: Mapping[str, Any]
    disabled: bool = False
    error: str | None = None
    route: Route | None = None
    schedule: Schedule | None = None

    @property
    def kind(self) -> str:
        """The trigger's type, e.g. httpTrigger."""
        return str(self.trigger["type"])

    @property
    def runs(self) -> bool:
        return not self.disabled and self.error is None

    @property
    def http_output(self) -> str | None:
        """Name of the HTTP output binding."""
        return next((str(b["name"]) for b in self.bindings if b["type"] == "http"), None)

    @property
    def auth_level(self) -> str:
        return str(self.trigger.get("authLevel", "function")).lower()

    @property
    def methods(self) -> list[str]:
        return [str(method).upper() for method in self.trigger.get("methods") or ()]


def describe(raw: Mapping[str, Any], settings: Settings, route_prefix: str) -> Function:
    """Make a Function of what the worker indexed. An unusable binding gives a Function with an error, as in Azure."""
    name = str(raw["name"])
    bindings = tuple(json.loads(binding) for binding in raw["bindings"])
    trigger = next((b for b in bindings if str(b["type"]).endswith("Trigger")), None)
    disabled = settings.is_disabled(name)
    if trigger is None:
        error = f"The '{name}' function is in error: no trigger binding was found."
        return Function(name, raw["id"], bindings, {"type": ""}, disabled, error)
    try:
        trigger = {key: settings.resolve(v) if isinstance(v, str) else v for key, v in trigger.items()}
        route = Route.parse(_full_route(name, trigger, route_prefix)) if trigger["type"] == "httpTrigger" else None
        schedule = parse_schedule(trigger["schedule"]) if trigger["type"] == "timerTrigger" else None
    except (ConfigError, ScheduleError, RouteError) as reason:
        error = (
            f"The '{name}' function is in error: Microsoft.Azure.WebJobs.Host: "
            f"Error indexing method 'Functions.{name}'. {reason}"
        )
        return Function(name, raw["id"], bindings, trigger, disabled, error)
    return Function(name, raw["id"], bindings, trigger, disabled, None, route, schedule)


def not_served(function: Function) -> list[str]:
    """What the function asks for and this host does not do."""
    texts: list[str] = []
    if function.kind and function.kind not in _TRIGGERS:
        texts.append(f"'{function.name}' has a {function.kind}, which never fires here; run it by the admin API.")
    for binding in function.bindings:
        if not str(binding["type"]).endswith("Trigger") and binding["type"] not in ("http", "durableClient"):
            texts.append(f"'{function.name}' has a binding of type {binding['type']}, which does nothing here.")
    return texts


def _full_route(name: str, trigger: Mapping[str, Any], prefix: str) -> str:
    route = str(trigger.get("route") or name).strip("/")
    full = f"{prefix}/{route}" if prefix else route
    if full.split("/")[0].lower() in ("admin", "runtime"):
        raise RouteError("The specified route conflicts with one or more built in routes.")
    return full
