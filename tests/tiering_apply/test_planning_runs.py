"""What a run of the whole app plans from: inventory reports, verified dumps, and the account's own rules."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import polars as pl
import pytest
from azure.core.exceptions import ResourceNotFoundError

from shared.backup_verification.books import Books
from shared.backup_verification.dumps import register
from shared.backup_verification.dumps.content import Content
from shared.backup_verification.dumps.levels import Level
from shared.backup_verification.dumps.plan import DumpPlan, Restored, conclude, dump_id, scratch_name
from shared.platforms import blobs
from tests.storage_tiering.test_inventory import FIELDS, document, signed
from tests.tiering_apply.running import DATA, ESTATE, App, app
from tests.tiering_apply.world import Documents, Service

PLACES = """
          {container}: {{ class: export }}
          many: {{ class: export }}
          dumps: {{ class: backup }}
          logs: {{ class: log }}
          inventory: {{ class: nothing }}
        inventory: docs/inventory
storage_tiering:
  classes:
    export: {{ cool_after: 1s, smallest: 1KiB }}
    backup: {{ backup: true, keep: {{ last: 1 }} }}
    nothing: {{}}
    log: {{ cool_after: 30d, delete_after: 365d, smallest: 0B }}
  at: "00:00"
  list_up_to: 40
  native_rules: export
  deletions: {{ count: 1000, share: 50% }}
changes: """
DECLARED = ESTATE.partition("          {container}")[0] + PLACES.lstrip("\n") + ESTATE.partition("\nchanges:")[2]
DAY = timedelta(days=1)
_later = count()


@pytest.fixture(scope="module")
def containers(running: Service) -> dict[str, Documents]:
    return {name: running.container(name) for name in ("papers", "many", "dumps", "logs", "inventory")}


@pytest.fixture(scope="module")
def _module_app(
    running: Service, containers: dict[str, Documents], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    with app(running, tmp_path_factory.mktemp("app"), "papers", estate=DECLARED) as started:
        yield started


@pytest.fixture
def running_app(_module_app: App) -> Iterator[App]:
    """The app, which was told of no report."""
    with suppress(ResourceNotFoundError):
        _module_app.state.get_blob_client("state-papers", "tiering/inventories/docs.json").delete_blob()
    _module_app.service.reset()
    yield _module_app
    _module_app.service.reset()


# --- inventory -------------------------------------------------------------------------------------------------------


class Inventory:
    """A report of `papers` as Azure writes it, and the event that tells of it."""

    def __init__(self, started: App, containers: dict[str, Documents]) -> None:
        self._app, self._at = started, datetime.now(UTC)
        self._blobs, self._into = containers["papers"].owner, containers["inventory"].owner
        self._folder = f"{next(_later):04}"
        self.file = f"{self._folder}/all_000000.parquet"
        self.manifest = f"{self._folder}/all-manifest.json"

    def write(self) -> None:
        """The report's file, its manifest, and last the checksum."""
        rows = self._rows()
        written = io.BytesIO()
        rows.write_parquet(written)
        definition = document([], 0)["ruleDefinition"]
        told, checksum = signed(
            document(
                [(self.file, len(written.getvalue()))],
                rows.height,
                inventoryStartTime=self._at.isoformat(),
                inventoryCompletionTime=self._at.isoformat(),
                ruleDefinition=definition | {"filters": {"prefixMatch": ["papers"]}},
            )
        )
        self._into.upload_blob(self.file, written.getvalue())
        self._into.upload_blob(self.manifest, told)
        self._into.upload_blob(self.manifest.replace(".json", ".checksum"), checksum)

    def put(self, name: str, change: slice) -> None:
        """Cut a blob of the report."""
        self._into.upload_blob(name, self._into.download_blob(name).readall()[change], overwrite=True)

    def delete(self, name: str) -> None:
        """Lose a blob of the report."""
        self._into.delete_blob(name)

    def tell(self) -> None:
        """Deliver the event, twice."""
        scheduled = f"{self._at:%Y-%m-%dT%H:%M:%S.%f}0Z"
        data = {
            "scheduleDateTime": scheduled,
            "accountName": "docs",
            "ruleName": "all",
            "policyRunStatus": "Succeeded",
            "policyRunId": self._folder,
            "manifestBlobUrl": f"https://docs.blob.core.windows.net/inventory/{self.manifest}",
        }
        for _ in range(2):
            assert self._app.tell("Microsoft.Storage.BlobInventoryPolicyCompleted", data, event=self._folder) == 202

    def _rows(self) -> pl.DataFrame:
        times = ("Creation-Time", "Last-Modified", "AccessTierChangeTime", "ImmutabilityPolicyUntilDate")
        kinds = {name: pl.Datetime("ms", "UTC") for name in times}
        fields = [name for name in FIELDS if name not in ("VersionId", "IsCurrentVersion", "Tags")]
        empty = dict.fromkeys(fields, None)
        return pl.DataFrame(
            [
                empty
                | {
                    "Name": f"papers/{blob.name}",
                    "Creation-Time": blob.creation_time,
                    "Last-Modified": blob.last_modified,
                    "Content-Length": blob.size,
                    "BlobType": "BlockBlob",
                    "AccessTier": str(blob.blob_tier),
                    "LeaseStatus": "unlocked",
                    "LegalHold": False,
                    "Etag": blob.etag,
                }
                for blob in self._blobs.list_blobs()
            ],
            schema_overrides=kinds | {"ArchiveStatus": pl.String, "Content-Type": pl.String},
        )


