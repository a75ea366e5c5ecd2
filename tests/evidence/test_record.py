from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from local.memory_blobs import MemoryBlobContainer
from shared.blob_container import BlobContainer
from shared.evidence.canonical import canonical, plain, sha256
from shared.evidence.record import Kind, Record, RecordConflictError, name_prefix, read, write

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def record(**changes: object) -> Record:
    fields: dict[str, object] = {
        "automation": "backup_verification",
        "kind": Kind.DRILL,
        "subject": "drill:pg-prod:2026-11-22",
        "time": NOON,
        "environment": "production",
        "tenant": "acme",
        "actor": "alice@contoso.example",
        "estate_version": "7f3a",
        "app_version": "0.1.0",
        "body": {"rto_seconds": 271.5, "green": True},
    }
    return Record.model_validate(fields | changes)


def contents(container: BlobContainer) -> dict[str, bytes]:
    return {blob.name: container.read(blob.name).data for blob in container.list()}


class TestForm:
    def test_is_canonical_json_with_every_field(self) -> None:
        assert record().data == (
            b'{"actor":"alice@contoso.example","app_version":"0.1.0","automation":"backup_verification",'
            b'"body":{"green":true,"rto_seconds":271.5},"environment":"production","estate_version":"7f3a",'
            b'"id":"' + record().id.encode() + b'","kind":"drill","schema":"closekeeper.evidence.record/1",'
            b'"subject":"drill:pg-prod:2026-11-22","tenant":"acme","time":"2026-11-22T12:00:00.000000Z"}'
        )

    def test_parses_to_the_same_record(self) -> None:
        assert Record.parse(record().data) == record()
        assert Record.parse(record().data).data == record().data

    @pytest.mark.parametrize("data", [b"[]", b"{}", b"not json", b'{"schema":"closekeeper.evidence.record/2"}'])
    def test_refuses_to_parse_what_is_no_record(self, data: bytes) -> None:
        with pytest.raises(ValueError, match=r"schema|JSON|expected"):
            Record.parse(data)

    def test_same_instant_in_another_zone_is_the_same_record(self) -> None:
        berlin = datetime(2026, 11, 22, 13, 0, tzinfo=timezone(timedelta(hours=1)))
        assert record(time=berlin).data == record().data

    def test_naive_time_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="time"):
            record(time=datetime(2026, 11, 22))  # noqa: DTZ001

    @pytest.mark.parametrize(
        ("field", "value"),
        [("kind", "Drill!"), ("automation", ""), ("subject", ""), ("body", {"rows": {1, 2}}), ("body", {"f": open})],
    )
    def test_bad_field_is_named(self, field: str, value: object) -> None:
        with pytest.raises(ValidationError, match=field):
            record(**{field: value})

    def test_errors_do_not_repeat_what_was_passed(self) -> None:
        with pytest.raises(ValidationError) as caught:
            record(kind="", body={"password": "hunter2", "rows": {1}})
        assert "hunter2" not in str(caught.value)

    def test_body_becomes_plain(self) -> None:
        class Colour(StrEnum):
            RED = "red"

        @dataclass
        class Point:
            x: int

        body = {
            "when": NOON,
            "day": NOON.date(),
            "took": timedelta(minutes=1),
            "amount": Decimal("12.30"),
            "guid": UUID(int=5),
            "colour": Colour.RED,
            "point": Point(3),
            "pair": (1, 2),
            "system_identifier": 2**62,
            "ratio": float("nan"),
            7: "seven",
            "text": "broken \udc80",
        }
        assert plain(body) == {
            "when": "2026-11-22T12:00:00.000000Z",
            "day": "2026-11-22",
            "took": 60.0,
            "amount": "12.30",
            "guid": "00000000-0000-0000-0000-000000000005",
            "colour": "red",
            "point": {"x": 3},
            "pair": [1, 2],
            "system_identifier": str(2**62),
            "ratio": "nan",
            "7": "seven",
            "text": "broken ?",
        }
        assert canonical(plain(body))

    def test_too_large_a_record_says_what_to_do(self) -> None:
        with pytest.raises(ValidationError, match="SHA-256"):
            record(body={"log": "line " * 300_000})

    def test_too_deep_a_body_is_refused_in_words(self) -> None:
        body: dict[str, object] = {}
        for _ in range(1000):
            body = {"in": body}
        with pytest.raises(ValidationError, match="nested deeper"):
            record(body=body)

    def test_later_changes_of_the_body_do_not_reach_the_record(self) -> None:
        made = record()
        before = made.data
        made.body["password"] = "hunter2"  # type: ignore[index]
        assert made.data == before

    def test_secrets_and_personal_data_never_enter(self) -> None:
        made = record(
            subject="restore of postgres://odoo:hunter2@db/x",
            body={
                "error": "could not connect: password=hunter2",
                "requested_by": "bob@contoso.example",
                "to": ["eve@x.example"],
            },
        )
        assert b"hunter2" not in made.data
        assert b"eve@" not in made.data
        assert b"bob@contoso.example" in made.data


