"""Logs of records to seal, verify and tamper with."""

from datetime import UTC, datetime, timedelta

from shared.blob_container import BlobContainer
from shared.evidence.record import Record, RecordReference, write
from shared.evidence.seal import seal_records
from shared.evidence.verify import Seal as FoundSeal
from shared.evidence.verify import Verification

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Files:
    """An exported log that can be tampered with."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    @property
    def names(self) -> set[str]:
        return set(self.files)

    def read(self, name: str) -> bytes:
        return self.files[name]


def record(number: int, time: datetime = NOON, **fields: object) -> Record:
    body = {"before": {"replicas": 2}, "after": {"replicas": number}, "seconds": number / 8}
    values: dict[str, object] = {
        "automation": "peak_scaling",
        "kind": "applied",
        "subject": f"change:{number:04}",
        "time": time,
        "environment": "production",
        "tenant": "acme" if number % 2 else "globex",
        "estate_version": "7f3a",
        "app_version": "0.1.0",
        "body": body,
    }
    return Record.model_validate(values | fields)


def write_records(container: BlobContainer, numbers: range, time: datetime = NOON) -> list[RecordReference]:
    return [write(container, record(number, time + number * timedelta(seconds=1))) for number in numbers]


def seal(container: BlobContainer, now: datetime, largest: int = 10_000) -> list[int]:
    made = seal_records(container, now=now, app_version="0.1.0", largest=largest)
    return [seal.sequence for seal in made]


def contents(container: BlobContainer) -> dict[str, bytes]:
    return {blob.name: container.read(blob.name).data for blob in container.list()}


def verification(container: BlobContainer, *published: bytes) -> Verification:
    return Verification(Files(contents(container)), [FoundSeal(data) for data in published])


def codes(result: Verification) -> set[str]:
    return {code for code, _, _ in result.problems}
