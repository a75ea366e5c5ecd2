"""Dumps in Azurite, verified by the running app: told by events, by the schedule, by hand and by a drill."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from functions import dump_looks
from local.embedded_estate import EmbeddedEstate
from local.functions_host.faults import Faults
from tests.drills.running import App, app, as_the_app, declare
from tests.dumps.encrypting import encrypt, identity
from tests.dumps.making import dump, flip
from tests.long import variants

KEY = X25519PrivateKey.generate()


class Dumps:
    """The container of the example's dumps, and what the app makes of it."""

    def __init__(self, running: App, folder: Path) -> None:
        self.running, self.folder = running, folder
        self.container = running.estate.blobs("sterpbackup").get_container_client("dumps")
        self.cluster: Any = running.estate.server("production", "erp").cluster
        scratch = running.estate.declared.backup_verification.dumps.scratch  # type: ignore[union-attr]
        self.scratch: Any = running.estate.azure.flexible_server(str(scratch)).cluster

    def make(self, database: str = "contoso", *options: str) -> bytes:
        """A dump of a tenant's database as it is now."""
        return dump(self.cluster.dsn(database), self.folder / f"{database}.dump", *options).read_bytes()

    def upload(self, name: str, data: bytes, **options: Any) -> None:
        self.container.upload_blob(name, data, overwrite=True, **options)

    def tell(self, name: str, times: int = 1) -> None:
        """Event Grid's word that a blob was written, delivered so many times."""
        account = self.running.estate.environments["production"].storage["backups"].id
        event = {
            "topic": str(account),
            "subject": f"/blobServices/default/containers/dumps/blobs/{name}",
            "eventType": "Microsoft.Storage.BlobCreated",
            "eventTime": "2026-11-22T02:00:00Z",
            "id": "831e1650-001e-001b-66ab-eeb76e069631",
            "data": {"api": "PutBlob", "contentLength": 1, "blobType": "BlockBlob"},
            "dataVersion": "",
            "metadataVersion": "1",
        }
        for _ in range(times):
            answer = httpx.post(
                self.running.host.event_grid_url("dump_created"),
                json=[event],
                headers={"aeg-event-type": "Notification"},
                timeout=60,
            )
            assert answer.status_code == 202, answer.text

    def ask(self, name: str = "", level: str = "restored", tenant: str = "contoso") -> dict[str, Any]:
        """The report of a verification by hand."""
        body = {"environment": "production", "tenant": tenant, "dump": name, "level": level}
        headers = {"Idempotency-Key": f"{name}:{level}:{time.monotonic_ns()}"}
        answer = self.running.patiently(lambda: self.running.api.post("/api/backups/dumps", json=body, headers=headers))
        assert answer.status_code == 202, answer.text
        return self.report(answer.json()["id"])

    def report(self, verification: str) -> dict[str, Any]:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            answer = self.running.patiently(lambda: self.running.api.get(f"/api/backups/dumps/{verification}")).json()
            if answer.get("status") in {"completed", "failed", "terminated"}:
                assert answer["status"] == "completed", (answer, self.running.log())
                return answer["report"]
            time.sleep(0.05)
        raise AssertionError(f"{verification} is not over: {answer}\n{self.running.log()}")

    def await_reports(self, name: str, count: int) -> list[dict[str, Any]]:
        """What the app found out about a dump by itself, once there are so many verifications."""
        deadline = time.monotonic() + 60
        while True:
            listed = self.running.api.get("/api/backups/dumps").json()["value"]
            ids = [each["id"] for each in listed if each["dump"] == name]
            if len(ids) >= count or time.monotonic() > deadline:
                assert len(ids) == count, (listed, self.running.log())
                return [self.report(verification) for verification in ids]
            time.sleep(0.1)

    def databases(self) -> set[str]:
        """What is on the scratch server beside its own."""
        found = {name for (name,) in self.scratch.run_sql("select datname from pg_database")}
        return found - {"postgres", "template0", "template1"}


