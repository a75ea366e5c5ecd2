"""The governance of changes over HTTP, on a world in the folder that WORLD names."""

import os
import sys
from pathlib import Path

import azure.durable_functions as df

sys.path.append(str(Path(__file__).resolve().parents[3]))  # a deployed app has these packages beside it

from functions import change_execution, operator_api
from tests.changes.world import World

change_execution.use(World(Path(os.environ["WORLD"])).services)

app = df.DFApp()
app.register_functions(change_execution.blueprint)
app.register_functions(operator_api.blueprint)