def decided(started: App) -> dict[str, Any]:
    """What the latest plan of the account says, but for when and by whom it was made."""
    plan = started.api.get("/tiering/accounts/production/docs").json()
    return {name: plan[name] for name in ("containers", "seen", "moves", "deletions", "blocked", "native")}


def test_a_plan_from_an_inventory_report_is_the_plan_from_a_listing(
    running_app: App, containers: dict[str, Documents]
) -> None:
    papers = containers["papers"]
    papers.empty()
    due = [f'2026/{number:03} ü, "x".pdf' for number in range(30)]
    papers.fill(due, data=DATA)
    papers.fill(["2026/tiny.txt"])
    papers.await_age(1)
    running_app.run("listed", account="docs", container="papers", dry_run=True)
    listed = decided(running_app)
    assert listed["containers"]["papers"]["moves"] == 30
    running_app.proxy.forget()
    report = Inventory(running_app, containers)
    report.write()
    report.tell()
    running_app.run("reported", account="docs", container="papers", dry_run=True)
    assert decided(running_app) == listed
    assert running_app.proxy.count("list") == 0
    ended = running_app.run("real", account="docs", container="papers")
    assert ended["outcome"] == "completed"
    assert papers.tiers() == {**dict.fromkeys(due, "Cool"), "2026/tiny.txt": "Hot"}


def test_a_large_container_is_planned_from_its_inventory_only(
    running_app: App, containers: dict[str, Documents]
) -> None:
    for name in ("papers", "many"):
        containers[name].empty()
        containers[name].fill([f"{number:03}" for number in range(41)], data=DATA)
        containers[name].await_age(1)
    report = Inventory(running_app, containers)
    report.write()
    report.tell()
    told = running_app.run("large", account="docs", container="many")
    assert told["problems"] == [
        "docs/many: more than 40 blobs (storage_tiering.list_up_to): give the account an inventory"
    ]
    assert told["changes"] == []
    planned = running_app.run("large-reported", account="docs", container="papers", dry_run=True)
    assert planned["problems"] == []
    assert planned["changes"][0]["planned"]["steps"] == 41


def test_a_damaged_report_moves_nothing_and_says_why(running_app: App, containers: dict[str, Documents]) -> None:
    papers = containers["papers"]
    papers.empty()
    papers.fill([f"{number:03}" for number in range(9)], data=DATA)
    papers.await_age(1)
    damages: dict[str, Callable[[Inventory], None]] = {
        "it is truncated": lambda it: it.put(it.file, slice(-50)),
        "does not have the MD5": lambda it: it.put(it.manifest, slice(-1)),
        "is not there": lambda it: it.delete(it.file),
        "there is no": lambda it: it.delete(it.manifest),
    }
    told: list[Inventory] = []
    for number, (word, damage) in enumerate(damages.items()):
        report = Inventory(running_app, containers)
        report.write()
        damage(report)
        report.tell()
        ended = running_app.run(f"damaged-{number}", account="docs", container="papers")
        assert ended["outcome"] == "incomplete"
        assert ended["changes"] == []
        (problem,) = ended["problems"]
        assert word in problem
        told.append(report)
    assert running_app.proxy.moved() == {}
    assert set(papers.tiers().values()) == {"Hot"}
    whole = Inventory(running_app, containers)
    whole.write()
    whole.tell()
    told[-1].tell()  # an older event once more, late
    assert running_app.run("whole", account="docs", container="papers")["outcome"] == "completed"
    assert set(papers.tiers().values()) == {"Cool"}


# --- verified dumps --------------------------------------------------------------------------------------------------


