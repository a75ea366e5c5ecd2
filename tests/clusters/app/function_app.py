"""The smallest app that acts on clusters: changes with the app's own adapters, state in the folder that WORLD names."""

import os
import sys
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

sys.path.append(str(Path(__file__).resolve().parents[3]))  # a deployed app has these packages beside it

from functions import adapters, change_execution
from functions.adapters import workloads
from shared.changes.ports import Adapters, Services
from tests.changes.world import World

_WORLD = Path(os.environ["WORLD"])


def _die_once(adapter: Any) -> None:
    """A process that dies just before it writes, as long as the file that asks for it is there."""
    apply = adapter.apply

    def dying(*arguments: Any) -> Any:
        order = _WORLD / "die-before-apply"
        if order.exists():
            order.unlink()
            os._exit(9)
        return apply(*arguments)

    adapter.apply = dying


def services() -> Services:
    known = Adapters()
    adapters.register(known)
    return World(_WORLD).services(adapters=known)


_die_once(workloads.ADAPTER)
change_execution.use(services)
app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(change_execution.blueprint)
