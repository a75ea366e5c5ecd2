import ast
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from local.memory_blobs import MemoryBlobContainer
from shared.evidence import verify
from shared.evidence.canonical import canonical, sha256
from shared.evidence.pack import Choice, write_pack
from shared.evidence.record import Kind, write
from shared.evidence.verify import Seal, Verification
from tests.evidence.logs import MINUTE, NOON, Files, contents, record, seal, write_records

HOUR = timedelta(hours=1)
VERIFIER = Path(verify.__file__)


@cache
def log() -> MemoryBlobContainer:
    """Six seals of four records; the last of each seal is of staging; then one late record of the first hour."""
    container = MemoryBlobContainer()
    for step in range(6):
        time = NOON + step * HOUR
        write_records(container, range(step * 4, step * 4 + 3), time)
        write(
            container, record(step * 4 + 3, time + 30 * timedelta(seconds=1), environment="staging", kind=Kind.REFUSED)
        )
        seal(container, time + MINUTE)
    write(container, record(99, NOON + 2 * HOUR, actor="alice@contoso.example"))
    seal(container, NOON + 7 * HOUR)
    write_records(container, range(100, 103), NOON + 8 * HOUR)
    seal(container, NOON + 9 * HOUR)
    return container


def packed(choice: Choice, container: MemoryBlobContainer | None = None) -> bytes:
    destination = io.BytesIO()
    write_pack(container or log(), choice, destination)
    return destination.getvalue()


def opened(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


PERIOD = Choice(NOON + HOUR, NOON + 3 * HOUR)


@cache
def honest() -> dict[str, bytes]:
    return opened(packed(PERIOD))


def newest() -> Seal:
    return Seal(log().read("seals/00000008.json").data)


def names(files: dict[str, bytes], folder: str) -> list[str]:
    return sorted(name for name in files if name.startswith(folder))


class TestContent:
    def test_has_the_period_with_what_came_late_and_verifies(self) -> None:
        files = honest()
        assert len(names(files, "records/")) == len(names(files, "proofs/")) == 9
        assert any(b'"change:0099"' in data for data in files.values())
        assert names(files, "seals/") == [f"seals/{number:08}.json" for number in (1, 2, 3, 4, 5, 6, 7, 8)]
        assert len(names(files, "leaves/")) == 6
        result = Verification(Files(files), [newest()])
        assert result.problems == {}
        assert any("9 records, each as it was sealed, of 21 in seals 2 to 7" in note for note in result.notes)
        assert "published seal 8 is the one here" in result.notes

    @pytest.mark.parametrize(
        ("choice", "count"),
        [
            (Choice(NOON - HOUR, NOON + 12 * HOUR), 28),
            (Choice(NOON - HOUR, NOON + 12 * HOUR, environment="staging"), 6),
            (Choice(NOON - HOUR, NOON + 12 * HOUR, tenant="globex"), 14),
            (Choice(NOON - HOUR, NOON + 12 * HOUR, environment="production", tenant="acme"), 8),
            (Choice(NOON, NOON + timedelta(seconds=2)), 2),
            (Choice(NOON - 2 * HOUR, NOON - HOUR), 0),
            (Choice(NOON + 8 * HOUR, NOON + 9 * HOUR), 3),
            (Choice(NOON - HOUR, NOON + 12 * HOUR, tenant="nobody"), 0),
        ],
    )
    def test_holds_what_was_chosen(self, choice: Choice, count: int) -> None:
        expected = [
            name
            for name, data in contents(log()).items()
            if name.startswith("records/")
            and choice.start <= datetime.fromisoformat(json.loads(data)["time"]) < choice.end
            and choice.environment in (None, json.loads(data)["environment"])
            and choice.tenant in (None, json.loads(data)["tenant"])
        ]
        assert len(expected) == count
        files = opened(packed(choice))
        assert names(files, "records/") == expected
        assert found(files) == []

    def test_same_log_and_choice_are_the_same_bytes(self) -> None:
        assert packed(PERIOD) == packed(PERIOD)
        with zipfile.ZipFile(io.BytesIO(packed(PERIOD))) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}

    def test_needs_a_seal(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(3))
        with pytest.raises(LookupError, match="sealed"):
            packed(PERIOD, container)

    def test_an_old_period_does_not_drag_the_later_log_along(self) -> None:
        files = opened(packed(Choice(NOON, NOON + 10 * MINUTE)))
        assert names(files, "seals/") == ["seals/00000001.json", "seals/00000008.json"]
        assert len(names(files, "leaves/")) == 1
        assert found(files) == []

    def test_what_is_no_record_is_packed_and_named(self) -> None:
        container = MemoryBlobContainer()
        write_records(container, range(3))
        container.create("records/2026/11/22/20261122T120000.500000Z-note.txt", b"x")
        seal(container, NOON + MINUTE)
        files = opened(packed(Choice(NOON, NOON + HOUR), container))
        assert {code for code, _, _ in Verification(Files(files)).problems} == {"record-malformed"}
        assert b"not a record" in files["report.html"]


