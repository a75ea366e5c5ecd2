"""A server's life: created, stopped, started, crashed, destroyed; and what is left when we are killed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.postgres import LoopbackAddresses, PostgresCluster, ServerFailedError
from tests.local.postgres.conftest import CreateCluster, create_cluster
from tests.local.postgres.processes_in import await_no_process_in, processes_in

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, addresses: LoopbackAddresses) -> Iterator[PostgresCluster]:
    """A server that each test leaves running."""
    folder = tmp_path_factory.mktemp("empty")
    cluster = create_cluster(folder, addresses)
    yield cluster
    cluster.destroy()


def test_data_outlives_stop_restart_and_crash(server: PostgresCluster) -> None:
    server.run_sql("CREATE TABLE note (number int)")
    server.run_sql("INSERT INTO note VALUES (1)")

    server.stop()
    assert not server.running
    with pytest.raises(psycopg.OperationalError):
        server.run_sql("SELECT 1")

    server.start()
    server.run_sql("INSERT INTO note VALUES (2)")
    server.restart()
    server.run_sql("INSERT INTO note VALUES (3)")
    server.kill()
    assert not server.running
    server.start()

    assert server.running
    assert server.run_sql("SELECT number FROM note ORDER BY number") == [(1,), (2,), (3,)]


def test_starting_and_stopping_twice_is_once(server: PostgresCluster) -> None:
    [(started,)] = server.run_sql("SELECT pg_postmaster_start_time()")

    server.start()
    assert server.run_sql("SELECT pg_postmaster_start_time()") == [(started,)]

    server.stop()
    server.stop()
    assert not server.running
    assert "lock file" not in server.log.read_text(), "a second one was started beside the first"
    server.start()


def test_a_server_that_ended_by_itself_is_not_running_and_starts_again(server: PostgresCluster) -> None:
    postmaster = int((server.data / "postmaster.pid").read_text().splitlines()[0])

    os.kill(postmaster, signal.SIGQUIT)
    await_no_process_in(server.data)

    assert not server.running
    server.start()
    assert server.run_sql("SELECT 1") == [(1,)]


def test_destroy_leaves_nothing_and_may_be_repeated(create: CreateCluster) -> None:
    server = create()
    home = server.home

    server.destroy()
    server.destroy()

    assert not home.exists()
    assert not os.path.lexists(server.folder)
    assert not processes_in(home)


def test_destroy_in_the_middle_of_a_backup(create: CreateCluster) -> None:
    server = create()
    outcome: list[Exception] = []

    def back_up() -> None:
        try:
            server.take_base_backup()
        except Exception as error:  # noqa: BLE001 - whichever it is
            outcome.append(error)

    backup = threading.Thread(target=back_up)
    backup.start()
    while not list(server.backup_store.folder.glob("*/data/*")):
        pass
    server.destroy()
    backup.join()

    assert outcome
    assert not server.home.exists()


def test_a_folder_in_use_is_refused_and_left_alone(server: PostgresCluster, addresses: LoopbackAddresses) -> None:
    with pytest.raises(FileExistsError):
        create_cluster(server.folder, addresses)
    assert server.run_sql("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_connections": 10}, "superuser_reserved_connections"),
        ({"address": "192.0.2.1"}, "could not create any TCP/IP sockets"),
    ],
)
def test_what_postgresql_refuses_is_said_and_leaves_nothing(
    create: CreateCluster, tmp_path: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(ServerFailedError, match=words):
        create("refused", **options)
    assert not os.path.lexists(tmp_path / "refused")


def test_two_servers_side_by_side_share_the_port_and_nothing_else(create: CreateCluster) -> None:
    one, other = create("one"), create("other")
    assert one.port == other.port
    assert one.address != other.address

    one.run_sql("CREATE DATABASE books")

    for server, databases in ((one, 1), (other, 0)):
        with psycopg.connect(
            host=server.address, port=server.port, user="clerk", password="correct horse", dbname="postgres"
        ) as connection:
            found = connection.execute("SELECT count(*) FROM pg_database WHERE datname = 'books'").fetchone()
            assert found == (databases,)
            assert connection.info.hostaddr == server.address


def test_connections_are_limited_as_on_azure(create: CreateCluster) -> None:
    server = create(max_connections=18)
    assert server.run_sql("SHOW max_connections") == [("18",)]
    login = psycopg.conninfo.make_conninfo(
        host=server.address, port=server.port, user="clerk", password="correct horse", dbname="postgres"
    )
    sessions = [psycopg.connect(login) for _ in range(3)]
    try:
        with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
            psycopg.connect(login)
        assert server.run_sql("SELECT 1") == [(1,)]
    finally:
        for session in sessions:
            session.close()


def test_contributed_modules_are_there(server: PostgresCluster) -> None:
    for extension in ("amcheck", "pg_trgm", "unaccent", "pg_stat_statements"):
        server.run_sql(f"CREATE EXTENSION {extension}")
    assert server.run_sql("SELECT count(*) FROM verify_heapam('pg_class')") == [(0,)]
    assert server.run_sql("SHOW data_checksums") == [("on",)]


_CREATE_AND_WAIT = """
import sys, time
from pathlib import Path
from local.postgres import LoopbackAddresses, PostgresCluster
addresses = LoopbackAddresses()
print("begun", flush=True)
server = PostgresCluster.create(
    Path(sys.argv[1]), address=addresses.allocate(), port=addresses.port,
    administrator="clerk", password="correct horse", certificate=None,
)
print(server.run_sql("SELECT 40 + 2"), flush=True)
time.sleep(float(sys.argv[2]))
server.destroy()
"""


def test_nothing_runs_on_when_we_are_killed(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with _python(_CREATE_AND_WAIT, folder, 600) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "begun\n"
        assert parent.stdout.readline() == "[(42,)]\n"
        home = folder.resolve()
        assert processes_in(home)
        parent.kill()

    await_no_process_in(home)
    PostgresCluster.discard(folder)
    assert not os.path.lexists(folder)
    assert not home.exists()


def test_nothing_runs_on_when_we_are_killed_while_a_server_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with _python(_CREATE_AND_WAIT, folder, 600) as parent:
        while not list(folder.glob("data/base/1")):
            assert parent.poll() is None
        home = folder.resolve()
        parent.kill()

    await_no_process_in(home)
    PostgresCluster.discard(folder)
    assert not os.path.lexists(folder)
    assert not home.exists()


def _python(program: str, *arguments: object) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test shows it when the tests themselves are not root's")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (package util-linux)")
def test_an_ordinary_user_needs_no_more(reachable_folder: Path) -> None:
    """Also the first use of the programs: they are unpacked by two processes at once."""
    caches = reachable_folder / "caches"
    # The right to read everything is for this checkout and its interpreter, which may be below /root.
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    as_nobody += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(caches), "HOME": "/nonexistent"}
    servers = [
        subprocess.Popen(
            [*as_nobody, sys.executable, "-c", _CREATE_AND_WAIT, reachable_folder / f"server{number}", "0"],
            cwd=CHECKOUT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for server in servers:
        with server:
            assert server.stdout
            assert server.stdout.read() == "begun\n[(42,)]\n"
        assert server.returncode == 0

    assert len(list((caches / "closekeeper").iterdir())) == 1
    assert [path.name for path in reachable_folder.iterdir()] == ["caches"]


def test_addresses_are_distinct_free_and_reusable() -> None:
    addresses = LoopbackAddresses()
    first, second = addresses.allocate(), addresses.allocate()
    assert first != second
    assert first.startswith("127.")

    addresses.release(first)
    assert addresses.allocate() == first


def test_an_address_that_somebody_listens_on_is_passed_over(
    create: CreateCluster, addresses: LoopbackAddresses
) -> None:
    taken = create().address
    addresses.release(taken)
    assert addresses.allocate() != taken
