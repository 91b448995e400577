"""alter_embedding, pause, resume, adopt, verify, retry: a definition over the life of a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.postgres import Database, refused
from support.workers import StartWorker, point_at

MODELS = """
[[model]]
name = "one"
kind = "stand-in"
dimensions = 8

[[model]]
name = "other"
kind = "stand-in"
dimensions = 8

[[model]]
name = "long"
kind = "stand-in"
dimensions = 16
"""


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        connection.execute("CREATE TABLE reviews (id bigint PRIMARY KEY, title text, body text)")
        connection.execute(
            "INSERT INTO reviews SELECT g, 'title ' || g, 'body ' || g"
            " FROM generate_series(1, 60) AS g"
        )
        yield connection


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters or None).fetchone()
    assert row is not None
    return row[0]


def define(conn: psycopg.Connection, *, fill: bool = True, **arguments: Any) -> None:
    given = {"model": "stand-in-small", "input": "body", **arguments}
    named = ", ".join(f"{name} => %({name})s" for name in given)
    conn.execute(f"SELECT rowvec.create_embedding('reviews', {named})", given)
    if fill:
        conn.execute("CALL rowvec.backfill('reviews')")


def pending(conn: psycopg.Connection) -> int:
    return int(one(conn, "SELECT pending FROM rowvec.status"))


def test_another_input_keeps_old_vectors_until_new_ones_are_there(conn: psycopg.Connection) -> None:
    conn.execute("UPDATE reviews SET title = body WHERE id <= 10")
    define(conn)
    conn.execute("SELECT rowvec.alter_embedding('reviews', input => 'title')")
    # Where the text is the same there is nothing to do.
    assert pending(conn) == 50
    assert one(conn, "SELECT count(embedding) FROM reviews") == 60
    conn.execute("CALL rowvec.backfill('reviews')")
    assert one(
        conn, "SELECT bool_and(embedding = rowvec.embed('stand-in-small', title)) FROM reviews"
    )
    assert one(conn, "SELECT version FROM rowvec.embedding") == 2


def test_another_filter(conn: psycopg.Connection) -> None:
    define(conn, filter="id <= 10")
    conn.execute("SELECT rowvec.alter_embedding('reviews', filter => 'id <= 20')")
    assert pending(conn) == 10
    conn.execute("SELECT rowvec.alter_embedding('reviews', filter => 'true')")
    assert pending(conn) == 50
    assert one(conn, "SELECT filter FROM rowvec.embedding") is None


def test_another_model_begins_with_an_empty_column(
    database: Database, conn: psycopg.Connection, start_worker: StartWorker
) -> None:
    """Vectors of two models never stand in one column, also while it is being filled."""
    point_at(database, start_worker(MODELS))
    define(conn, model="one")
    with refused("22000", "has 8 dimensions, and long would have 16", "another embedding beside"):
        conn.execute("SELECT rowvec.alter_embedding('reviews', model => 'long')")
    conn.execute("CREATE VIEW needs AS SELECT embedding FROM reviews")
    with refused("2BP01", "other objects need the column", "beside it"):
        conn.execute("SELECT rowvec.alter_embedding('reviews', model => 'other')")
    conn.execute("DROP VIEW needs")
    assert one(conn, "SELECT count(embedding) FROM reviews") == 60
    conn.execute("SELECT rowvec.alter_embedding('reviews', model => 'other')")
    assert one(conn, "SELECT count(embedding) FROM reviews") == 0
    assert pending(conn) == 60
    conn.execute("""SELECT rowvec.alter_embedding('reviews', kwargs => '{"prompt": "p: "}')""")
    conn.execute("CALL rowvec.backfill('reviews')")
    assert one(
        conn, "SELECT bool_and(embedding = rowvec.embed('other', 'p: ' || body)) FROM reviews"
    )


def test_columns_run_out_with_a_sentence(
    database: Database, conn: psycopg.Connection, start_worker: StartWorker
) -> None:
    """Postgres counts dropped columns for ever, and another model takes two more."""
    point_at(database, start_worker(MODELS))
    define(conn, model="one")
    names = [f"c{number}" for number in range(1600 - 5 - 1)]
    conn.execute(f"ALTER TABLE reviews {', '.join(f'ADD {name} int' for name in names)}")
    conn.execute(f"ALTER TABLE reviews {', '.join(f'DROP {name}' for name in names)}")
    with refused("54011", "reviews has used up the 1600 columns", "copy its rows into a new table"):
        conn.execute("SELECT rowvec.alter_embedding('reviews', model => 'other')")
    assert one(conn, "SELECT count(embedding) FROM reviews") == 60
    with refused("54011", "used up the 1600 columns", "copy its rows"):
        define(conn, fill=False, model="one", name="another")


def test_nothing_to_alter(conn: psycopg.Connection) -> None:
    define(conn)
    conn.execute(
        "SELECT rowvec.alter_embedding('reviews', model => 'stand-in-small', input => 'body')"
    )
    assert one(conn, "SELECT version FROM rowvec.embedding") == 1
    assert pending(conn) == 0


MISTAKES = {
    "volatile": ("input => 'body || now()'", "42P17", "not immutable"),
    "no such column": ("input => 'titel'", "42703", "titel"),
    "syntax": ("input => 'title ||'", "42601", "syntax error"),
    "model": ("model => 'nope'", "42501", "'nope'"),
    "kwargs": ("""kwargs => '{"bad": 1}'""", "22023", "'bad'"),
    "on_truncate": ("on_truncate => 'cry'", "22023", "'cry'"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_changes_nothing(conn: psycopg.Connection, mistake: tuple[str, str, str]) -> None:
    define(conn)
    everything = "SELECT e.*, pg_get_viewdef('rowvec.status') FROM rowvec.embedding AS e"
    before = conn.execute(everything).fetchall()
    with refused(*mistake[1:]):
        conn.execute(f"SELECT rowvec.alter_embedding('reviews', {mistake[0]})")
    assert conn.execute(everything).fetchall() == before
    assert pending(conn) == 0


def test_paused_nothing_is_filled(conn: psycopg.Connection) -> None:
    define(conn, fill=False)
    conn.execute("SELECT rowvec.pause_embedding('reviews')")
    with refused("55000", "is paused", "resume_embedding"):
        conn.execute("CALL rowvec.backfill('reviews')")
    conn.execute("SELECT rowvec.resume_embedding('reviews')")
    conn.execute("CALL rowvec.backfill('reviews')")
    assert pending(conn) == 0


def with_vectors(conn: psycopg.Connection, of: str = "body") -> None:
    """A column that somebody filled before there was a rowvec."""
    conn.execute("ALTER TABLE reviews ADD embedding vector(8)")
    conn.execute(f"UPDATE reviews SET embedding = rowvec.embed('stand-in-small', {of})")


def texts(conn: psycopg.Connection) -> int:
    return int(one(conn, "SELECT texts FROM rowvec.models() WHERE name = 'stand-in-small'"))


def test_vectors_that_are_there_are_adopted(conn: psycopg.Connection) -> None:
    """Rows that changed after the declaration are embedded, those that did not are not."""
    with_vectors(conn)
    define(conn, fill=False)
    assert pending(conn) == 60
    conn.execute("UPDATE reviews SET body = 'new ' || id || current_database() WHERE id > 57")
    before = texts(conn)
    conn.execute("CALL rowvec.backfill('reviews')")
    assert texts(conn) - before == 3
    assert pending(conn) == 0
    assert one(
        conn, "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)) FROM reviews"
    )


def test_vectors_of_something_else_are_not_adopted(conn: psycopg.Connection) -> None:
    with_vectors(conn, of="title")
    with refused("22000", "32 of 32 sampled rows differ", "prompt"):
        define(conn, fill=False)
    with refused("55000", "already holds values", "verify"):
        define(conn, fill=False, adopt="no")
    assert one(conn, "SELECT count(*) FROM rowvec.embedding") == 0


def test_trust_asks_nothing(conn: psycopg.Connection) -> None:
    with_vectors(conn, of="title")
    define(conn, adopt="trust")
    assert pending(conn) == 0
    assert one(
        conn, "SELECT bool_and(embedding = rowvec.embed('stand-in-small', title)) FROM reviews"
    )


def test_kept_columns_are_adopted_with_their_hashes(conn: psycopg.Connection) -> None:
    define(conn)
    conn.execute("SELECT rowvec.drop_embedding('reviews', keep_columns => true)")
    define(conn, fill=False)
    assert pending(conn) == 0


def test_verify_finds_the_wrong_vector(conn: psycopg.Connection) -> None:
    define(conn)
    assert one(conn, "SELECT min(similarity) FROM rowvec.verify('reviews')") == pytest.approx(1)
    conn.execute("UPDATE reviews SET embedding = rowvec.embed('stand-in-small', 'x') WHERE id = 7")
    found = conn.execute("SELECT key, similarity FROM rowvec.verify('reviews')").fetchall()
    assert len(found) == 60
    assert (found[0][0], found[0][1] < 0.9, found[1][1] > 0.999) == (7, True, True)
    assert len(conn.execute("SELECT FROM rowvec.verify('reviews', sample => 5)").fetchall()) == 5
    with refused("22023", "sample must be"):
        conn.execute("SELECT FROM rowvec.verify('reviews', sample => 0)")


def test_retry(conn: psycopg.Connection) -> None:
    conn.execute("UPDATE reviews SET body = 'refuse me ' || id WHERE id <= 3")
    define(conn, model="refusing")
    failures = "SELECT attempts, next_attempt_at FROM rowvec.failure"
    assert conn.execute(failures).fetchall() == [(1, None)] * 3
    assert one(conn, "SELECT rowvec.retry('reviews', sqlstate => '57000')") == 0
    with refused("22023", "'abc' is not an SQLSTATE", "54000"):
        conn.execute("SELECT rowvec.retry('reviews', sqlstate => 'abc')")
    conn.execute("CALL rowvec.backfill('reviews')")
    assert conn.execute(failures).fetchall() == [(1, None)] * 3
    assert one(conn, "SELECT rowvec.retry('reviews')") == 3
    conn.execute("CALL rowvec.backfill('reviews')")
    assert conn.execute(failures).fetchall() == [(2, None)] * 3


def test_what_may_pass_is_tried_again_a_few_times_ever_later(conn: psycopg.Connection) -> None:
    define(conn)
    waits = []
    for _ in range(6):
        conn.execute(
            "SELECT rowvec._record_failure(id, '7', 1, '58000', 'm') FROM rowvec.embedding"
        )
        waits.append(
            one(
                conn,
                "SELECT extract(epoch FROM next_attempt_at - last_failed_at)::int"
                " FROM rowvec.failure",
            )
        )
    assert waits == [60, 240, 960, 3840, None, None]
    assert one(conn, "SELECT attempts FROM rowvec.failure") == 6