def found(files: dict[str, bytes], *published: Seal) -> list[tuple[str, str]]:
    return [(code, where) for code, where, _ in Verification(Files(files), published).problems]


def edit(files: dict[str, bytes], name: str, **members: object) -> None:
    files[name] = canonical(json.loads(files[name]) | members)


def list_as_is(files: dict[str, bytes]) -> None:
    """Make the manifest list the files as they are now, as a careful forger would."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {name: sha256(data) for name, data in files.items() if name != "manifest.json"}
    manifest["records"] = len(names(files, "records/"))
    files["manifest.json"] = canonical(manifest)


type Tampering = Callable[[dict[str, bytes]], str]


def record_altered(files: dict[str, bytes]) -> str:
    name = names(files, "records/")[3]
    edit(files, name, body={"after": {"replicas": 99}})
    return name


def record_removed(files: dict[str, bytes]) -> str:
    name = names(files, "records/")[3]
    del files[name], files["proofs/" + name.removeprefix("records/")]
    return name


def record_added(files: dict[str, bytes]) -> str:
    forged = record(700, NOON + 2 * HOUR)
    files[forged.name] = forged.data
    return forged.name


def record_added_from_after_the_newest_seal(files: dict[str, bytes]) -> str:
    forged = record(700, NOON + 20 * HOUR)
    files[forged.name] = forged.data
    return forged.name


def proofs_swapped(files: dict[str, bytes]) -> str:
    one, other = names(files, "proofs/")[2:4]
    files[one], files[other] = files[other], files[one]
    return one


def proof_of_another_renamed(files: dict[str, bytes]) -> str:
    one, other = names(files, "proofs/")[2:4]
    files[one] = files[other]
    edit(files, one, record="records/" + one.removeprefix("proofs/"))
    return one


def proof_altered(files: dict[str, bytes]) -> str:
    name = names(files, "proofs/")[2]
    path = json.loads(files[name])["path"]
    edit(files, name, path=["00" * 32, *path[1:]])
    return name


def proof_shortened(files: dict[str, bytes]) -> str:
    name = names(files, "proofs/")[2]
    edit(files, name, path=json.loads(files[name])["path"][:-1])
    return name


def proof_for_another_leaf(files: dict[str, bytes]) -> str:
    name = names(files, "proofs/")[2]
    edit(files, name, index=json.loads(files[name])["index"] + 1)
    return name


def proof_removed(files: dict[str, bytes]) -> str:
    name = names(files, "proofs/")[2]
    del files[name]
    return name


def proof_replaced(files: dict[str, bytes]) -> str:
    name = names(files, "proofs/")[2]
    files[name] = b"[]"
    return name


def leaf_list_altered(files: dict[str, bytes]) -> str:
    name = names(files, "leaves/")[1]
    edit(files, name, leaves=json.loads(files[name])["leaves"][1:])
    return name


def seal_removed(files: dict[str, bytes]) -> str:
    del files["seals/00000004.json"]
    return "seals/00000004.json"


def newest_seal_removed(files: dict[str, bytes]) -> str:
    del files["seals/00000008.json"]
    return "seals/00000008.json"


def seal_before_removed(files: dict[str, bytes]) -> str:
    del files["seals/00000001.json"]
    return "seals/00000001.json"


def seal_altered(files: dict[str, bytes]) -> str:
    edit(files, "seals/00000004.json", app_version="9.9.9")
    return "seals/00000004.json"


def newest_seal_of_another_log(files: dict[str, bytes]) -> str:
    """Its tree has the same size and is sound in itself, but did not grow from that of the pack."""
    container = MemoryBlobContainer()
    write_records(container, range(200, 228), NOON)
    seal(container, NOON + HOUR)
    forged = json.loads(container.read("seals/00000001.json").data)
    edit(files, "seals/00000008.json", **{key: forged[key] for key in ("root", "peaks")})
    return "seals/00000008.json"


def growth_altered(files: dict[str, bytes]) -> str:
    path = json.loads(files["consistency.json"])["path"]
    edit(files, "consistency.json", path=["00" * 32, *path[1:]])
    return "seals/00000008.json"


def growth_removed(files: dict[str, bytes]) -> str:
    del files["consistency.json"]
    return "seals/00000008.json"


def period_narrowed(files: dict[str, bytes]) -> str:
    edit(files, "manifest.json", to="2026-11-22T14:00:00.000000Z")
    return names(files, "records/")[-1]


def period_widened(files: dict[str, bytes]) -> str:
    """Now it seems that nothing else happened in the hour after."""
    edit(files, "manifest.json", to="2026-11-22T15:30:00.000000Z")
    return next(name for name in contents(log()) if "T1500" in name)


def tenant_claimed(files: dict[str, bytes]) -> str:
    edit(files, "manifest.json", tenant="acme")
    return next(name for name in names(files, "records/") if b'"globex"' in files[name])


def manifest_replaced(files: dict[str, bytes]) -> str:
    files["manifest.json"] = b'{"schema":"closekeeper.evidence.pack/1"}'
    return "manifest.json"


def manifest_broken(files: dict[str, bytes]) -> str:
    files["manifest.json"] = b"{"
    return "manifest.json"


CAREFUL = [
    (record_altered, "record-altered"),
    (record_removed, "record-missing"),
    (record_added, "record-unsealed"),
    (record_added_from_after_the_newest_seal, "record-unsealed"),
    (proofs_swapped, "proof-swapped"),
    (proof_of_another_renamed, "proof-wrong"),
    (proof_altered, "proof-wrong"),
    (proof_shortened, "proof-wrong"),
    (proof_for_another_leaf, "proof-wrong"),
    (proof_removed, "proof-missing"),
    (proof_replaced, "proof-wrong"),
    (leaf_list_altered, "leaves-altered"),
    (seal_removed, "seal-missing"),
    (newest_seal_removed, "seal-missing"),
    (seal_before_removed, "root-wrong"),
    (seal_altered, "seal-altered"),
    (newest_seal_of_another_log, "history-rewritten"),
    (growth_altered, "history-rewritten"),
    (growth_removed, "history-rewritten"),
    (period_narrowed, "manifest-wrong"),
    (period_widened, "record-missing"),
    (tenant_claimed, "manifest-wrong"),
]


def name_of(value: Any) -> str:
    return value.__name__ if callable(value) else str(value)


class TestTampering:
    @pytest.mark.parametrize("careful", [False, True])
    @pytest.mark.parametrize(("tamper", "code"), CAREFUL, ids=name_of)
    def test_is_named_even_when_the_manifest_is_made_to_fit(self, tamper: Tampering, code: str, careful: bool) -> None:
        files = dict(honest())
        where = tamper(files)
        if careful:
            list_as_is(files)
        assert (code, where) in found(files)

    @pytest.mark.parametrize("tamper", [manifest_replaced, manifest_broken], ids=name_of)
    def test_a_manifest_that_is_none(self, tamper: Tampering) -> None:
        files = dict(honest())
        tamper(files)
        assert ("manifest-wrong", "manifest.json") in found(files)

    @pytest.mark.parametrize("name", ["report.html", "verify.py"])
    def test_report_and_verifier_are_as_packed(self, name: str) -> None:
        files = {**honest(), name: honest()[name] + b" "}
        assert found(files) == [("file-altered", name)]
        del files[name]
        assert found(files) == [("file-missing", name)]

    def test_nothing_is_added(self) -> None:
        files = {**honest(), "note.txt": b"all is well"}
        assert found(files) == [("file-unlisted", "note.txt")]

    def test_a_record_of_another_tenant_in_a_filtered_pack(self) -> None:
        files = opened(packed(Choice(PERIOD.start, PERIOD.end, tenant="acme")))
        foreign = next(name for name in names(honest(), "records/") if b'"globex"' in honest()[name])
        for name in (foreign, "proofs/" + foreign.removeprefix("records/")):
            files[name] = honest()[name]
        list_as_is(files)
        assert found(files) == [("manifest-wrong", foreign)]

    def test_a_record_removed_from_a_filtered_pack(self) -> None:
        files = opened(packed(Choice(PERIOD.start, PERIOD.end, tenant="acme")))
        where = record_removed(files)
        assert ("record-missing", where) in found(files)
        assert any("only the whole log can show" in note for note in Verification(Files(files)).notes)

    def test_a_pack_of_another_log_against_the_published_seal(self) -> None:
        container = MemoryBlobContainer()
        for step in range(8):
            write_records(container, range(step * 4, step * 4 + 4), NOON + step * HOUR)
            seal(container, NOON + step * HOUR + MINUTE)
        files = opened(packed(PERIOD, container))
        assert found(files) == []
        assert found(files, newest()) == [("history-rewritten", "seals/00000008.json")]

    @pytest.mark.parametrize("name", sorted(honest()))
    def test_no_file_can_be_removed_unseen(self, name: str) -> None:
        files = dict(honest())
        del files[name]
        list_as_is(files) if name != "manifest.json" else None
        unbound = {"report.html", "verify.py"}  # nothing in the log speaks of these
        assert bool(found(files)) is (name not in unbound)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


class TestReport:
    def page(self, data: bytes) -> Page:
        page = Page()
        page.feed(data.decode())
        return page

    def test_tells_period_counts_people_and_the_seal_to_compare(self) -> None:
        text = " ".join(self.page(honest()["report.html"]).text.split())
        assert "2026-11-22 13:00 UTC to 2026-11-22 15:00 UTC · all environments · all tenants" in text
        assert "9 records 7 done and decided 2 refused, frozen, skipped 0 failures and findings" in text
        assert "alice@contoso.example applied 1" in text
        assert newest().sha256 in text
        assert "python3 verify.py" in text

    def test_links_only_to_what_is_in_the_pack(self) -> None:
        page = self.page(honest()["report.html"])
        links = [link for _, attributes in page.tags for key, link in attributes.items() if key in {"href", "src"}]
        assert sorted(link for link in links if link) == names(honest(), "records/")
        assert b"http" not in honest()["report.html"].replace(b"http-equiv", b"")
        assert not [tag for tag, _ in page.tags if tag in {"script", "link", "img", "iframe"}]

    def test_shows_what_was_written_as_text(self) -> None:
        container = MemoryBlobContainer()
        write(container, record(1, body={"reason": "<script>alert(1)</script>", "limits": {"low": 1, "high": [2]}}))
        write(container, record(2, kind="drill", body={"outcome": "failed"}))
        seal(container, NOON + MINUTE)
        data = opened(packed(Choice(NOON, NOON + HOUR), container))["report.html"]
        assert b"<script>" not in data
        assert b"&lt;script&gt;alert(1)" in data
        assert "0 refused, frozen, skipped 1 failures and findings" in " ".join(self.page(data).text.split())


class TestCommandLine:
    def run(self, *arguments: str | Path, cwd: Path | None = None) -> tuple[int, str]:
        """With nothing but the standard library: no site-packages, no environment, no project on the path."""
        done = subprocess.run(
            [sys.executable, "-I", "-S", *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=60
        )
        return done.returncode, done.stdout + done.stderr

    def folder(self, files: dict[str, bytes], place: Path) -> Path:
        for name, data in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        return place

    def test_runs_on_old_pythons(self) -> None:
        ast.parse(VERIFIER.read_text(), feature_version=(3, 9))

    def test_zip(self, tmp_path: Path) -> None:
        (tmp_path / "pack.zip").write_bytes(packed(PERIOD))
        code, output = self.run(VERIFIER, tmp_path / "pack.zip")
        assert (code, output.splitlines()[-1]) == (0, "intact")
        assert newest().sha256 in output

    def test_unpacked_by_its_own_verifier(self, tmp_path: Path) -> None:
        self.folder(honest(), tmp_path)
        assert self.run("verify.py", cwd=tmp_path)[0] == 0
        name = record_altered(files := dict(honest()))
        self.folder(files, tmp_path)
        code, output = self.run("verify.py", cwd=tmp_path)
        assert code == 1
        assert f"PROBLEM record-altered: {name} is not what seal" in output
        assert output.splitlines()[-1] == "2 problems"

    def test_exported_container_against_a_published_event(self, tmp_path: Path) -> None:
        self.folder(contents(log()), tmp_path / "evidence")
        event = tmp_path / "event.json"
        event.write_bytes(
            canonical({"specversion": "1.0", "data": {"seal": json.loads(log().read("seals/00000008.json").data)}})
        )
        code, output = self.run(VERIFIER, tmp_path / "evidence", "--published-seal", event)
        assert (code, "published seal 8 is the one here" in output) == (0, True)
        (tmp_path / "evidence" / "seals" / "00000008.json").unlink()
        code, output = self.run(VERIFIER, tmp_path / "evidence", "--published-seal", event)
        assert (code, "PROBLEM tail-truncated: published seal 8" in output) == (1, True)

    @pytest.mark.parametrize("kind", ["nothing", "empty", "no zip", "bad witness", "not json"])
    def test_nothing_to_verify(self, tmp_path: Path, kind: str) -> None:
        self.folder(contents(log()), tmp_path / "evidence")
        (tmp_path / "empty").mkdir()
        (tmp_path / "text").write_text("hello")
        (tmp_path / "other.json").write_text('{"schema": "other"}')
        arguments: dict[str, list[str | Path]] = {
            "nothing": [tmp_path / "none"],
            "empty": [tmp_path / "empty"],
            "no zip": [tmp_path / "text"],
            "bad witness": [tmp_path / "evidence", "--published-seal", tmp_path / "other.json"],
            "not json": [tmp_path / "evidence", "--published-seal", tmp_path / "text"],
        }
        code, output = self.run(VERIFIER, *arguments[kind])
        assert code == 2
        assert output.startswith("cannot verify: ")
        assert "Traceback" not in output