def verify(started: App, dumps: Documents, name: str, level: Level) -> None:
    """Keep the verification of a dump, with its verdict, where the app keeps it."""
    now = datetime.now(UTC)
    blob = dumps.owner.get_blob_client(name).get_blob_properties()
    url = f"{started.proxy.url}/docs/dumps"
    verification = dump_id("production", "contoso", url, name, blob.etag, level, "")
    plan = DumpPlan(
        id=verification,
        environment="production",
        tenant="contoso",
        database="contoso",
        container_url=url,
        dump=name,
        signature=blob.etag,
        manifest=f"{name}.sha256",
        size=blob.size,
        last_modified=blob.last_modified,
        level=level,
        key="",
        scratch_id="",
        scratch_database=scratch_name(verification),
        requested_at=now,
        estate_version="1",
    )
    books = Books(
        database="contoso",
        tenant="contoso",
        moves=1,
        lines=2,
        hashed_moves=0,
        checks=(),
        findings=(),
        newest_write=None,
        source_newest_write=None,
        write_lag_seconds=None,
    )
    restored = level is Level.RESTORED
    content = Content(level=Level.DECODED, checksum=("sha256",))
    report = conclude(plan, content, Restored() if restored else None, books if restored else None, (), True, now)
    assert report.outcome == "passed"
    state = blobs.container(f"{started.service.azurite.account_url('app')}/state-papers")
    register.open_entry(state, plan)
    register.keep_report(state, report)
    if restored:
        register.keep_proof(state, report)


def test_the_newest_verified_dump_and_what_is_newer_stay_though_the_policy_drops_them(
    running_app: App, containers: dict[str, Documents]
) -> None:
    dumps = containers["dumps"]
    made = [f"contoso_2026-11-{day}.dump" for day in range(16, 20)]
    for name in made:
        for each in (name, f"{name}.sha256"):
            dumps.owner.upload_blob(each, sha256(name.encode()).hexdigest())
        dumps.await_age(1.1)  # so that each is newer than the one before: the service counts whole seconds

    def run(key: str) -> dict[str, int]:
        report = running_app.run(key, account="docs", container="dumps")
        assert report["outcome"] == "completed", report
        plan = running_app.api.get("/tiering/accounts/production/docs").json()
        return {row["reason"]: row["blobs"] for row in plan["blocked"]}

    newer = "newer than the newest verified backup"
    assert run("unverified") == {newer: 6}
    verify(running_app, dumps, made[1], Level.DECODED)
    assert run("decoded") == {newer: 6}
    assert len(dumps.tiers()) == 8
    verify(running_app, dumps, made[0], Level.RESTORED)
    verify(running_app, dumps, made[1], Level.RESTORED)
    assert run("restored") == {"part of the newest verified backup": 2, newer: 2}
    assert sorted(dumps.tiers()) == sorted(f"{name}{more}" for name in made[1:] for more in ("", ".sha256"))


def test_a_container_under_legal_hold_or_immutable_as_a_whole_is_left_alone(
    running_app: App, containers: dict[str, Documents]
) -> None:
    papers = containers["papers"]
    papers.empty()
    papers.fill([f"{number}.pdf" for number in range(5)], data=DATA)
    papers.await_age(1)
    account = running_app.service.azure.storage_accounts.named("docs")

    def planned(key: str) -> tuple[int, dict[str, int]]:
        running_app.run(key, account="docs", container="papers", dry_run=True)
        plan = running_app.api.get("/tiering/accounts/production/docs").json()
        return plan["containers"]["papers"]["moves"], {row["reason"]: row["blobs"] for row in plan["blocked"]}

    account.legal_holds.add("papers")
    try:
        assert planned("held") == (0, {"legal hold": 5})
        account.legal_holds.clear()
        account.immutable_days["papers"] = 365
        assert planned("immutable") == (0, {"immutable": 5})
    finally:
        account.legal_holds.clear()
        account.immutable_days.clear()
    assert planned("free") == (5, {})


# --- native rules ----------------------------------------------------------------------------------------------------


def test_what_native_rules_can_say_is_written_beside_those_of_others(
    running_app: App, containers: dict[str, Documents]
) -> None:
    theirs: dict[str, Any] = {
        "enabled": True,
        "name": "team-a",
        "type": "Lifecycle",
        "definition": {
            "actions": {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 9}}},
            "filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["theirs/"]},
        },
    }
    policies = running_app.service.azure.account_policies
    policies.set("docs", [{**theirs, "name": "closekeeper-old"}, theirs])
    for name in ("papers", "many", "dumps"):
        containers[name].empty()
    report = running_app.run("export", account="docs")
    assert [(one["action"], one["result"]) for one in report["changes"]] == [("export-rules", "succeeded")], json.dumps(
        report["changes"]
    )
    kept, ours = policies.rules("docs")
    assert json.dumps(kept) == json.dumps(theirs)
    assert ours["name"].startswith("closekeeper-log-")
    assert ours["definition"]["filters"]["prefixMatch"] == ["logs/"]
    assert ours["definition"]["actions"]["baseBlob"]["delete"] == {"daysAfterModificationGreaterThan": 365}
    assert running_app.run("export-again", account="docs")["changes"] == []
