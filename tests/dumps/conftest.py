"""Dumps of one generated database, in every format, made once per test process."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from local.odoo import Profile, generate
from local.postgres import PostgresCluster
from tests.dumps.making import dump, pack
from tests.local.odoo.conftest import AS_OF, cluster

__all__ = ["cluster"]


@dataclass(frozen=True, slots=True)
class Made:
    """The database's name and its dumps."""

    database: str
    custom: Path
    folder: Path
    packed: Path
    tar: Path
    plain: Path
    uncompressed: Path
    inserts: Path


@pytest.fixture(scope="session")
def made(cluster: PostgresCluster, tmp_path_factory: pytest.TempPathFactory) -> Made:
    name = "contoso"
    cluster.run_sql(f'create database "{name}"')
    dsn = cluster.dsn(name)
    import psycopg

    with psycopg.connect(dsn) as connection:
        generate(connection, Profile(database=name, as_of=AS_OF, journal_items=600))
        connection.execute("create role dump_reader")
        connection.execute("grant select on account_move to dump_reader")
        connection.execute("select lo_from_bytea(0, decode(repeat('c0ffee', 5000), 'hex')), lo_from_bytea(0, 'second')")
    folder = tmp_path_factory.mktemp("dumps")
    directory = dump(dsn, folder / "folder", "--format=directory")
    return Made(
        name,
        custom=dump(dsn, folder / "contoso.dump"),
        folder=directory,
        packed=pack(directory, folder / "packed.tar", toc_last=True),
        tar=dump(dsn, folder / "contoso.tar", "--format=tar"),
        plain=dump(dsn, folder / "contoso.sql", "--format=plain"),
        uncompressed=dump(dsn, folder / "uncompressed.dump", "--compress=none"),
        inserts=dump(dsn, folder / "inserts.dump", "--inserts"),
    )
