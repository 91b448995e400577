"""A second embedding of a table breaks nothing that names none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from rowvec.cli import COMMANDS, main
from support.commands import Run
from support.postgres import Database, refused

FUNCTIONS = {
    "alter_embedding": "SELECT rowvec.alter_embedding('reviews', filter => 'true')",
    "backfill": "CALL rowvec.backfill('reviews')",
    "context": "SELECT rowvec.context('reviews', 'review 7')",
    "embed_query": "SELECT rowvec.embed_query('reviews', 'review 7')",
    "nearest": "SELECT rowvec.nearest('reviews', rowvec.embed('stand-in-small', 'review 7'))",
    "pause_embedding": "SELECT rowvec.pause_embedding('reviews')",
    "resume_embedding": "SELECT rowvec.resume_embedding('reviews')",
    "retry": "SELECT rowvec.retry('reviews')",
    "search": "SELECT rowvec.search('reviews', 'review 7', method => 'hybrid')",
    "search_rows": "SELECT distance FROM rowvec.search_rows(NULL::reviews, 'review 7')",
    "set_text_search": "SELECT rowvec.set_text_search('reviews', 'english')",
    "similar": "SELECT rowvec.similar('reviews', '7')",
    "similar_pairs": "SELECT rowvec.similar_pairs('reviews')",
    "truncated": "SELECT rowvec.truncated('reviews')",
    "verify": "SELECT count(*) FROM rowvec.verify('reviews')",
}
# In this order: what tune and explain read, index has built.
COMMAND_LINES = {
    "ask": ("ask", "reviews", "review 7", "--context-only"),
    "backfill": ("backfill", "reviews"),
    "cluster": ("cluster", "reviews", "2"),
    "export": ("export", "reviews", "{folder}/reviews.jsonl"),
    "index": ("index", "reviews"),
    "explain": ("explain", "reviews", "review 7"),
    "map": ("map", "reviews", "-o", "{folder}/map.html"),
    "plan": ("plan", "reviews"),
    "retry": ("retry", "reviews"),
    "search": ("search", "reviews", "review 7", "--json"),
    "similar": ("similar", "reviews", "--key", "7", "--json"),
    "similarities": ("similarities", "reviews"),
    "tune": ("tune", "reviews"),
    "verify": ("verify", "reviews"),
}


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """A table whose embedding is filled; `beside` adds a second."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
        connection.execute(
            "INSERT INTO reviews SELECT i, 'review ' || i FROM generate_series(1, 300) AS i"
        )
        connection.execute("SELECT rowvec.create_embedding('reviews', 'stand-in-small', 'body')")
        connection.execute("CALL rowvec.backfill('reviews')")
        yield connection


def beside(conn: psycopg.Connection, name: str = "another") -> None:
    """An embedding of another length without a vector: what took it would show."""
    conn.execute(
        "SELECT rowvec.create_embedding('reviews', 'stand-in', 'body', name => %s)", (name,)
    )


def default(conn: psycopg.Connection) -> Any:
    return conn.execute(
        "SELECT embedding FROM rowvec.status WHERE is_default AND source = 'reviews'::regclass"
    ).fetchall()


def definition(conn: psycopg.Connection, name: str) -> Any:
    return conn.execute("SELECT e FROM rowvec.embedding AS e WHERE name = %s", (name,)).fetchone()


def test_every_function_takes_the_default(conn: psycopg.Connection) -> None:
    def answers() -> dict[str, Any]:
        found = {}
        for name, statement in FUNCTIONS.items():
            cursor = conn.execute(statement)
            found[name] = cursor.fetchall() if cursor.description else None
        return found

    with_embedding = conn.execute(
        "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'rowvec'::regnamespace "
        "AND proname NOT LIKE '\\_%' "
        "AND pg_get_function_identity_arguments(oid) ~ '\\membedding text'"
    )
    assert {name for (name,) in with_embedding} == {
        *FUNCTIONS,
        "drop_embedding",
        "set_default_embedding",
    }
    before = answers()
    beside(conn)
    untouched = definition(conn, "another")
    assert answers() == before
    assert definition(conn, "another") == untouched


def test_every_command_takes_the_default(
    conn: psycopg.Connection, run: Run, tmp_path: Path
) -> None:
    takes = {
        name
        for name in COMMANDS
        if "--embedding" in CliRunner().invoke(main, [name, "--help"]).output
    }
    assert takes == set(COMMAND_LINES)
    beside(conn)
    untouched = definition(conn, "another")
    printed = {
        name: run(*(word.format(folder=tmp_path) for word in words)).stdout
        for name, words in COMMAND_LINES.items()
    }
    assert definition(conn, "another") == untouched
    # The row whose text is the question's, by a vector of the first.
    assert '"key":7,"distance":0.0' in printed["search"]
    assert "[1] review 7" in printed["ask"]


def test_the_default_is_the_first_until_one_is_chosen(conn: psycopg.Connection) -> None:
    beside(conn)
    assert default(conn) == [("embedding",)]
    for name in ("another", "embedding", "another"):
        conn.execute("SELECT rowvec.set_default_embedding('reviews', %s)", (name,))
        assert default(conn) == [(name,)]
    dimensions = conn.execute("SELECT vector_dims(rowvec.embed_query('reviews', 'x'))").fetchone()
    assert dimensions == (384,)
    conn.execute("SELECT rowvec.drop_embedding('reviews', 'another')")
    assert default(conn) == [("embedding",)]
    with refused("42P01", "no embedding named", "it has: embedding"):
        conn.execute("SELECT rowvec.set_default_embedding('reviews', 'another')")


def test_each_table_has_a_default_of_its_own(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
    conn.execute("SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body')")
    beside(conn)
    conn.execute("SELECT rowvec.set_default_embedding('reviews', 'another')")
    assert conn.execute("SELECT count(*) FROM rowvec.status WHERE is_default").fetchone() == (2,)


def test_of_several_none_is_dropped_without_its_name(conn: psycopg.Connection) -> None:
    beside(conn)
    with refused("42P09", "another, embedding", "embedding => 'another'"):
        conn.execute("SELECT rowvec.drop_embedding('reviews')")
    assert definition(conn, "embedding") is not None


def test_status_marks_the_default_where_there_is_a_choice(
    conn: psycopg.Connection, run: Run
) -> None:
    assert "(default)" not in run("status").stdout
    beside(conn)
    shown = run("status").stdout
    assert "reviews.embedding (default)" in shown
    assert "reviews.another (default)" not in shown
