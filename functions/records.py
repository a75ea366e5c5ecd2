"""Where evidence goes."""

from shared.evidence.record import Record, RecordReference, write
from shared.platforms import blobs, settings


def write_record(record: Record) -> RecordReference:
    """Write a record into the evidence container; the same record again is no second one."""
    url = settings.required("EVIDENCE_URL", "give the URL of the blob container for evidence")
    return write(blobs.container(url), record)
