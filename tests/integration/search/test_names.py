"""A table may bear a name that our own SQL uses: it is filled and searched like any other."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from support.postgres import Database

# What reads or writes a table beside something of ours; a filter may name another table.
STATEMENTS = (
    "CALL rowvec.backfill({source})",
    "SELECT key FROM rowvec.search({source}, 'text 3', filter => {filter})",
    "SELECT key FROM rowvec.search({source}, 'text 3', method => 'hybrid', filter => {filter})",
    "SELECT key FROM rowvec.search({source}, 'text', method => 'text')",
    "SELECT key FROM rowvec.similar({source}, '3', filter => {filter})",
    "SELECT key FROM rowvec.similar_pairs({source}, 2, filter => {filter})",
    "SELECT rowvec.context({source}, 'text 3')",
    "SELECT key FROM rowvec.verify({source})",
)


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def test_names_of_ours(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE texts (id int PRIMARY KEY, body text)")
    conn.execute("INSERT INTO texts SELECT i, 'text ' || i FROM generate_series(1, 5) AS i")
    conn.execute("SELECT rowvec.create_embedding('texts', 'stand-in-small', 'body')")
    # A search behind a filter then has its second half.
    conn.execute("UPDATE rowvec.embedding SET index_is_graph = true")
    before = "texts"
    for name in ("a", "d", "e", "f", "g", "h", "k", "n", "n1", "of_row", "q", "r", "s", "t", "w"):
        table = sql.Identifier(name)
        conn.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(sql.Identifier(before), table))
        conn.execute(sql.SQL("UPDATE {} SET body = body || '.' WHERE id = 3").format(table))
        condition = sql.SQL("id IN (SELECT o.id FROM {} AS o)").format(table)
        parts = {"source": sql.Literal(name), "filter": sql.Literal(condition.as_string())}
        for statement in STATEMENTS:
            cursor = conn.execute(sql.SQL(statement).format(**parts))
            assert cursor.description is None or cursor.fetchone() is not None, (name, statement)
        before = name