@pytest.fixture
def dumps(estate: EmbeddedEstate, tmp_path: Path) -> Iterator[Dumps]:
    estate.azure.vaults.put("kv-erp", {"dump-key": identity(KEY)})
    with app(estate, tmp_path / "host") as running:
        found = Dumps(running, tmp_path)
        _empty(found)
        yield found
        _empty(found)


def _empty(dumps: Dumps) -> None:
    for blob in dumps.container.list_blob_names():
        dumps.container.delete_blob(blob)
    for blob in dumps.running.estate.state.list_blob_names(name_starts_with="dump"):
        dumps.running.estate.state.delete_blob(blob)


def test_a_dump_is_verified_once_however_often_it_is_told(dumps: Dumps) -> None:
    data = dumps.make()
    name = "contoso/2026-11-22.dump"
    dumps.upload(name, data)
    dumps.upload(f"{name}.sha256", f"{hashlib.sha256(data).hexdigest()}  2026-11-22.dump\n".encode())
    dumps.tell(name, times=2)
    dumps.tell(f"{name}.sha256")
    (report,) = dumps.await_reports(name, 1)
    assert (report["outcome"], report["failures"], report["damage"]) == ("passed", [], None)
    assert (report["wanted"], report["level"]) == ("restored", "restored")  # nothing of the tenant was restored before
    assert report["content"]["checksum"] == ["its manifest", "the blob's Content-MD5"]
    (expected,) = [kept.summary for kept in dumps.running.estate.books if kept.tenant == "contoso"]
    assert (report["books"]["moves"], report["books"]["lines"]) == (expected.posted_moves, expected.journal_items)
    assert dumps.databases() == set()

    dumps.running.fire("dump_verification_tick")
    dumps.running.await_idle()
    dumps.await_reports(name, 1)
    (record,) = dumps.running.records(report["id"])
    assert (record["kind"], record["body"]["outcome"], record["tenant"]) == ("verified", "passed", "contoso")
    (event,) = dumps.running.events(report["id"])
    assert event["type"] == "Closekeeper.BackupVerification.DumpPassed"
    assert event["subject"] == f"environments/production/tenants/contoso/dumps/{name}"

    later = "contoso/2026-11-23.dump"  # which no event tells of
    dumps.upload(later, data)
    dumps.upload("fabrikam/readme.txt", b"not looked at")
    dumps.running.fire("dump_verification_tick")
    (second,) = dumps.await_reports(later, 1)
    assert (second["wanted"], second["level"]) == ("decoded", "decoded")  # the restore is not due again
    assert [finding["check"] for finding in second["findings"]] == []
    dumps.upload(later, flip(data, len(data) - 3000))  # the same name again, other bytes
    dumps.tell(later)
    reports = dumps.await_reports(later, 2)
    assert {each["damage"] for each in reports} == {None, "corrupt data"}


def test_a_container_that_is_not_there_hides_no_other(estate: EmbeddedEstate, dumps: Dumps, tmp_path: Path) -> None:
    file = Path(
        declare(
            estate,
            tmp_path,
            ("dumps: { class: backup }", "dumps: { class: backup }\n          gone: { class: backup }"),
        )
    )
    file.write_text(file.read_text().replace("dumps: backups/dumps", "dumps: backups/gone", 1))
    dumps.upload("fabrikam/1.dump", b"whatever it is")
    with as_the_app(estate, ESTATE_FILE=str(file)):
        found = [plan.dump for plan in dump_looks.due(datetime.now(UTC))]
    assert found == ["fabrikam/1.dump"]


