"""The sync daemon against a real Postgres and a real worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

ROWVEC = Path(sys.executable).parent / "rowvec"

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(database: Any, tmp_path: Path) -> Iterator[Start]:
    """Starts `rowvec sync`; what still runs at the end is ended."""
    started: list[subprocess.Popen[bytes]] = []
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}

    def run(*arguments: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"sync-{len(started)}.log").open("wb") as log:
            process = subprocess.Popen(
                [ROWVEC, "sync", *arguments, "--dsn", database.dsn], env=clean,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def connection(database: Any) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def declare(connection: psycopg.Connection, table: str, model: str = "stand-in-small") -> None:
    name = sql.Identifier(table)
    connection.execute(sql.SQL("CREATE TABLE {} (id bigint PRIMARY KEY, body text)").format(name))
    connection.execute("SELECT rowvec.create_embedding(%s, %s, 'body')", (table, model))


def insert(connection: psycopg.Connection, table: str, first: int, last: int) -> None:
    connection.execute(
        sql.SQL(
            "INSERT INTO {} SELECT i, 'text ' || i || current_database()"
            " FROM generate_series(%s::int, %s::int) AS i"
        ).format(sql.Identifier(table)),
        (first, last),
    )


def pending(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(
        sql.SQL(
            "SELECT count(*) FROM {} WHERE embedding_of IS DISTINCT FROM hashtextextended(body, 0)"
            " OR (embedding IS NULL) <> (body IS NULL)"
        ).format(sql.Identifier(table))
    ).fetchone()
    assert row is not None
    return int(row[0])


def leaders(connection: psycopg.Connection) -> list[int]:
    """How many embeddings each sync keeps."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT count(l.pid)::int FROM pg_stat_activity AS a LEFT JOIN pg_locks AS l"
            " ON l.pid = a.pid AND l.locktype = 'advisory' AND l.mode = 'ExclusiveLock'"
            " WHERE a.application_name = 'rowvec sync' AND a.datname = current_database()"
            " GROUP BY a.pid ORDER BY 1"
        )
    ]


def test_rows_are_filled_as_they_come_and_change(
    connection: psycopg.Connection, start: Start, eventually: Any
) -> None:
    declare(connection, "reviews")
    insert(connection, "reviews", 1, 20)
    process = start()
    eventually(lambda: pending(connection, "reviews") == 0)
    insert(connection, "reviews", 21, 30)
    eventually(lambda: pending(connection, "reviews") == 0)
    connection.execute("UPDATE reviews SET body = 'changed ' || id WHERE id % 7 = 0")
    connection.execute("UPDATE reviews SET body = NULL WHERE id = 5")
    connection.execute("DELETE FROM reviews WHERE id = 6")
    connection.execute("UPDATE reviews SET id = -id WHERE id = 8")
    eventually(lambda: pending(connection, "reviews") == 0)
    assert connection.execute(
        "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)) FROM reviews"
    ).fetchone() == (True,)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_embeddings_declared_and_dropped_later_are_followed(
    connection: psycopg.Connection, start: Start, eventually: Any
) -> None:
    process = start()
    for table in ("a", "b"):
        declare(connection, table)
        insert(connection, table, 1, 5)
        eventually(lambda table=table: pending(connection, table) == 0)
    connection.execute("DROP TABLE a")
    insert(connection, "b", 6, 10)
    eventually(lambda: pending(connection, "b") == 0)
    connection.execute("SELECT rowvec.drop_embedding('b')")
    connection.execute("SELECT rowvec.create_embedding('b', 'stand-in-small', 'body || id')")
    eventually(
        lambda: (
            connection.execute(
                "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body || id)) FROM b"
            ).fetchone()
            == (True,)
        )
    )
    assert process.poll() is None


def test_several_share_and_take_over_from_one_that_was_killed(
    connection: psycopg.Connection, start: Start, eventually: Any
) -> None:
    tables = [f"t{number}" for number in range(4)]
    for table in tables:
        declare(connection, table)
    first, _ = start(), start()
    eventually(lambda: leaders(connection) == [2, 2])
    first.kill()
    eventually(lambda: leaders(connection) == [4])
    for table in tables:
        insert(connection, table, 1, 5)
    eventually(lambda: sum(pending(connection, table) for table in tables) == 0)
