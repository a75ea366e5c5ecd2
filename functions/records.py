"""Where evidence goes."""

from typing import TYPE_CHECKING

from shared.platforms import blobs, settings

if TYPE_CHECKING:
    from shared.evidence.record import Record, RecordReference


def write_record(record: "Record") -> "RecordReference":
    """Write a record into the evidence container; the same record again is no second one."""
    from shared.evidence.record import write

    url = settings.required("EVIDENCE_URL", "give the URL of the blob container for evidence")
    return write(blobs.container(url), record)