def test_each_kind_of_dump_is_restored_and_each_injury_named(dumps: Dumps) -> None:
    data = dumps.make()
    folder = dumps.folder / "directory"
    dump(dumps.cluster.dsn("contoso"), folder, "--format=directory")
    for file in folder.iterdir():
        dumps.upload(f"contoso/folder/{file.name}", file.read_bytes())
    dumps.upload("contoso/whole.dump.age", encrypt(data, KEY))
    dumps.upload("contoso/foreign.dump.age", encrypt(data, X25519PrivateKey.generate()))
    dumps.upload("contoso/other.dump", dumps.make("fabrikam"))
    dumps.upload("contoso/empty.dump", b"")
    dumps.upload("contoso/cut.dump", data[: len(data) - 500])
    dumps.upload("contoso/plain.sql", dumps.make("contoso", "--format=plain"))
    dumps.upload("contoso/summed.dump", data, metadata={"sha256": "0" * 64})
    expected = {
        "contoso/folder/": ("passed", None, "restored"),
        "contoso/whole.dump.age": ("passed", None, "restored"),
        "contoso/foreign.dump.age": ("failed", "wrong key", None),
        "contoso/other.dump": ("failed", "another database's dump", "checksum"),
        "contoso/empty.dump": ("failed", "empty", None),
        "contoso/cut.dump": ("failed", "truncated in the data", "checksum"),
        "contoso/plain.sql": ("failed", "not supported", None),
        "contoso/summed.dump": ("failed", "checksum differs", "listed"),
    }
    reports = {name: dumps.ask(name) for name in expected}
    told = {name: (each["outcome"], each["damage"], each["level"]) for name, each in reports.items()}
    assert told == expected
    assert all(each["dropped"] for each in reports.values())
    assert dumps.databases() == set()
    lost = next(file.name for file in folder.iterdir() if file.name.endswith(".dat.gz"))
    dumps.container.delete_blob(f"contoso/folder/{lost}")
    assert dumps.ask("contoso/folder/")["damage"] == "missing part"


def test_books_that_were_broken_before_the_dump_are_seen_in_the_copy(dumps: Dumps) -> None:
    dumps.cluster.run_sql("create database contoso_broken template contoso")
    with psycopg.connect(dumps.cluster.dsn("contoso_broken")) as connection:
        connection.execute(
            "update account_move_line set debit = debit + 1 where id = (select min(id) from account_move_line)"
        )
    data = dump(dumps.cluster.dsn("contoso_broken"), dumps.folder / "broken.dump").read_bytes()
    dumps.cluster.run_sql("drop database contoso_broken with (force)")
    dumps.upload("contoso/broken.dump", data.replace(b"contoso_broken", b"contoso\0\0\0\0\0\0\0", 1))
    assert dumps.ask("contoso/broken.dump")["damage"] == "corrupt table of contents"
    length = data.index(b"contoso_broken") - 4
    renamed = data[:length] + (7).to_bytes(4, "little") + b"contoso" + data[length + 18 :]
    dumps.upload("contoso/broken.dump", renamed)
    report = dumps.ask("contoso/broken.dump")
    assert (report["outcome"], report["level"], report["damage"]) == ("failed", "restored", None)
    assert any(failure.startswith("posted moves balance") for failure in report["failures"])


def test_nothing_stays_when_a_verification_is_ended_and_others_databases_are_left_alone(dumps: Dumps) -> None:
    slow = dumps.folder / "pg_restore"
    data = dumps.make()
    dumps.upload("contoso/1.dump", data)
    dumps.scratch.run_sql("create database closekeeper_dump_of_somebody_else")
    dumps.scratch.run_sql("create database precious")
    assert slow
    body = {"environment": "production", "tenant": "contoso", "level": "restored"}
    verification = dumps.running.api.post("/api/backups/dumps", json=body).json()["id"]
    deadline = time.monotonic() + 60
    while len(dumps.databases()) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    dumps.running.terminate(verification)
    while dumps.running.api.get(f"/api/backups/dumps/{verification}").json()["status"] == "running":
        time.sleep(0.05)
    dumps.running.fire("dump_verification_tick")
    deadline = time.monotonic() + 60
    foreign = {"closekeeper_dump_of_somebody_else", "precious"}
    while dumps.databases() != foreign and time.monotonic() < deadline:
        dumps.running.fire("dump_verification_tick")
        dumps.running.await_idle()
    assert dumps.databases() == foreign
    for name in foreign:
        dumps.scratch.run_sql(f"drop database {name}")


