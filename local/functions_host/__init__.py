"""A small, faithful host for Azure Functions apps in Python: see docs/functions-host.md.

The names are loaded when first used: the worker process imports this package, too, and shall load nothing of the host.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.functions_host.clock import Clock, ManualClock, SystemClock
    from local.functions_host.config import ConfigError, HostConfig, read_local_settings
    from local.functions_host.easy_auth import EasyAuth
    from local.functions_host.faults import Faults
    from local.functions_host.host import FunctionsHost, HostNotReadyError
    from local.functions_host.keys import Keys

_MODULES = {
    "Clock": "clock",
    "ConfigError": "config",
    "EasyAuth": "easy_auth",
    "Faults": "faults",
    "FunctionsHost": "host",
    "HostConfig": "config",
    "HostNotReadyError": "host",
    "Keys": "keys",
    "ManualClock": "clock",
    "SystemClock": "clock",
    "read_local_settings": "config",
}

__all__ = [
    "Clock",
    "ConfigError",
    "EasyAuth",
    "Faults",
    "FunctionsHost",
    "HostConfig",
    "HostNotReadyError",
    "Keys",
    "ManualClock",
    "SystemClock",
    "read_local_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
