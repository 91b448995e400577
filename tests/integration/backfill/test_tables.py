"""Whatever the keys, names and tables: every row is filled once."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowvec.errors import DatabaseError
from support.backfills import Fill
from support.hashes import row_hash
from support.reviews import Reviews

KEYS = {
    "negative and gappy bigint": ("id bigint", "SELECT (i - 150) * 7919, 'text ' || i"),
    "text": ("id text", "SELECT 'Ünï''\"\\ %s ' || md5(i::text), 'text ' || i"),
    "varchar in another collation": (
        'id varchar(40) COLLATE "C"',
        "SELECT left(md5(i::text), 20), 'text ' || i",
    ),
    "char": ("id char(8)", "SELECT i::text, 'text ' || i"),
    "uuid": ("id uuid", "SELECT md5(i::text)::uuid, 'text ' || i"),
    "numeric": ("id numeric(12, 3)", "SELECT i / 7.0, 'text ' || i"),
    "float": ("id float8", "SELECT i / 7.0, 'text ' || i"),
    "timestamptz": (
        "id timestamptz",
        "SELECT '2024-10-27'::date + i * '7.7 min'::interval, 'text ' || i",
    ),
    "bytea": ("id bytea", "SELECT decode(md5(i::text), 'hex'), 'text ' || i"),
}


@pytest.mark.parametrize("key", KEYS)
def test_every_row_is_filled_once_whatever_its_key(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill, key: str
) -> None:
    column, select = KEYS[key]
    connection.execute(f"CREATE TABLE t ({column} PRIMARY KEY, body text)")
    connection.execute(f"INSERT INTO t {select} FROM generate_series(1, 300) AS i")
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    summary = fill("t", commit_rows=7)
    assert (summary.written, summary.pending, summary.changed) == (300, 0, 0)
    assert reviews.one("SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)) FROM t")
    assert reviews.one(f"SELECT bool_and(embedding_of = {row_hash(connection, 't')}) FROM t")


def test_composite_key(connection: psycopg.Connection, reviews: Reviews, fill: Fill) -> None:
    connection.execute("CREATE TYPE kind AS ENUM ('b', 'a')")
    connection.execute(
        "CREATE TABLE t (day date, k kind, n int, body text, PRIMARY KEY (k, day, n))"
    )
    connection.execute(
        "INSERT INTO t SELECT '2024-01-01'::date + i %% 5, (ARRAY['a', 'b'])[1 + i %% 2]::kind, i,"
        " 'text ' || i FROM generate_series(1, 300) AS i",
        (),
    )
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    assert fill("t", commit_rows=7).written == 300
    assert reviews.one("SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)) FROM t")


def test_hostile_names(connection: psycopg.Connection, fill: Fill) -> None:
    names = {"s": 'S "%s"', "t": 't"; DROP TABLE x --', "k": "order%", "x": "f", "e": 'e "%d"'}
    quoted = {short: sql.Identifier(name) for short, name in names.items()}

    def run(statement: str, *parameters: Any) -> Any:
        return connection.execute(sql.SQL(statement).format(**quoted), parameters or None)

    run("CREATE SCHEMA {s}")
    run('CREATE TABLE {s}.{t} ({k} int, "select" int, {x} text, PRIMARY KEY ({k}, "select"))')
    run("INSERT INTO {s}.{t} SELECT i, -i, '100% ' || i FROM generate_series(1, 50) AS i")
    source = sql.SQL("{s}.{t}").format(**quoted).as_string(connection)
    connection.execute(
        "SELECT rowvec.create_embedding(%s, 'stand-in-small', %s, name => %s)",
        (source, "'5% {} ' || f", names["e"]),
    )
    assert fill(source, embedding=names["e"], commit_rows=7).written == 50
    filled = "SELECT bool_and({e} = rowvec.embed('stand-in-small', '5% {{}} ' || f)) FROM {s}.{t}"
    assert run(filled).fetchone() == (True,)


def test_partitioned_source(connection: psycopg.Connection, fill: Fill) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text) PARTITION BY RANGE (id)")
    connection.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)")
    connection.execute("CREATE TABLE t2 PARTITION OF t DEFAULT")
    connection.execute("INSERT INTO t SELECT i, 'text ' || i FROM generate_series(1, 200) AS i")
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    assert fill("t", commit_rows=16).written == 200
    indexed = connection.execute(
        "SELECT tablename FROM pg_indexes WHERE indexname LIKE '%pending' ORDER BY 1"
    ).fetchall()
    assert indexed == [("t1",), ("t2",)]


def test_only_rows_of_the_filter_take_part(
    connection: psycopg.Connection, reviews: Reviews, fill: Fill
) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text, is_public boolean)")
    connection.execute("INSERT INTO t VALUES (1, 'a', true), (2, 'b', false)")
    connection.execute(
        "SELECT rowvec.create_embedding('t', 'stand-in-small', 'body', filter => 'is_public')"
    )
    assert fill("t").written == 1
    assert reviews.one("SELECT array_agg(id) FROM t WHERE embedding IS NOT NULL") == [1]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing", 'relation "nothing" does not exist'),
        ("bare", "bare has no embedding"),
    ],
)
def test_says_in_a_sentence_what_is_missing(
    connection: psycopg.Connection, fill: Fill, source: str, message: str
) -> None:
    connection.execute("CREATE TABLE bare (id int PRIMARY KEY)")
    with pytest.raises(DatabaseError, match=message):
        fill(source)
