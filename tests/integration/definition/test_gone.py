"""Definitions of tables that were dropped: in a copy, the number left of one may name anything."""

from __future__ import annotations

import psycopg
import pytest

from support.backfills import Fill

OTHERS = {
    "an index": "other_pkey",
    "a table": "other",
    "a type's table": "pair",
    "a system catalog": "pg_catalog.pg_class",
    "nothing": "4000000000",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_number_that_names_something_else(
    connection: psycopg.Connection, fill: Fill, other: str
) -> None:
    connection.execute("CREATE TABLE gone (id int PRIMARY KEY, body text)")
    connection.execute("CREATE TABLE other (id int PRIMARY KEY, body text)")
    connection.execute("CREATE TYPE pair AS (a int, b int)")
    connection.execute("CREATE TABLE kept (id int PRIMARY KEY, body text)")
    connection.execute("INSERT INTO kept VALUES (1, 'one')")
    connection.execute(
        "SELECT rowvec.create_embedding('gone', 'stand-in-small', 'body', destination => 'table')"
    )
    connection.execute("SELECT rowvec.create_embedding('kept', 'stand-in-small', 'body')")
    connection.execute("DROP TABLE gone CASCADE")
    connection.execute("DROP TABLE gone_embedding")
    # As a restore does it, where numbers are given anew.
    connection.execute("UPDATE rowvec.embedding SET source = %s WHERE name = 'embedding'"
                       " AND destination = 'table'", (other,))  # fmt: skip
    connection.execute("UPDATE rowvec.derived SET relation = 'other'::regclass")

    assert fill("kept").written == 1
    status = "SELECT rows, pending FROM rowvec.status ORDER BY id"
    assert connection.execute(status).fetchall() == [(None, None), (1, 0)]
    assert connection.execute("SELECT count(*) FROM rowvec.progress").fetchone() == (2,)
    if other == "other":
        connection.execute("SELECT rowvec.create_embedding('other', 'stand-in-small', 'body')")
        assert connection.execute("SELECT source::text FROM rowvec.embedding").fetchall() == [
            ("kept",),
            ("other",),
        ]
    else:
        connection.execute("SELECT rowvec.drop_embedding(%s)", (other,))
        assert connection.execute(status).fetchall() == [(1, 0)]
    assert connection.execute("SELECT to_regclass('other') IS NOT NULL").fetchone() == (True,)
