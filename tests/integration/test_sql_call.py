"""The line from a session to the worker: down, killed, frozen, cancelled, timed out."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

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
"""

# Two seconds of work.
LONG = (
    "SELECT count(*) FROM rowvec.embed_batch("
    "'slow', ARRAY(SELECT %s || g FROM generate_series(1, 100) AS g))"
)
SHORT = "SELECT rowvec.embed('stand-in', %s)::text"


@pytest.fixture
def own_worker(start_worker: Callable[..., Any]) -> Any:
    """A worker of this test's own, to stop, freeze and kill."""
    return start_worker(MODELS)


@pytest.fixture
def own_database(migrated_database: Any, own_worker: Any, point_at: Any) -> Any:
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


def kill(worker: Any) -> None:
    worker.process.kill()
    worker.process.wait()
    (Path(worker.folder) / ".s.PGSQL.5466").unlink(missing_ok=True)


def waits_for_worker(database: Any, pid: int) -> bool:
    """Whether that session is in the waiting loop of a call."""
    with database.connect() as watcher:
        event = one(watcher, "SELECT wait_event FROM pg_stat_activity WHERE pid = %s", pid)
    return bool(event == "PgSleep")


def test_worker_down(migrated_database: Any, point_at: Any, own_worker: Any, refused: Any) -> None:
    kill(own_worker)
    point_at(migrated_database, own_worker)
    with migrated_database.connect() as conn:
        start = time.monotonic()
        with refused("08001", "cannot reach the rowvec worker", "rowvec status") as refusal:
            conn.execute(SHORT, ("x",))
        assert time.monotonic() - start < 1
        assert "No such file" in refusal.detail
        assert "rowvec_" not in refusal.everything.replace("rowvec._", "")


def test_wrong_password(own_database: Any, refused: Any) -> None:
    with own_database.connect() as conn:
        conn.execute(
            "ALTER USER MAPPING FOR rowvec_caller SERVER rowvec_worker "
            "OPTIONS (SET password 'a wrong one')"
        )
        with refused("08001", "refused the password", "rowvec server set") as refusal:
            conn.execute(SHORT, ("x",))
        assert "a wrong one" not in refusal.everything


def test_no_password(own_database: Any, refused: Any) -> None:
    with own_database.connect() as conn:
        conn.execute("DROP USER MAPPING FOR rowvec_caller SERVER rowvec_worker")
        with refused("08001", "no password for the rowvec worker", "rowvec server set"):
            conn.execute(SHORT, ("x",))


def test_restart_between_calls_goes_unnoticed(
    conn: psycopg.Connection, own_worker: Any, start_worker: Any
) -> None:
    before = one(conn, SHORT, "x")
    kill(own_worker)
    start_worker(MODELS, socket_folder=own_worker.folder)
    assert one(conn, SHORT, "x") == before


def test_sigterm_between_calls_goes_unnoticed(
    conn: psycopg.Connection, own_worker: Any, start_worker: Any
) -> None:
    """The worker takes its leave on the open line before it closes it."""
    before = one(conn, SHORT, "x")
    own_worker.process.terminate()
    assert own_worker.process.wait(timeout=30) == 0
    start_worker(MODELS, socket_folder=own_worker.folder)
    assert one(conn, SHORT, "x") == before


def test_killed_in_the_middle(
    own_database: Any, own_worker: Any, start_worker: Any, refused: Any, eventually: Any
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


def test_engine_killed_in_the_middle(
    own_database: Any, conn: psycopg.Connection, own_worker: Any, eventually: Any
) -> None:
    """The listener starts another engine; the caller gets its vectors or one sentence."""
    pid = conn.info.backend_pid
    children = Path(f"/proc/{own_worker.process.pid}/task/{own_worker.process.pid}/children")
    conn.execute(SHORT, ("warm",))

    def strike() -> None:
        eventually(lambda: waits_for_worker(own_database, pid))
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)

    striker = threading.Thread(target=strike)
    striker.start()
    try:
        ending = str(one(conn, LONG, "e"))
    except psycopg.Error as exc:
        ending = str(exc.sqlstate)
    striker.join()
    assert ending in ("100", "58000", "08006")
    assert one(conn, SHORT, "after") == one(conn, SHORT, "after")


def test_frozen_worker_is_given_up_at_the_deadline(
    conn: psycopg.Connection, own_worker: Any, refused: Any
) -> None:
    one(conn, SHORT, "x")
    own_worker.process.send_signal(signal.SIGSTOP)
    try:
        start = time.monotonic()
        with refused("57000", "did not answer within 300 ms"):
            conn.execute("""SELECT rowvec.embed('stand-in', 'y', '{"timeout_ms": 300}')""")
        assert 0.3 < time.monotonic() - start < 1
    finally:
        own_worker.process.send_signal(signal.SIGCONT)
    assert one(conn, SHORT, "x") == one(conn, SHORT, "x")


