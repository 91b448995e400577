"""A pooler that gives each transaction another backend is refused by name."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowvec.embedded import binaries
from support.commands import StartRowvec, run_rowvec
from support.postgres import Database
from support.reviews import Reviews
from support.skips import missing
from support.waiting import eventually

CONFIG = """
[databases]
* = {server}
[pgbouncer]
unix_socket_dir = {folder}
listen_addr =
listen_port = 6432
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits, options
logfile = {folder}/log
"""

Pool = Callable[..., str]


@pytest.fixture
def pool(database: Database, folder: Path) -> Iterator[Pool]:
    """Starts PgBouncer in a mode before the test's database; gives the DSN through it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        missing("pgbouncer", "no pgbouncer: apt-get install pgbouncer")
    running: list[subprocess.Popen[bytes]] = []

    def start(mode: str, size: int = 5) -> str:
        place = folder / f"pool-{database.name}"
        place.mkdir(mode=0o755)
        direct = conninfo_to_dict(database.dsn)
        server = f"host={direct['host']} user={direct['user']}"
        config = place / "pgbouncer.ini"
        config.write_text(CONFIG.format(server=server, folder=place, mode=mode, size=size))
        user = None
        if os.geteuid() == 0:
            user = binaries.system_user().pw_name
            shutil.chown(place, user)
        # It does not run as root; whom Postgres knows by the socket is the user that it runs as.
        running.append(subprocess.Popen([program, config], user=user, stderr=subprocess.DEVNULL))
        dsn = make_conninfo(database.dsn, host=str(place), port=6432)

        def answers() -> bool:
            try:
                with psycopg.connect(dsn):
                    return True
            except psycopg.OperationalError:
                return False

        eventually(answers)
        return dsn

    yield start
    for process in running:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("command", [("backfill", "reviews"), ("sync",)])
def test_transaction_mode_is_refused_and_leaves_nothing(
    pool: Pool, reviews: Reviews, command: tuple[str, ...], size: int
) -> None:
    reviews.make(5)
    done = run_rowvec(*command, "--dsn", pool("transaction", size))
    assert done.returncode == 1
    assert "a pooler such as PgBouncer in transaction mode" in done.stderr
    assert "connect directly" in done.stderr
    assert reviews.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    assert reviews.one("SELECT count(*) FROM rowvec.job") == 0


def test_session_mode_serves(pool: Pool, reviews: Reviews) -> None:
    reviews.make(5)
    done = run_rowvec("backfill", "reviews", "--dsn", pool("session"))
    assert (done.returncode, reviews.filled()) == (0, 5), done.stderr


def test_locks_that_others_hold_stop_no_sync_and_no_backfill(
    database: Database, reviews: Reviews, start: StartRowvec
) -> None:
    """As a pooled connection left them, or a stranger took them."""
    reviews.make(5)
    with database.connect() as stray:
        stray.execute(
            "SELECT pg_advisory_lock_shared(hashtextextended("
            " 'rowvec.sync.candidate:' || id, 0)),"
            " pg_advisory_lock(hashtextextended('rowvec.sync:' || id, 0)),"
            " pg_advisory_lock(hashtextextended('rowvec.frontier:' || id, 0)) FROM rowvec.embedding"
        )
        start("backfill", "reviews", "--limit", "2", "--json").end()
        assert reviews.filled() == 2
        start("sync")
        eventually(lambda: reviews.filled() == 5)
