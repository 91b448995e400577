"""Faults 40 to 42, 44 and 54: a Postgres that dies, stands by, or is full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from rowvec.db.schema import migrate
from rowvec.embedded import binaries
from rowvec.embedded.postgres import PostgresCluster
from support.commands import StartRowvec
from support.endpoints import Gate
from support.postgres import Database
from support.reviews import Reviews
from support.skips import missing
from support.waiting import eventually
from support.workers import Worker, point_at

# Each starts servers and commands, one after the other.
pytestmark = pytest.mark.timeout(400)

MOUNT, UMOUNT = (shutil.which(name) or name for name in ("mount", "umount"))
PARAMETERS = {"max_connections": "40", "max_prepared_transactions": "5", "wal_level": "replica"}


@pytest.fixture(scope="module")
def primary(folder: Path) -> Iterator[PostgresCluster]:
    """A Postgres that keeps what it commits, whatever happens to it."""
    cluster = PostgresCluster(folder / "primary", PARAMETERS)
    cluster.create()
    hba = cluster.data / "pg_hba.conf"
    hba.write_text(hba.read_text() + "local replication all peer map=owner\n")
    cluster.start()
    yield cluster
    cluster.stop(immediate=True)


@pytest.fixture
def home(primary: PostgresCluster, worker: Worker, request: pytest.FixtureRequest) -> Iterator[str]:
    """The DSN of a migrated database in it."""
    name = f"db_{request.node.name.split('_')[2]}"
    with psycopg.connect(primary.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    migrate(primary.dsn(name), search_path=False)
    point_at(Database(name, primary), worker)
    yield primary.dsn(name)
    with psycopg.connect(primary.dsn(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def copy_of(primary: PostgresCluster, root: Path, *, standby: bool) -> Iterator[PostgresCluster]:
    """A second server from a base backup of the first, which follows nobody."""
    other = PostgresCluster(root, PARAMETERS)
    other.create()
    shutil.rmtree(other.data)
    other.data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = binaries.system_user()
        os.chown(other.data, user.pw_uid, user.pw_gid)
    binaries.run(
        primary.binary("pg_basebackup"), "-D", str(other.data), "-h", str(primary.run), "-U",
        "postgres", "-X", "stream", "-c", "fast",
    )  # fmt: skip
    if standby:
        (other.data / "standby.signal").touch()
    other.start()
    try:
        yield other
    finally:
        other.stop(immediate=True)


def test_fault_40_postgres_is_killed_and_restarted(
    primary: PostgresCluster, home: str, start_rowvec: StartRowvec, gate: Gate
) -> None:
    with psycopg.connect(home, autocommit=True) as connection:
        reviews = Reviews(connection)
        reviews.make(400, "gated")
        gate.hold(after=200)
        job = start_rowvec("backfill", "reviews", "--json", "--commit-rows", "20", ROWVEC_DSN=home)
        eventually(lambda: gate.waiting)
        pid = primary.pid()
        assert pid is not None
        children = psutil.Process(pid).children(recursive=True)
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs(children, timeout=60)
    primary.start()
    gate.open()
    summary, said = job.end()
    assert "answered again" in said
    assert summary["pending"] == 0
    with psycopg.connect(home, autocommit=True) as connection:
        reviews = Reviews(connection)
        assert reviews.filled() == 400
        assert reviews.are_right()


def test_fault_41_a_failover_that_lost_commits(
    primary: PostgresCluster, home: str, start_rowvec: StartRowvec, folder: Path
) -> None:
    """What the survivor does not have is pending there, because the row itself says so."""
    with psycopg.connect(home, autocommit=True) as connection:
        reviews = Reviews(connection)
        reviews.make(300)
        start_rowvec(
            "backfill", "reviews", "--limit", "100", "--commit-rows", "50", ROWVEC_DSN=home
        ).end()
        with copy_of(primary, folder / "survivor", standby=False) as survivor:
            start_rowvec("backfill", "reviews", ROWVEC_DSN=home).end()
            assert reviews.filled() == 300
            there = survivor.dsn(connection.info.dbname)
            with psycopg.connect(there, autocommit=True) as other:
                assert Reviews(other).filled() == 100
                summary, _ = start_rowvec("backfill", "reviews", "--json", ROWVEC_DSN=there).end()
                assert (summary["written"], summary["pending"]) == (200, 0)
                assert Reviews(other).are_right()


def test_fault_42_a_standby_is_waited_for(
    primary: PostgresCluster, home: str, start_rowvec: StartRowvec, folder: Path
) -> None:
    with psycopg.connect(home, autocommit=True) as connection:
        Reviews(connection).make(100)
        # Indexed, so that nothing but the writes of the job itself is refused.
        start_rowvec("backfill", "reviews", "--limit", "1", ROWVEC_DSN=home).end()
        name = connection.info.dbname
    with copy_of(primary, folder / "standby", standby=True) as standby:
        there = standby.dsn(name)
        _, said = start_rowvec(
            "backfill", "reviews", "--worker-wait-seconds", "0.5", ROWVEC_DSN=there
        ).end(code=1)
        assert "read-only" in said
        waiting = start_rowvec("backfill", "reviews", "--json", ROWVEC_DSN=there)
        with psycopg.connect(there, autocommit=True) as other:
            tried = (
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowvec backfill'"
            )
            eventually(lambda: other.execute(tried).fetchone() != (0,))
            other.execute("SELECT pg_promote()")
            assert waiting.end()[0]["pending"] == 0
            assert Reviews(other).are_right()


class SmallDisk:
    """A database on a file system of its own, which can be given more room."""

    def __init__(self, primary: PostgresCluster, place: Path) -> None:
        self.dsn = primary.dsn("full_disk")
        self._place = place

    def resize(self, size: str) -> None:
        command = [MOUNT, "-o", f"remount,size={size}", str(self._place)]
        subprocess.run(command, check=True)


@pytest.fixture
def small_disk(primary: PostgresCluster, folder: Path, worker: Worker) -> Iterator[SmallDisk]:
    """A megabyte and a half at first, in the tablespace `small`."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    if os.geteuid() != 0:
        missing("mount", "only root mounts a file system")
    mount = [MOUNT, "-t", "tmpfs", "-o", "size=1536k,mode=0700", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        missing("mount", "no file system can be mounted here")
    user = binaries.system_user()
    os.chown(place, user.pw_uid, user.pw_gid)
    disk = SmallDisk(primary, place)
    with psycopg.connect(primary.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        try:
            admin.execute("CREATE DATABASE full_disk")
            migrate(disk.dsn, search_path=False)
            point_at(Database("full_disk", primary), worker)
            yield disk
        finally:
            # Postgres writes what is left in there, or takes no checkpoint ever again.
            disk.resize("400m")
            admin.execute("DROP DATABASE full_disk WITH (FORCE)")
            admin.execute("DROP TABLESPACE small")
            subprocess.run([UMOUNT, "-l", str(place)], check=True)


def test_fault_44_a_full_disk_pauses_the_job(
    small_disk: SmallDisk, start_rowvec: StartRowvec
) -> None:
    """It says of what kind the trouble is, waits, and goes on where there is room again."""
    with psycopg.connect(small_disk.dsn, autocommit=True) as connection:
        reviews = Reviews(connection)
        reviews.make(10_000)
        connection.execute("ALTER TABLE reviews SET TABLESPACE small")
        job = start_rowvec(
            "backfill",
            "reviews",
            "--json",
            "--worker-wait-seconds",
            "100",
            ROWVEC_DSN=small_disk.dsn,
        )
        refused = (
            "SELECT xact_rollback > 2 FROM pg_stat_database WHERE datname = current_database()"
        )
        eventually(lambda: reviews.filled() > 1000)
        eventually(lambda: reviews.one(refused))
        # It writes nothing, but it lives: it waits.
        assert job.process.poll() is None
        small_disk.resize("200m")
        summary, said = job.end()
        assert "disk full (53100)" in said
        assert (summary["pending"], reviews.filled()) == (0, 10_000)
        assert reviews.one("SELECT max(writes) FROM reviews") == 1


def test_fault_54_a_prepared_transaction(home: str, start_rowvec: StartRowvec) -> None:
    with psycopg.connect(home, autocommit=True) as connection:
        reviews = Reviews(connection)
        reviews.make(10)
        for statement in (
            "BEGIN", "INSERT INTO reviews VALUES (11, 'prepared')",
            "UPDATE reviews SET body = 'prepared too' WHERE id = 1", "PREPARE TRANSACTION 'mine'",
        ):  # fmt: skip
            connection.execute(statement)
        connection.execute("COMMIT PREPARED 'mine'")
        assert (
            start_rowvec("backfill", "reviews", "--json", ROWVEC_DSN=home).end()[0]["written"] == 11
        )
        assert reviews.are_right()
