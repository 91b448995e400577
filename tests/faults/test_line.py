"""Faults 1 to 8: what lies between a session and its worker goes away, stalls or is cut."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from rowvec.models.families.stand_in import derived_vector
from support.lines import Base, Proxy, Striker
from support.postgres import refused
from support.workers import StartWorker, Worker

SHORT = "SELECT rowvec.embed('stand-in', %s)::text"

# Two seconds of work.
LONG = (
    "SELECT count(*) FROM rowvec.embed_batch("
    "'slow', ARRAY(SELECT %s || g FROM generate_series(1, 100) AS g))"
)


def tag() -> str:
    """Texts that begin so were never asked for before: no cache has them."""
    return f"{uuid.uuid4().hex} "


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def is_right(text: str, written: str) -> bool:
    """Whether that is the text's own vector, not another's."""
    numbers = np.array(json.loads(written), dtype=np.float32)
    return bool((numbers == derived_vector(text, 8)).all())


def kill(worker: Worker) -> None:
    worker.process.kill()
    worker.process.wait()
    (Path(worker.folder) / ".s.PGSQL.5466").unlink(missing_ok=True)


@contextmanager
def frozen(worker: Worker) -> Iterator[None]:
    """The process that accepts is stopped; the kernel goes on to accept for it."""
    worker.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.process.send_signal(signal.SIGCONT)


def test_fault_01_worker_down(base: Base) -> None:
    """08001 at once and in clear words; nothing secret in them."""
    base.point_at(str(base.cluster.run), 5466, "a secret of the tests")
    with (
        base.connect() as conn,
        refused("08001", "cannot reach the", "rowvec worker starts one") as refusal,
    ):
        conn.execute(SHORT, ("x",))
    assert "No such file" in refusal.detail
    assert "rowvec_" not in refusal.everything.replace("rowvec._", "")
    assert "a secret of the tests" not in refusal.everything


@pytest.mark.parametrize("when", ["connecting", "sending", "waiting"])
def test_fault_02_packets_are_lost(
    through_proxy: psycopg.Connection, proxy: Proxy, while_it_waits: Striker, when: str
) -> None:
    """An error within seconds, not after the quarter of an hour that TCP takes by itself.

    The deadline of the request is an hour: it is not what ends the wait.
    """
    work = (
        "SELECT count(*) FROM rowvec.embed_batch('slow', ARRAY(SELECT %s || g FROM "
        "generate_series(1, 20000) AS g), " + """'{"timeout_ms": 3600000}')"""
    )
    if when != "connecting":
        one(through_proxy, SHORT, "x")
    if when == "waiting":
        with while_it_waits(through_proxy, proxy.lose_packets), refused("08001", "cannot reach"):
            through_proxy.execute(work, (tag(),))
    else:
        proxy.lose_packets()
        with refused("08001", "cannot reach the rowvec worker"):
            through_proxy.execute(work, (tag(),))


def test_fault_03_stopped_worker_on_an_open_line(
    conn: psycopg.Connection, shared_worker: Worker
) -> None:
    """The request's deadline ends it, and the session goes on afterwards."""
    before = one(conn, SHORT, "x")
    with frozen(shared_worker), refused("57000", "did not answer within 300 ms"):
        conn.execute("""SELECT rowvec.embed('stand-in', 'y', '{"timeout_ms": 300}')""")
    assert one(conn, SHORT, "x") == before


def test_fault_04_frozen_before_authentication(
    conn: psycopg.Connection, shared_worker: Worker
) -> None:
    """Connecting has no limit of libpq's here: the statement's own ends it, as documented."""
    conn.execute("SET statement_timeout = '300ms'")
    with frozen(shared_worker), refused("57014"):
        conn.execute(SHORT, ("x",))
    conn.execute("RESET statement_timeout")
    assert is_right("x", one(conn, SHORT, "x"))


@pytest.mark.parametrize("how", ["killed", "terminated"])
def test_fault_05_worker_restarts_between_calls(
    struck: psycopg.Connection, struck_worker: Worker, start_worker: StartWorker, how: str
) -> None:
    """The dead line is noticed and replaced: the caller sees nothing."""
    before = one(struck, SHORT, "x")
    if how == "killed":
        kill(struck_worker)
    else:
        struck_worker.process.terminate()
        assert struck_worker.process.wait(timeout=60) == 0
    start_worker(struck_worker.models_file.read_text(), socket_folder=struck_worker.folder)
    assert one(struck, SHORT, "x") == before


def test_fault_05_line_is_cut_between_calls(
    through_proxy: psycopg.Connection, proxy: Proxy
) -> None:
    before = one(through_proxy, SHORT, "x")
    proxy.cut()
    assert one(through_proxy, SHORT, "x") == before


def test_fault_05_line_is_cut_in_the_middle(
    through_proxy: psycopg.Connection, proxy: Proxy, while_it_waits: Striker
) -> None:
    """One sentence, and the session's next call connects anew."""
    with while_it_waits(through_proxy, proxy.cut), refused("08006", "was lost", "try again"):
        through_proxy.execute(LONG, (tag(),))
    assert is_right("x", one(through_proxy, SHORT, "x"))


def test_fault_06_engine_killed_in_the_middle(
    conn: psycopg.Connection, shared_worker: Worker, while_it_waits: Striker
) -> None:
    """The listener starts another engine, which computes the request: no error at all."""
    one(conn, SHORT, "warm")
    children = Path(f"/proc/{shared_worker.process.pid}/task/{shared_worker.process.pid}/children")

    def strike() -> None:
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)

    with while_it_waits(conn, strike):
        assert one(conn, LONG, tag()) == 100
    assert is_right("after", one(conn, SHORT, "after"))


@pytest.mark.parametrize("ending", ["cancel", "statement_timeout"])
def test_fault_07_cancelled_in_the_middle(
    conn: psycopg.Connection, while_it_waits: Striker, ending: str
) -> None:
    """Back long before the work is done, and the next answer is the next question's.

    The work takes minutes; that it ends at all shows that it was not waited for.
    """
    work = LONG.replace("100)", "20000)")
    for number in range(3):
        if ending == "cancel":
            with while_it_waits(conn, conn.cancel), pytest.raises(psycopg.errors.QueryCanceled):
                conn.execute(work, (tag(),))
        else:
            conn.execute("SET statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                conn.execute(work, (tag(),))
            conn.execute("RESET statement_timeout")
        assert is_right(f"after {number}", one(conn, SHORT, f"after {number}"))


def test_fault_07_cancelled_work_is_dropped(
    conn: psycopg.Connection, base: Base, while_it_waits: Striker
) -> None:
    """Behind it another's call would take minutes."""
    work = LONG.replace("100)", "20000)")
    with while_it_waits(conn, conn.cancel), pytest.raises(psycopg.errors.QueryCanceled):
        conn.execute(work, (tag(),))
    with base.connect() as other:
        assert one(other, "SELECT rowvec.embed('slow', %s) IS NOT NULL", tag())


def test_fault_08_session_is_terminated(
    conn: psycopg.Connection, base: Base, while_it_waits: Striker
) -> None:
    """Its work is dropped: behind it another's call would take minutes."""
    with base.connect() as killer:

        def strike() -> None:
            killer.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))

        with while_it_waits(conn, strike), pytest.raises(psycopg.OperationalError):
            conn.execute(LONG.replace("100)", "20000)"), (tag(),))
        assert one(killer, "SELECT rowvec.embed('slow', %s) IS NOT NULL", tag())