def test_a_drill_of_dumps_restores_the_newest_of_each_tenant(dumps: Dumps) -> None:
    dumps.upload("contoso/1.dump", b"an old one, and no dump")
    dumps.upload("contoso/2.dump", dumps.make())
    drill = dumps.running.start_drill("dumps", kind="dump")
    report = dumps.running.await_drill(drill)["report"]
    assert (report["kind"], report["outcome"]) == ("dump", "failed")
    assert report["failures"] == ["fabrikam: none in backups/dumps"]
    (proven,) = report["dumps"]
    assert (proven["tenant"], proven["dump"], proven["level"]) == ("contoso", "contoso/2.dump", "restored")
    assert _proven_at(dumps) is None
    dumps.upload("fabrikam-2026-11-22.dump", dumps.make("fabrikam"))
    second = dumps.running.await_drill(dumps.running.start_drill("dumps again", kind="dump"))["report"]
    assert (second["outcome"], len(second["dumps"])) == ("passed", 2)
    (event,) = dumps.running.events(second["id"])
    assert event["type"] == "Closekeeper.BackupVerification.DrillPassed"
    assert dumps.databases() == set()
    assert _proven_at(dumps) == datetime.fromisoformat(second["requested_at"])


def _proven_at(dumps: Dumps) -> datetime | None:
    """Since when the server counts as proven."""
    covered = dumps.running.api.get("/api/drills/coverage").json()["value"]
    (server,) = [one for one in covered if (one["environment"], one["server"]) == ("production", "erp")]
    return datetime.fromisoformat(server["proven_at"]) if server["proven_at"] else None


@pytest.mark.parametrize("how", variants(["together"], ["late"]))
def test_every_activity_twice_is_one_verification(estate: EmbeddedEstate, tmp_path: Path, how: str) -> None:
    with app(estate, tmp_path / "host", Faults(deliver_twice=how)) as running:  # type: ignore[arg-type]
        dumps = Dumps(running, tmp_path)
        _empty(dumps)
        dumps.upload(f"contoso/{how}.dump", dumps.make())
        report = dumps.ask()
        assert (report["outcome"], report["level"], report["failures"]) == ("passed", "restored", [])
        assert len(running.records(report["id"])) == len(running.events(report["id"])) == 1
        running.await_idle()
        assert dumps.databases() == set()
        _empty(dumps)


def test_a_worker_that_dies_in_the_middle_changes_nothing(estate: EmbeddedEstate, tmp_path: Path) -> None:
    with app(estate, tmp_path / "host", Faults(kill_before=frozenset({5}), kill_after=frozenset({7}))) as running:
        dumps = Dumps(running, tmp_path)
        _empty(dumps)
        dumps.upload("contoso/1.dump", dumps.make())
        report = dumps.ask()
        assert (report["outcome"], report["level"], report["failures"]) == ("passed", "restored", [])
        assert dumps.databases() == set()
        _empty(dumps)


def test_what_the_app_cannot_do_is_said_with_the_remedy(estate: EmbeddedEstate, tmp_path: Path) -> None:
    with app(estate, tmp_path / "host", PG_RESTORE="/nowhere/pg_restore") as running:
        dumps = Dumps(running, tmp_path)
        _empty(dumps)
        dumps.upload("contoso/1.dump", dumps.make())
        report = dumps.ask()
        assert (report["outcome"], report["level"]) == ("failed", "decoded")
        assert "put PostgreSQL's client programs beside the app" in report["failures"][0]
        answer = running.api.post("/api/backups/dumps", json={"environment": "production", "tenant": "nobody"})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "/tenant"
        _empty(dumps)


def test_a_program_that_is_older_than_the_dump_is_told_by_the_version(estate: EmbeddedEstate, tmp_path: Path) -> None:
    old = shutil.which("pg_restore")
    version = subprocess.run([old, "--version"], capture_output=True, text=True, check=True).stdout if old else ""
    if not old or int(version.split()[2].partition(".")[0]) >= 16:
        pytest.skip("there is no pg_restore before 16 on this machine")
    with app(estate, tmp_path / "host", PG_RESTORE=old) as running:
        dumps = Dumps(running, tmp_path)
        _empty(dumps)
        dumps.upload("contoso/1.dump", dumps.make())
        report = dumps.ask()
        assert (report["outcome"], report["damage"]) == ("failed", "does not restore")
        assert "unsupported version (1.16) in file header" in report["failures"][0]
        _empty(dumps)
