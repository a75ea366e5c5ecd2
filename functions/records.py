"""Where evidence goes."""

import logging
from typing import TYPE_CHECKING

from shared.platforms import blobs, settings

if TYPE_CHECKING:
    from shared.evidence.record import Record, RecordReference


_LOG = logging.getLogger("closekeeper.evidence")


def write_record(record: "Record") -> "RecordReference":
    """Write a record into the evidence container, and return the one that stands: the same again is no second one.

    What was recorded before by another release, or under another estate, stands too: a step that is delivered again
    after a deployment must come to its end. What it would have said is kept beside it as a conflict.
    """
    from shared.evidence.record import RecordConflictError, write

    url = settings.required("EVIDENCE_URL", "give the URL of the blob container for evidence")
    try:
        return write(blobs.container(url), record)
    except RecordConflictError as conflict:
        _LOG.warning("%s", conflict)
        return conflict.standing
