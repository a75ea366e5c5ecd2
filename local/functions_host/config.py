"""What the host is told: its own options, `host.json`, app settings."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.functions_host.clock import Clock, SystemClock
from local.functions_host.easy_auth import EasyAuth
from local.functions_host.faults import Faults
from local.functions_host.keys import Keys
from local.functions_host.schedules import parse_time_span

_INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPYCACHEPREFIX",
)
_EXPRESSION = re.compile(r"%([^%]+)%")


class ConfigError(ValueError):
    """A file or setting that the host cannot use; the message names it."""


@dataclass(frozen=True)
class HostConfig:
    """How to run one app.

    - app: the folder of function_app.py and host.json.
    - data: the host's own folder, made when absent: keys, timers' schedule status, logs. One host at a time uses it.
    - port: 0 takes a free one.
    - settings: app settings; the worker's environment, and what `%NAME%` in a binding means.
    - keys: None reads `keys.json` in the data folder and makes it when absent.
    - easy_auth: None means that App Service authentication is off.
    - clock: what timers and durable timers go by; the worker's own clock is always the machine's.
    - worker_start_seconds: how long the worker may take to load the app.
    """

    app: Path
    data: Path
    port: int = 0
    address: str = "127.0.0.1"
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    keys: Keys | None = None
    easy_auth: EasyAuth | None = None
    faults: Faults = field(default_factory=Faults)
    clock: Clock = field(default_factory=SystemClock)
    worker_start_seconds: float = 60.0


@dataclass(frozen=True)
class HostJson:
    """What the host heeds of `host.json`; the defaults are Azure's (Flex Consumption where plans differ)."""

    route_prefix: str = "api"
    custom_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    max_concurrent_requests: int = 0
    max_outstanding_requests: int = 0
    function_timeout: timedelta | None = timedelta(minutes=30)
    task_hub: str = "TestHubName"
    max_activities: int = 10
    max_orchestrators: int = 10
    max_entities: int = 10
    replace_any_instance: bool = False

    @classmethod
    def read(cls, app: Path, settings: Mapping[str, str]) -> "HostJson":
        """Read the app's `host.json`, with `AzureFunctionsJobHost__a__b` settings laid over it.

        Raises ConfigError when the file is missing or a value has the wrong form.
        """
        path = app / "host.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"{path}: not found; a function app needs a host.json") from None
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from None
        if data.get("version") != "2.0":
            raise ConfigError(f'{path}: version must be "2.0"')
        for name, value in settings.items():
            if name.lower().startswith("azurefunctionsjobhost__"):
                _overlay(data, name.split("__")[1:], value)
        http = _section(data, "extensions", "http")
        durable = _section(data, "extensions", "durableTask")
        default_concurrency = 10 * (os.cpu_count() or 1)
        timeout = data.get("functionTimeout", "00:30:00")
        try:
            return cls(
                route_prefix=str(http.get("routePrefix", "api")).strip("/"),
                custom_headers=http.get("customHeaders", {}),
                max_concurrent_requests=max(0, int(http.get("maxConcurrentRequests", 0))),
                max_outstanding_requests=max(0, int(http.get("maxOutstandingRequests", 0))),
                function_timeout=None if timeout in ("-1", -1) else parse_time_span(str(timeout)),
                task_hub=str(durable.get("hubName", "TestHubName")),
                max_activities=int(durable.get("maxConcurrentActivityFunctions", default_concurrency)),
                max_orchestrators=int(durable.get("maxConcurrentOrchestratorFunctions", default_concurrency)),
                max_entities=int(durable.get("maxConcurrentEntityFunctions", default_concurrency)),
                replace_any_instance=durable.get("overridableExistingInstanceStates") == "AnyState",
            )
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{path}: {error}") from None


def _section(data: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        data = data.get(name) or {}
    return data


def _overlay(data: dict[str, Any], names: list[str], value: str) -> None:
    for name in names[:-1]:
        data = data.setdefault(name, {})
    data[names[-1]] = value


def read_local_settings(path: Path) -> dict[str, str]:
    """Read the `Values` of a `local.settings.json`. Raises ConfigError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        values: dict[str, Any] = data.get("Values", {})
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    return {name: str(value) for name, value in values.items()}


class Settings:
    """App settings, looked up without regard to case, as the host's configuration does."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    def get(self, name: str) -> str | None:
        return self._values.get(name.lower())

    def resolve(self, text: str) -> str:
        """Replace `%NAME%` by the setting of that name. Raises ConfigError when there is none."""

        def value(match: re.Match[str]) -> str:
            found = self.get(match[1])
            if found is None:
                raise ConfigError(f"Microsoft.Azure.WebJobs.Host: '%{match[1]}%' does not resolve to a value.")
            return found

        return _EXPRESSION.sub(value, text)

    def is_disabled(self, function: str) -> bool:
        value = self.get(f"AzureWebJobs.{function}.Disabled") or self.get(f"AzureWebJobs__{function}__Disabled")
        return (value or "").lower() in ("true", "1")


def worker_environment(config: HostConfig, port: int) -> dict[str, str]:
    """The worker's environment: what Azure sets, then the app settings; nothing of the host's own."""
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "FUNCTIONS_EXTENSION_VERSION": "~4",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "AzureWebJobsScriptRoot": str(config.app.resolve()),
        "WEBSITE_HOSTNAME": f"{config.address}:{port}",
        "WEBSITE_AUTH_ENABLED": "True" if config.easy_auth else "False",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PYTHONUNBUFFERED": "1",
    }
    return environment | dict(config.settings)
