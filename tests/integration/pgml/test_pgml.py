"""PostgresML's functions: the calls that its documentation shows, through a real worker."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from rowvec.db.schema import migrate
from support.postgres import Database


@pytest.fixture
def conn(database: Database, connection: psycopg.Connection) -> psycopg.Connection:
    migrate(database.dsn, with_pgml=True)
    return connection


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def vector(conn: psycopg.Connection, text: str) -> Any:
    """What the numbers of the vector are close to."""
    found = one(conn, "SELECT rowvec.embed('stand-in', %s)", text)
    return pytest.approx(json.loads(found), rel=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        "pgml.embed('stand-in', 'passage: hi mom')",
        "pgml.embed('stand-in', 'passage: ' || 'hi mom', '{\"device\": \"cpu\"}')",
        "pgml.embed('stand-in', 'hi mom', '{\"prompt\": \"passage: \"}'::jsonb)",
        "pgml.embed(transformer => 'stand-in', text => 'passage: hi mom')",
        "pgml.embed(kwargs => '{}', text => 'passage: hi mom', transformer => 'stand-in')",
    ],
)
def test_embed_in_every_form(conn: psycopg.Connection, call: str) -> None:
    assert one(conn, f"SELECT {call}") == vector(conn, "passage: hi mom")


def test_embed_of_several(conn: psycopg.Connection) -> None:
    for call in ("pgml.embed('stand-in', ARRAY['a', 'b'])",
                 "pgml.embed('stand-in', inputs => '{a,b}', kwargs => '{}')"):  # fmt: skip
        rows = conn.execute(f"SELECT {call}").fetchall()
        assert [row[0] for row in rows] == [vector(conn, "a"), vector(conn, "b")]


def test_a_list_without_a_type_is_a_text(conn: psycopg.Connection) -> None:
    """As in PostgresML; the recipe warns of it."""
    assert one(conn, "SELECT pgml.embed('stand-in', '{a,b}')") == vector(conn, "{a,b}")


def test_embed_into_a_column_and_in_an_order(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE quotes (quote text, embedding vector(384), numbers real[])")
    conn.execute("INSERT INTO quotes VALUES ('Do or do not'), ('There is no try'), (NULL)")
    conn.execute(
        "UPDATE quotes SET embedding = pgml.embed('stand-in', quote),"
        " numbers = pgml.embed('stand-in', quote)"
    )
    assert one(conn, "SELECT count(*) FROM quotes WHERE embedding IS NULL") == 1
    nearest = one(
        conn,
        "SELECT quote FROM quotes"
        " ORDER BY pgml.embed('stand-in', 'There is no try')::vector <=> embedding LIMIT 1",
    )
    assert nearest == "There is no try"


def test_a_generated_column_is_refused(conn: psycopg.Connection) -> None:
    """PostgresML's is IMMUTABLE; create_embedding does what the column was for."""
    with pytest.raises(psycopg.errors.InvalidObjectDefinition, match="immutable"):
        conn.execute(
            "CREATE TABLE quotes (quote text, embedding vector(384)"
            " GENERATED ALWAYS AS (pgml.embed('stand-in', quote)) STORED)"
        )


@pytest.mark.parametrize("kwargs", ['{"trust_remote_code": true}', '{"normalise": true}'])
def test_unknown_kwargs(conn: psycopg.Connection, kwargs: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="unknown kwargs"):
        conn.execute("SELECT pgml.embed('stand-in', 'x', %s)", (kwargs,))


def test_a_loop_that_commits(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE reviews (id serial PRIMARY KEY, body text, embedding vector(384))")
    conn.execute("INSERT INTO reviews (body) SELECT 'review ' || n FROM generate_series(1, 25) n")
    notices: list[str | None] = []
    conn.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
    conn.execute(
        """
        DO $$ BEGIN
          FOR i IN 1..(SELECT max(id) FROM reviews) BY 10 LOOP
            RAISE NOTICE 'updating %', i;
            UPDATE reviews SET embedding = pgml.embed('stand-in', 'passage: ' || body)
             WHERE id BETWEEN i AND i + 10 AND embedding IS NULL;
            COMMIT;
          END LOOP;
        END $$
        """
    )
    assert notices == ["updating 1", "updating 11", "updating 21"]
    assert one(conn, "SELECT count(embedding) FROM reviews") == 25


def test_who_has_the_role_may(conn: psycopg.Connection, database: Database) -> None:
    conn.execute("CREATE ROLE pgml_user LOGIN IN ROLE rowvec_user")
    try:
        with database.connect("pgml_user") as theirs:
            assert len(one(theirs, "SELECT pgml.embed('stand-in', 'x')")) == 384
    finally:
        conn.execute("DROP ROLE pgml_user")
