"""Sealing: every few minutes new evidence becomes part of the log, and its seals are told to those who witness it."""

import logging
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from shared.platforms import blobs, event_grid, settings
from shared.version import VERSION

blueprint = df.Blueprint()
_LOG = logging.getLogger("closekeeper.evidence_sealing")


@blueprint.function_name("evidence_sealing_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%EVIDENCE_SEALING_SCHEDULE%")
def evidence_sealing_tick(timer: func.TimerRequest) -> None:
    """Seal what is new and tell every seal that was not told. What a lost tick left is done by the next.

    It does not look at the declared estate: a bad declaration must not keep evidence from being sealed. A log that
    contradicts itself is told as an event and fails the function, every time, until a person has dealt with it.
    """
    from shared.evidence.log import BrokenLogError
    from shared.evidence.seal import broken_log_event, publish_seals, seal_records

    now = datetime.now(UTC)
    evidence = blobs.container(settings.required("EVIDENCE_URL", "give the URL of the blob container for evidence"))
    topic = event_grid.topic()
    try:
        for seal in seal_records(evidence, now=now, app_version=VERSION):
            _LOG.info("sealed %s records: %s, SHA-256 %s", seal.leaves.count, seal.name, seal.sha256)
        publish_seals(evidence, topic, now)
    except BrokenLogError as error:
        topic.publish([broken_log_event(error, now)])
        raise
