"""Puts what happened to changes into the evidence."""

import logging
from collections.abc import Callable

from shared.blob_container import BlobContainer
from shared.changes.ports import Entry
from shared.evidence.record import Record, RecordConflictError, write

_LOG = logging.getLogger("closekeeper.changes")


class EvidenceRecorder:
    """Writes entries as evidence records. `estate_version` says which declaration is in force when asked."""

    def __init__(self, container: BlobContainer, estate_version: Callable[[], str], app_version: str) -> None:
        self._container = container
        self._estate_version = estate_version
        self._app_version = app_version

    def record(self, entry: Entry) -> None:
        """See `Recorder.record`. An entry that contradicts one that stands is kept as a conflict, and logged."""
        record = Record(
            automation=entry.automation,
            kind=entry.kind,
            subject=entry.subject,
            time=entry.time,
            environment=entry.environment,
            tenant=entry.tenant,
            actor=entry.actor,
            estate_version=self._estate_version(),
            app_version=self._app_version,
            body=entry.body,
        )
        try:
            write(self._container, record)
        except RecordConflictError as conflict:
            _LOG.warning("%s", conflict)