class TestName:
    def test_sorts_by_time_and_holds_the_id(self) -> None:
        name = record().name
        assert name == f"records/2026/11/22/20261122T120000.000000Z-{record().id}.json"

    @given(st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)), min_size=2, max_size=20))  # noqa: DTZ001
    def test_name_order_is_time_order(self, times: list[datetime]) -> None:
        aware = sorted(time.replace(tzinfo=UTC) for time in times)
        names = [record(time=time).name for time in aware]
        assert names == sorted(names)
        for time in aware:
            assert [name >= name_prefix(time) for name in names] == [other >= time for other in aware]

    @pytest.mark.parametrize("field", ["automation", "kind", "subject", "environment", "tenant", "time"])
    def test_another_occasion_has_another_id(self, field: str) -> None:
        other = NOON + timedelta(microseconds=1) if field == "time" else "other"
        assert record(**{field: other}).id != record().id

    @pytest.mark.parametrize("field", ["actor", "estate_version", "app_version", "body"])
    def test_the_id_does_not_depend_on_what_is_said(self, field: str) -> None:
        assert record(**{field: {"x": 1} if field == "body" else "other"}).id == record().id

    def test_fields_cannot_run_into_each_other(self) -> None:
        assert record(environment="a", tenant="bc").id != record(environment="ab", tenant="c").id
        assert record(environment=None, tenant="a").id != record(environment="a", tenant=None).id


class TestWrite:
    def test_is_there_byte_for_byte(self) -> None:
        container = MemoryBlobContainer()
        reference = write(container, record())
        assert contents(container) == {reference.name: record().data}
        assert reference.sha256 == sha256(record().data)
        assert read(container, reference.name) == record()

    def test_twice_is_once(self) -> None:
        container = MemoryBlobContainer()
        assert write(container, record()) == write(container, record())
        assert len(contents(container)) == 1

    def test_same_occasion_with_other_content_is_refused_and_kept_as_a_conflict(self) -> None:
        container = MemoryBlobContainer()
        first = write(container, record())
        for _ in range(2):
            with pytest.raises(RecordConflictError) as caught:
                write(container, record(body={"green": False}))
        assert contents(container)[first.name] == record().data
        assert caught.value.standing == first
        assert len(contents(container)) == 2
        conflict = read(container, caught.value.conflict.name)
        assert conflict.kind == Kind.CONFLICT
        assert conflict.body["green"] is False
        assert conflict.body["standing_record"] == {"name": first.name, "id": first.id, "sha256": first.sha256}

    def test_conflict_of_the_largest_and_deepest_records_is_kept_too(self) -> None:
        deep: object = "x" * 1_047_000
        for _ in range(60):
            deep = [deep]
        container = MemoryBlobContainer()
        write(container, record())
        with pytest.raises(RecordConflictError):
            write(container, record(body={"deep": deep}))
        assert len(contents(container)) == 2
