"""Modules that are imported when something of them is first used: a cold start pays for triggers, not for their work.

A blueprint says so as

    if TYPE_CHECKING:
        from functions import drill_steps as steps
    else:
        steps = later("functions.drill_steps")
"""

import importlib.util
import sys
from types import ModuleType


def later(name: str) -> ModuleType:
    """The module, which is executed when an attribute of it is first asked for. Raises ModuleNotFoundError."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"there is no module {name}", name=name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
