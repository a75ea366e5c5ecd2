"""The smallest app that executes changes, on a world in the folder that WORLD names."""

import os
import sys
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

sys.path.append(str(Path(__file__).resolve().parents[3]))  # a deployed app has these packages beside it

from functions import change_execution
from tests.changes.world import World

change_execution.STEPS_PER_HISTORY = 9  # fewer than one change takes, so that every one goes through a new history
change_execution.use(World(Path(os.environ["WORLD"])).services)

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(change_execution.blueprint)
