"""The app: the blueprints of `functions/`, registered, and nothing else."""

import azure.durable_functions as df

from functions import backup_verification

app = df.DFApp()
app.register_functions(backup_verification.blueprint)
