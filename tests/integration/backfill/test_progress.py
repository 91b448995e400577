"""rowvec.progress while jobs work, and what they leave there."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from rowvec.backfill.report import LogReporter
from rowvec.backfill.run import BackfillRequest, backfill
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.filling.gauge import Gauge
from support.commands import Rowvec, StartRowvec
from support.postgres import Database
from support.waiting import eventually

ROWVEC = Path(sys.executable).parent / "rowvec"


def progress(connection: psycopg.Connection) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM rowvec.progress").fetchone()
        assert row is not None
        return row


def declare(connection: psycopg.Connection, model: str, rows: int, **options: str) -> None:
    connection.execute("CREATE TABLE t (id bigint PRIMARY KEY, body text)")
    connection.execute(
        "INSERT INTO t SELECT i, i || ' ' || current_database() FROM generate_series(1, %s) AS i",
        (rows,),
    )
    arguments = "".join(f", {name} => '{value}'" for name, value in options.items())
    connection.execute(f"SELECT rowvec.create_embedding('t', %s, 'body'{arguments})", (model,))


def run(database: Database, stop: asyncio.Event, **settings: Any) -> Any:
    built = Settings.build(dsn=database.dsn, **settings)
    return asyncio.run(
        backfill(
            built,
            BackfillRequest("t"),
            worker=worker_conninfo(built),
            reporter=LogReporter(),
            stop=stop,
        )
    )


def test_a_backfill_is_seen_at_work_and_gone(
    connection: psycopg.Connection, database: Database
) -> None:
    declare(connection, "slow", 600)
    before = progress(connection)
    assert (before["rows"], before["done"], before["workers"], before["eta"]) == (600, 0, 0, None)
    stop = asyncio.Event()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run, database, stop, commit_rows=10)

        def seen() -> bool:
            now = progress(connection)
            return bool(
                now["workers"] == 1
                and now["rows_per_second"] > 0
                and 0 < now["done"] < 600
                and now["eta"] > timedelta(0)
            )

        eventually(seen)
        stop.set()
        running.result(60)
    after = progress(connection)
    assert after["workers"] == 0
    assert after["done"] > 0


def test_what_a_job_waits_for_is_told(connection: psycopg.Connection, database: Database) -> None:
    declare(connection, "stand-in-small", 5)
    with ThreadPoolExecutor() as pool:
        stop = asyncio.Event()
        built = Settings.build(dsn=database.dsn, worker_wait_seconds=60)
        running = pool.submit(
            asyncio.run,
            backfill(
                built, BackfillRequest("t"),
                worker="host=/nowhere user=rowvec dbname=rowvec password=x",
                reporter=LogReporter(), stop=stop,
            ),
        )  # fmt: skip
        eventually(lambda: progress(connection)["last_error"])
        stop.set()
        running.result(60)
    assert "no worker answers" in progress(connection)["last_error"]


def test_truncated_rows_are_counted_until_their_text_is_short(
    connection: psycopg.Connection, database: Database
) -> None:
    declare(connection, "stand-in-small", 3)
    connection.execute("UPDATE t SET body = repeat('word ', 20) WHERE id < 3")
    run(database, asyncio.Event())
    assert progress(connection)["truncated"] == 2
    found = connection.execute("SELECT * FROM rowvec.truncated('t') ORDER BY 1").fetchall()
    assert [row[:3] for row in found] == [(1, 20, 16), (2, 20, 16)]
    connection.execute("UPDATE t SET body = 'short' WHERE id = 1")
    connection.execute("DELETE FROM t WHERE id = 2")
    assert connection.execute("SELECT * FROM rowvec.truncated('t')").fetchall() == []
    run(database, asyncio.Event())
    assert progress(connection)["truncated"] == 0


@pytest.mark.parametrize("rows", [1, 40])
def test_long_texts_get_the_mean_of_their_chunks(
    connection: psycopg.Connection, database: Database, rows: int
) -> None:
    declare(connection, "stand-in-small", rows, on_truncate="mean")
    connection.execute(
        "UPDATE t SET body = (SELECT string_agg('w' || id * i, ' ')"
        " FROM generate_series(1, 50) AS i) WHERE id % 3 = 1"
    )
    run(database, asyncio.Event(), commit_rows=7)
    assert progress(connection)["truncated"] == 0
    wrong = connection.execute(
        "SELECT count(*) FROM t WHERE embedding <-> l2_normalize(coalesce("
        " (SELECT avg(rowvec.embed('stand-in-small', c.chunk))"
        "  FROM rowvec.chunk('stand-in-small', body) AS c), embedding)) > 1e-5"
        " OR embedding IS NULL"
    ).fetchone()
    assert wrong == (0,)


def test_rows_a_second_are_those_of_the_last_minute() -> None:
    now = 1000.0
    gauge = Gauge(clock=lambda: now)
    gauge.settle(100)
    now += 10
    assert gauge.rows_per_second == 10
    gauge.settle(20)
    now += 55
    assert gauge.rows_per_second == pytest.approx(20 / 60)
    assert gauge.rows_done == 120


def test_the_command_shows_it(
    connection: psycopg.Connection, database: Database, rowvec: Rowvec
) -> None:
    declare(connection, "stand-in-small", 3)
    connection.execute("UPDATE t SET body = repeat('word ', 20) WHERE id = 2")
    run(database, asyncio.Event())
    shown = rowvec("status", "t", "--dsn", database.dsn)
    assert (shown.returncode, "1 truncated" in shown.stdout) == (0, True), shown.stderr
    listed = rowvec("status", "t", "--truncated", "--json", "--dsn", database.dsn)
    assert json.loads(listed.stdout) == [
        {"embedding": "embedding", "key": 2, "tokens": 20, "max_tokens": 16, "lost": 4}
    ]
    told = json.loads(rowvec("status", "t", "--json", "--dsn", database.dsn).stdout)
    assert (told["embeddings"][0]["done"], told["embeddings"][0]["workers"]) == (3, 0)
    wrong = rowvec("status", "nothing", "--dsn", database.dsn)
    assert (wrong.returncode, "does not exist" in wrong.stderr) == (1, True)
    assert rowvec("status", "--truncated", "--dsn", database.dsn).returncode == 2


def test_it_is_watched_until_ctrl_c(
    connection: psycopg.Connection, database: Database, start_rowvec: StartRowvec
) -> None:
    declare(connection, "stand-in-small", 3)
    watching = start_rowvec("status", "--watch", "--dsn", database.dsn)
    eventually(lambda: "t.embedding" in watching.printed.read_text())
    watching.process.send_signal(signal.SIGINT)
    watching.process.wait()
    assert (watching.process.returncode, watching.said.read_text()) == (0, "")
