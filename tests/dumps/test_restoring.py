"""Dumps through a pipe into real databases: what arrives is what was dumped, whatever the format."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.postgres import PostgresCluster
from local.postgres.binaries import binary
from shared.backup_verification.dumps.content import custom_stream
from shared.backup_verification.dumps.damage import Damage, DamagedDumpError
from shared.backup_verification.dumps.parts import OpenedDump
from shared.platforms.dump_tools import PgRestore, RestoreTimeoutError
from tests.dumps.conftest import Made
from tests.dumps.memory import Container

TABLES = (
    "select sum(hashtextextended(m::text, 0)) from account_move m",
    "select sum(hashtextextended(l::text, 0)) from account_move_line l",
    "select sum(hashtextextended(a::text, 0)) from ir_attachment a",
    "select string_agg(convert_from(substr(lo_get(oid), 1, 6), 'latin1') || length(lo_get(oid)), ',' order by oid) "
    "from pg_largeobject_metadata",
    "select count(*) from pg_constraint",
    "select count(*) from pg_indexes where schemaname = 'public'",
    "select string_agg(sequencename || last_value, ',' order by sequencename) from pg_sequences",
)


def container_of(made: Made, kind: str) -> Container:
    if kind == "folder":
        return Container.with_folder(made.folder, "contoso/")
    file: Path = getattr(made, kind)
    return Container({file.name: file.read_bytes()})


@pytest.mark.parametrize("kind", ["custom", "folder", "packed", "tar", "uncompressed"])
def test_a_dump_of_any_format_comes_back_through_a_pipe(cluster: PostgresCluster, made: Made, kind: str) -> None:
    target = f"restored_{kind}"
    cluster.run_sql(f"create database {target}")
    archive = b"".join(custom_stream(container_of(made, kind).open(), ""))
    done = subprocess.run(
        [binary("pg_restore"), "--format=custom", "--exit-on-error", "--no-owner", "--dbname", cluster.dsn(target)],
        input=archive,
        capture_output=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    for query in TABLES:
        assert cluster.run_sql(query, database=target) == cluster.run_sql(query, database="contoso")
    cluster.run_sql(f"drop database {target} with (force)")


def test_a_part_that_is_missing_ends_the_restore_with_its_name(made: Made) -> None:
    container = container_of(made, "folder")
    dump = container.only_dump()
    lost = next(facts.name for facts in container.list() if facts.name.endswith(".gz"))
    container.blobs.delete(lost)
    tool = PgRestore(str(binary("pg_restore")), 60)
    with pytest.raises(DamagedDumpError) as told:
        tool.decode(custom_stream(OpenedDump(container, dump), ""))
    assert told.value.damage is Damage.MISSING_PART


def test_the_program_decodes_what_python_cannot_unpack(made: Made, cluster: PostgresCluster, tmp_path: Path) -> None:
    from shared.backup_verification.dumps.content import examine_content
    from shared.backup_verification.dumps.levels import Level
    from tests.dumps.making import dump, flip

    for method in ("zstd", "lz4"):
        try:
            file = dump(cluster.dsn("contoso"), tmp_path / f"{method}.dump", f"--compress={method}")
        except subprocess.CalledProcessError as refused:
            pytest.skip(f"this pg_dump cannot write {method}: {refused.stderr.decode()[:200]}")
        data = file.read_bytes()
        content = examine_content(Container({"contoso.dump": data}).open(), Level.DECODED, "contoso", "")
        assert (content.needs_program, content.level, content.damage) == (True, Level.LISTED, None)
        tool = PgRestore(str(binary("pg_restore")), 60)
        assert tool.decode([data]).errors == 0
        if method == "zstd":  # pg_dump writes lz4 without checksums: only a stored one of all sees this
            assert tool.decode([flip(data, len(data) - 300)]).errors > 0


def test_a_program_that_is_too_old_or_hangs_or_meets_no_dump_says_so(made: Made, tmp_path: Path) -> None:
    data = made.custom.read_bytes()
    assert PgRestore(str(binary("pg_restore")), 60).decode([data[:6] + b"\x63" + data[7:]]).complaints == (
        "unsupported version (1.99) in file header",
    )
    (complaint,) = PgRestore(str(binary("pg_restore")), 60).decode([b"nothing"]).complaints
    assert complaint

    def endless() -> Iterator[bytes]:
        yield data
        while True:
            yield bytes(1 << 16)

    hanging = tmp_path / "pg_restore"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(0o755)
    with pytest.raises(RestoreTimeoutError):
        PgRestore(str(hanging), 0.3).decode(endless())
