"""The app: the blueprints of `functions/`, registered, and nothing else."""

import azure.durable_functions as df

from functions import (
    anchors,
    backup_inventory,
    backup_verification,
    change_execution,
    change_services,
    declared_estate,
    drill_reports,
    drill_requests,
    dump_verification,
    evidence_api,
    evidence_sealing,
    job_remediation,
    operator_api,
    peak_scaling,
    recovery_rehearsal,
    rehydrations,
    shutdown_schedules,
    signal_intake,
    status_page,
    storage_events,
    storage_tiering,
)

change_execution.use(change_services.services)
app = df.DFApp()
for module in (
    anchors,
    backup_inventory,
    backup_verification,
    change_execution,
    declared_estate,
    drill_reports,
    drill_requests,
    dump_verification,
    evidence_api,
    evidence_sealing,
    job_remediation,
    operator_api,
    peak_scaling,
    recovery_rehearsal,
    rehydrations,
    shutdown_schedules,
    signal_intake,
    status_page,
    storage_events,
    storage_tiering,
):
    app.register_functions(module.blueprint)
