"""The line from a session to the worker: down, killed, frozen, cancelled, timed out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.postgres import Database, refused
from support.waiting import eventually
from support.workers import StartWorker, Worker, point_at

MODELS = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
max_tokens = 256

[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
max_tokens = 256
delay_ms_per_text = 20

[[model]]
name = "large"
kind = "stand-in"
dimensions = 8
max_tokens = 256
load_ms = 3600000
"""

# Two seconds of work.
LONG = (
    "SELECT count(*) FROM rowvec.embed_batch("
    "'slow', ARRAY(SELECT %s || g FROM generate_series(1, 100) AS g))"
)
SHORT = "SELECT rowvec.embed('stand-in', %s)::text"


@pytest.fixture
def own_worker(start_worker: StartWorker) -> Any:
    """A worker of this test's own, to stop, freeze and kill."""
    return start_worker(MODELS)


@pytest.fixture
def own_database(migrated_database: Database, own_worker: Worker) -> Any:
    point_at(migrated_database, own_worker)
    return migrated_database


@pytest.fixture
def conn(own_database: Any) -> Iterator[psycopg.Connection]:
    with own_database.connect() as connection:
        yield connection


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def kill(worker: Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    (Path(worker.folder) / ".s.PGSQL.5466").unlink(missing_ok=True)


def waits_for_worker(database: Database, pid: int) -> bool:
    """Whether that session is in the waiting loop of a call."""
    with database.connect() as watcher:
        event = one(watcher, "SELECT wait_event FROM pg_stat_activity WHERE pid = %s", pid)
    return bool(event == "PgSleep")


def test_no_password(own_database: Any) -> None:
    with own_database.connect() as conn:
        conn.execute("DROP USER MAPPING FOR rowvec_caller SERVER rowvec_worker")
        with refused("08001", "no password for the rowvec worker", "rowvec server set"):
            conn.execute(SHORT, ("x",))


def test_killed_in_the_middle(
    own_database: Any, own_worker: Worker, start_worker: StartWorker
) -> None:
    """One sentence, and after a restart the same session goes on."""
    conn = own_database.connect()
    pid = conn.info.backend_pid

    def strike() -> None:
        eventually(lambda: waits_for_worker(own_database, pid))
        kill(own_worker)

    striker = threading.Thread(target=strike)
    striker.start()
    with refused("08006", "the connection to the rowvec worker was lost", "try again"):
        conn.execute(LONG, ("k",))
    striker.join()
    with refused("08001", "cannot reach the rowvec worker"):
        conn.execute(SHORT, ("x",))
    start_worker(MODELS, socket_folder=own_worker.folder)
    assert one(conn, LONG, "k") == 100
    conn.close()


def test_deadline_of_the_database(conn: psycopg.Connection) -> None:
    conn.execute("UPDATE rowvec.setting SET value = '100' WHERE name = 'worker_deadline_ms'")
    with refused("57000"):
        conn.execute(LONG, ("d",))
    conn.execute("UPDATE rowvec.setting SET value = '60000' WHERE name = 'worker_deadline_ms'")
    assert one(conn, SHORT, "x") is not None


def test_timeout_that_ends_after_the_deadline(conn: psycopg.Connection) -> None:
    conn.execute("SET statement_timeout = '30s'")
    with refused("57000"):
        conn.execute("""SELECT rowvec.embed('slow', 'z', '{"timeout_ms": 5}')""")


def test_error_in_a_savepoint_keeps_the_line(conn: psycopg.Connection) -> None:
    expected = one(conn, SHORT, "x")
    with conn.transaction():
        for _ in range(3):
            with refused("42501"), conn.transaction():
                conn.execute("SELECT rowvec.embed('nope', 'x')")
            assert one(conn, SHORT, "x") == expected


def test_a_stale_answer_is_never_read(conn: psycopg.Connection) -> None:
    """Even a line that was left with an answer on it gives the right one next."""
    expected = one(conn, SHORT, "x")
    name = one(conn, "SELECT (rowvec_dblink.dblink_get_connections())[1]")
    request = '{"v":1,"op":"embed","model":"stand-in","inputs":["another text"]}'
    one(conn, "SELECT rowvec_dblink.dblink_send_query(%s, %s)", name, request)
    assert one(conn, SHORT, "x") == expected


def test_one_line_a_session(conn: psycopg.Connection) -> None:
    for text in ("a", "b", "c"):
        with conn.transaction(force_rollback=True):
            conn.execute(SHORT, (text,))
    assert one(conn, "SELECT cardinality(rowvec_dblink.dblink_get_connections())") == 1


def test_who_waited_frees_the_seat_of_the_spinning(conn: psycopg.Connection) -> None:
    one(conn, SHORT, "answered")
    with refused("22023"):
        conn.execute("""SELECT rowvec.embed('stand-in', 'x', '{"colour": 1}')""")
    for milliseconds in (20, 200):
        conn.execute(f"SET statement_timeout = {milliseconds}")
        with refused("57014"):
            conn.execute(LONG, ("cancelled",))
        conn.execute("RESET statement_timeout")
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    assert one(conn, held) == 0


def test_a_model_that_loads_for_longer_than_the_deadline_is_said_to(
    conn: psycopg.Connection,
) -> None:
    """The worker's sentence is waited for: that it did not answer is said of one that is mute."""
    with refused("57000", "large is still being loaded"):
        conn.execute("""SELECT rowvec.embed('large', 'x', '{"timeout_ms": 2000}')""")
    with refused("57000", "large is still being loaded, stand-in comes after it"):
        conn.execute("""SELECT rowvec.embed('stand-in', 'x', '{"timeout_ms": 2000}')""")
