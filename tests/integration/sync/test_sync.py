"""The sync daemon against a real Postgres and a real worker."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial

import psycopg
import pytest
from psycopg import sql

from rowvec.db.compose import expression
from support.commands import Job, Rowvec, StartRowvec
from support.hashes import row_hash
from support.postgres import Database
from support.waiting import eventually

Start = Callable[..., Job]


@pytest.fixture
def start(database: Database, start_rowvec: StartRowvec) -> Start:
    """Starts `rowvec sync`."""
    return partial(start_rowvec, "sync", "--dsn", database.dsn)


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
            "SELECT count(*) FROM {} WHERE embedding_of IS DISTINCT FROM {}"
            " OR (embedding IS NULL) <> (body IS NULL)"
        ).format(sql.Identifier(table), expression(row_hash(connection, table)))
    ).fetchone()
    assert row is not None
    return int(row[0])


def is_filled(connection: psycopg.Connection, table: str) -> bool:
    return pending(connection, table) == 0


def leaders(connection: psycopg.Connection) -> list[int]:
    """How many embeddings each sync keeps."""
    return [
        row[0]
        for row in connection.execute(
            "SELECT coalesce(cardinality(s.keeps), 0) FROM pg_stat_activity AS a"
            " LEFT JOIN rowvec.sync AS s ON s.pid = a.pid"
            " WHERE a.application_name = 'rowvec sync' AND a.datname = current_database()"
            " ORDER BY 1"
        )
    ]


def test_rows_are_filled_as_they_come_and_change(
    connection: psycopg.Connection, start: Start
) -> None:
    declare(connection, "reviews")
    insert(connection, "reviews", 1, 20)
    process = start().process
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


def test_a_function_of_the_input_is_replaced_under_its_hands(
    connection: psycopg.Connection, start: Start
) -> None:
    """Also one that it calls in turn: Postgres leaves the index on pending rows as it was."""
    function = "CREATE OR REPLACE FUNCTION {}(t text) RETURNS text IMMUTABLE LANGUAGE {} AS $$"
    connection.execute((function.format("cleaned", "sql") + "SELECT lower(t)$$").encode())
    connection.execute(
        (function.format("prepared", "plpgsql") + "BEGIN RETURN public.cleaned(t); END$$").encode()
    )
    connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
    insert(connection, "reviews", 1, 40)
    connection.execute(
        "SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'prepared(body)')"
    )
    right = (
        "SELECT bool_and(embedding = rowvec.embed('stand-in-small', prepared(body))) FROM reviews"
    )
    start()
    eventually(lambda: connection.execute(right).fetchone() == (True,))
    for changed in ("upper(t)", "reverse(t)"):
        connection.execute((function.format("cleaned", "sql") + f"SELECT {changed}$$").encode())
        eventually(lambda: connection.execute(right).fetchone() == (True,))
    assert connection.execute("SELECT pending FROM rowvec.status").fetchone() == (0,)


def test_embeddings_declared_and_dropped_later_are_followed(
    connection: psycopg.Connection, start: Start
) -> None:
    process = start().process
    for table in ("a", "b"):
        declare(connection, table)
        insert(connection, table, 1, 5)
        eventually(partial(is_filled, connection, table))
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
    connection: psycopg.Connection, start: Start
) -> None:
    tables = [f"t{number}" for number in range(4)]
    for table in tables:
        declare(connection, table)
    first, _ = start(), start()
    eventually(lambda: leaders(connection) == [2, 2])
    first.process.kill()
    eventually(lambda: leaders(connection) == [4])
    for table in tables:
        insert(connection, table, 1, 5)
    eventually(lambda: sum(pending(connection, table) for table in tables) == 0)


def test_a_flood_on_one_embedding_leaves_the_others_their_turns(
    connection: psycopg.Connection, start: Start
) -> None:
    declare(connection, "flooded", "slow")
    declare(connection, "quiet")
    insert(connection, "flooded", 1, 5000)
    start("--commit-rows", "20")
    eventually(lambda: pending(connection, "flooded") < 5000)
    insert(connection, "quiet", 1, 5)
    eventually(lambda: pending(connection, "quiet") == 0)
    assert pending(connection, "flooded") > 0


def test_a_locked_table_keeps_nobody_else_waiting(
    connection: psycopg.Connection, database: Database, start: Start
) -> None:
    for table in ("locked", "free"):
        declare(connection, table)
        insert(connection, table, 1, 5)
    process = start().process
    eventually(lambda: pending(connection, "locked") + pending(connection, "free") == 0)
    with database.connect() as other, other.transaction():
        other.execute("INSERT INTO locked VALUES (6, 'six')")
        other.execute("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        insert(connection, "free", 6, 10)
        eventually(lambda: pending(connection, "free") == 0)
    eventually(lambda: pending(connection, "locked") == 0)
    assert process.poll() is None


def test_it_has_four_connections_however_many_indexes_wait_to_be_built(
    connection: psycopg.Connection, database: Database, start: Start
) -> None:
    """Each build waits for the oldest transaction of the database; the fourth is for a moment."""
    tables = [f"t{number}" for number in range(12)]
    for table in tables:
        declare(connection, table)
        insert(connection, table, 1, 3)
    ours = "FROM pg_stat_activity WHERE application_name = 'rowvec sync' AND datname = %s"
    builds = f"SELECT count(*) {ours} AND query LIKE 'CREATE INDEX CONCURRENTLY%%'"
    with database.connect() as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM pg_class")
        start()
        eventually(lambda: connection.execute(builds, (database.name,)).fetchone() == (2,))
        jobs = "SELECT count(*) FROM rowvec.job WHERE kind = 'sync'"
        eventually(lambda: connection.execute(jobs).fetchone() == (12,))
        counted = connection.execute(f"SELECT count(*) {ours}", (database.name,)).fetchone()
        assert counted in {(3,), (4,)}
    eventually(lambda: sum(pending(connection, table) for table in tables) == 0)


def test_a_paused_one_is_left_alone_until_it_is_resumed(
    connection: psycopg.Connection, start: Start
) -> None:
    for table in ("paused", "other"):
        declare(connection, table)
    connection.execute("SELECT rowvec.pause_embedding('paused')")
    insert(connection, "paused", 1, 5)
    start()
    insert(connection, "other", 1, 5)
    eventually(lambda: pending(connection, "other") == 0)
    assert pending(connection, "paused") == 5
    connection.execute("SELECT rowvec.resume_embedding('paused')")
    eventually(lambda: pending(connection, "paused") == 0)


def test_refused_rows_are_passed_and_tried_again_when_they_change(
    connection: psycopg.Connection, start: Start
) -> None:
    declare(connection, "t", "refusing")
    connection.execute("INSERT INTO t SELECT i, 'refuse me' FROM generate_series(1, 30) AS i")
    start("--commit-rows", "4")
    failed = "SELECT count(*) FROM rowvec.failure"
    eventually(lambda: connection.execute(failed).fetchone() == (30,))
    connection.execute("INSERT INTO t VALUES (-5, 'before them'), (99, 'behind them')")
    eventually(lambda: pending(connection, "t") == 30)
    connection.execute("UPDATE t SET body = 'fine' WHERE id <= 30")
    eventually(lambda: pending(connection, "t") == 0)
    assert connection.execute(failed).fetchone() == (0,)


def test_a_trigger_that_undoes_its_work_keeps_nobody_waiting(
    connection: psycopg.Connection, start: Start
) -> None:
    for table in ("stubborn", "other"):
        declare(connection, table)
    connection.execute(
        "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN NEW.embedding_of := NULL; RETURN NEW; END'"
    )
    connection.execute(
        "CREATE TRIGGER undo BEFORE UPDATE ON stubborn FOR EACH ROW EXECUTE FUNCTION undo()"
    )
    insert(connection, "stubborn", 1, 5)
    start()
    failed = (
        "SELECT count(*) FROM rowvec.failure WHERE sqlstate = '27000'"
        " AND message LIKE 'triggers of the table change or undo what is written to this row%'"
    )
    eventually(lambda: connection.execute(failed).fetchone() == (5,))
    insert(connection, "other", 1, 5)
    eventually(lambda: pending(connection, "other") == 0)


def test_it_leaves_an_embedding_to_the_backfill_that_works_on_it(
    connection: psycopg.Connection, start: Start
) -> None:
    declare(connection, "t")
    connection.execute(
        "INSERT INTO rowvec.job (embedding_id, kind, host, pid, heartbeat_at)"
        " SELECT id, 'backfill', 'elsewhere', 1, now() + interval '1 hour' FROM rowvec.embedding"
    )
    declare(connection, "other")
    insert(connection, "t", 1, 5)
    start()
    insert(connection, "other", 1, 5)
    eventually(lambda: pending(connection, "other") == 0)
    assert pending(connection, "t") == 5
    connection.execute("UPDATE rowvec.job SET ended_at = now() WHERE host = 'elsewhere'")
    eventually(lambda: pending(connection, "t") == 0)


def test_a_source_that_is_not_there_is_one_sentence(database: Database, rowvec: Rowvec) -> None:
    done = rowvec("sync", "nothing", "--dsn", database.dsn)
    assert done.returncode == 1
    assert 'relation "nothing" does not exist' in done.stderr
    assert "Traceback" not in done.stderr
