"""Tables that come below a source while a sync keeps it filled: an index reads them at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg
import pytest

from support.commands import StartRowvec
from support.postgres import Database
from support.waiting import eventually

PARTITIONS = 20
ROWS = 50


@dataclass(frozen=True)
class Read:
    """What was read of the tables below a source: scans without an index, and those of one."""

    table_scans: int
    index_scans: int
    index_pages: int


def read(connection: psycopg.Connection, pattern: str = r"t\d+") -> Read:
    row = connection.execute(
        "SELECT sum(seq_scan)::int, (SELECT sum(idx_scan)::int FROM pg_stat_user_indexes AS i"
        "  JOIN pg_index USING (indexrelid) WHERE i.relname ~ %(p)s AND indpred IS NOT NULL),"
        " (SELECT sum(idx_blks_hit + idx_blks_read)::int FROM pg_statio_user_indexes AS i"
        "  JOIN pg_index USING (indexrelid) WHERE i.relname ~ %(p)s AND indpred IS NOT NULL)"
        " FROM pg_stat_user_tables WHERE relname ~ %(p)s",
        {"p": f"^{pattern}$"},
    ).fetchone()
    assert row is not None
    return Read(*row)


def is_filled(database: Database) -> bool:
    """On a session of its own: what a session reads is counted by its end."""
    with database.connect() as connection:
        row = connection.execute("SELECT count(*) FROM t WHERE embedding IS NULL").fetchone()
    return row == (0,)


def partition(connection: psycopg.Connection, number: int) -> None:
    first = number * ROWS
    connection.execute(
        f"CREATE TABLE t{number} PARTITION OF t FOR VALUES FROM ({first}) TO ({first + ROWS})"
    )


def attached(connection: psycopg.Connection, number: int) -> None:
    """A table that has its rows already."""
    first = number * ROWS
    connection.execute(f"CREATE TABLE t{number} (LIKE t INCLUDING DEFAULTS)")
    connection.execute(
        f"INSERT INTO t{number} SELECT i, 'a ' || i FROM generate_series({first}, {first + 9}) AS i"
    )
    connection.execute(
        f"ALTER TABLE t ATTACH PARTITION t{number} FOR VALUES FROM ({first}) TO ({first + ROWS})"
    )


def child(connection: psycopg.Connection, number: int) -> None:
    connection.execute(f"CREATE TABLE t{number} (PRIMARY KEY (id)) INHERITS (t)")


@pytest.mark.parametrize("add", [partition, attached, child])
def test_an_idle_sync_reads_one_page_of_an_index_for_each(
    connection: psycopg.Connection,
    database: Database,
    start_rowvec: StartRowvec,
    add: Callable[[psycopg.Connection, int], None],
) -> None:
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, body text)"
        + ("" if add is child else " PARTITION BY RANGE (id)")
    )
    first = child if add is child else partition
    for number in range(PARTITIONS):
        first(connection, number)
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")

    def insert(number: int) -> None:
        connection.execute(
            f"INSERT INTO {f't{number}' if add is child else 't'} SELECT i, 'text ' || i"
            f" FROM generate_series({number * ROWS + 10}, {number * ROWS + 29}) AS i"
        )

    for number in range(PARTITIONS):
        insert(number)
    start_rowvec("sync", "--dsn", database.dsn)
    eventually(partial(is_filled, database))
    for number in range(PARTITIONS, PARTITIONS + 5):
        add(connection, number)
        insert(number)
        eventually(partial(is_filled, database))

    def reads_one_page_each() -> bool:
        before = read(connection)
        enough = before.index_scans + 3 * (PARTITIONS + 5)

        def has_looked() -> bool:
            # While nobody commits, it reads nothing at all.
            connection.execute("SELECT pg_current_xact_id()")
            return read(connection).index_scans > enough

        eventually(has_looked)
        after = read(connection)
        scans = after.index_scans - before.index_scans
        pages = after.index_pages - before.index_pages
        return after.table_scans == before.table_scans and pages <= scans

    # Not at once: what the filling itself has read is counted with a delay.
    eventually(reads_one_page_each)