def test_frozen_worker_before_the_line_is_there(
    conn: psycopg.Connection, own_worker: Any, refused: Any
) -> None:
    """The connecting itself has no limit of libpq's here: the statement's own ends it."""
    own_worker.process.send_signal(signal.SIGSTOP)
    try:
        conn.execute("SET statement_timeout = '300ms'")
        start = time.monotonic()
        with refused("57014"):
            conn.execute(SHORT, ("x",))
        assert time.monotonic() - start < 1
    finally:
        own_worker.process.send_signal(signal.SIGCONT)
    conn.execute("RESET statement_timeout")
    assert one(conn, SHORT, "x") == one(conn, SHORT, "x")


def test_deadline_of_the_database(conn: psycopg.Connection, refused: Any) -> None:
    conn.execute("UPDATE rowvec.setting SET value = '100' WHERE name = 'worker_deadline_ms'")
    with refused("57000"):
        conn.execute(LONG, ("d",))
    conn.execute("UPDATE rowvec.setting SET value = '60000' WHERE name = 'worker_deadline_ms'")
    assert one(conn, SHORT, "x") is not None


@pytest.mark.parametrize("ending", ["cancel", "statement_timeout"])
def test_interrupted_in_the_middle(
    own_database: Any, conn: psycopg.Connection, eventually: Any, ending: str
) -> None:
    """Back within 300 ms, and the next answer is the next question's."""
    other = own_database.connect()
    expected = one(other, SHORT, "after")
    other.close()
    late = []
    for n in range(3):
        pid, asked = conn.info.backend_pid, []

        def cancel(pid: int = pid, asked: list[float] = asked) -> None:
            eventually(lambda: waits_for_worker(own_database, pid))
            asked.append(time.monotonic())
            conn.cancel()

        if ending == "cancel":
            thread = threading.Thread(target=cancel)
            thread.start()
        else:
            conn.execute("SET statement_timeout = '200ms'")
            asked.append(time.monotonic() + 0.2)
        with pytest.raises(psycopg.errors.QueryCanceled):
            conn.execute(LONG, (f"{ending} {n} ",))
        late.append(time.monotonic() - asked[0])
        if ending == "cancel":
            thread.join()
        conn.execute("RESET statement_timeout")
        assert one(conn, SHORT, "after") == expected
    # The median: other work on the machine may hold up one of them.
    assert sorted(late)[1] < 0.3


def test_timeout_that_ends_after_the_deadline(conn: psycopg.Connection, refused: Any) -> None:
    conn.execute("SET statement_timeout = '30s'")
    with refused("57000"):
        conn.execute("""SELECT rowvec.embed('slow', 'z', '{"timeout_ms": 5}')""")


def test_cancelled_work_is_dropped(own_database: Any, eventually: Any) -> None:
    """What waited in the worker for a caller who left is never computed."""
    with own_database.connect() as other:
        threads = []
        sessions = [own_database.connect() for _ in range(5)]
        for n, session in enumerate(sessions):

            def run(session: psycopg.Connection = session, n: int = n) -> None:
                with pytest.raises(psycopg.errors.QueryCanceled):
                    session.execute(LONG, (f"dropped {n} ",))

            threads.append(threading.Thread(target=run))
            threads[-1].start()
        for session in sessions:
            pid = session.info.backend_pid
            eventually(lambda pid=pid: waits_for_worker(own_database, pid))
        for session in sessions:
            session.cancel()
        for thread in threads:
            thread.join()
        for session in sessions:
            session.close()
        # Behind all five: 10 s of work if it were not dropped.
        start = time.monotonic()
        other.execute("SELECT rowvec.embed('slow', 'behind them')")
        assert time.monotonic() - start < 6


def test_error_in_a_savepoint_keeps_the_line(conn: psycopg.Connection, refused: Any) -> None:
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


def test_terminated_session_leaves_the_worker_well(own_database: Any, eventually: Any) -> None:
    victim, killer = own_database.connect(), own_database.connect()
    pid = victim.info.backend_pid

    def strike() -> None:
        eventually(lambda: waits_for_worker(own_database, pid))
        killer.execute("SELECT pg_terminate_backend(%s)", (pid,))

    striker = threading.Thread(target=strike)
    striker.start()
    with pytest.raises(psycopg.OperationalError):
        victim.execute(LONG, ("terminated ",))
    striker.join()
    assert one(killer, SHORT, "x") is not None
    victim.close()
    killer.close()
