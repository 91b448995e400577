"""Keys of types that are not Postgres's own, and keys that a session writes as its settings say."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.types.json import Jsonb

from support.backfills import Fill
from support.postgres import Database

EXTENSIONS = {
    "ltree": "('a.b' || i)::ltree",
    "citext": "('Key ' || i)::citext",
    "cube": "cube(i)",
    "seg": "(i || ' .. ' || i + 1)::seg",
}


@pytest.mark.parametrize("destination", ["column", "table"])
@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("columns", [1, 2])
def test_a_key_of_an_extensions_type(
    *, connection: psycopg.Connection, fill: Fill, extension: str, destination: str, columns: int
) -> None:
    connection.execute(f"CREATE SCHEMA ext; CREATE EXTENSION {extension} SCHEMA ext".encode())
    key = "k" if columns == 1 else "n, k"
    connection.execute(
        f"CREATE TABLE t (n int, k ext.{extension}, body text, PRIMARY KEY ({key}))".encode()
    )
    connection.execute("SET search_path = public, ext")
    values = EXTENSIONS[extension]
    connection.execute(
        f"INSERT INTO t SELECT i, {values}, 'text ' || i FROM generate_series(1, 9) AS i".encode()
    )
    connection.execute("SET search_path = public")
    connection.execute(
        "SELECT rowvec.create_embedding('t', 'stand-in-small', 'body', destination => %s)",
        (destination,),
    )
    if destination == "column":
        connection.execute("CALL rowvec.backfill('t', commit_rows => 2)")
    connection.execute("UPDATE t SET body = body || '!' WHERE n > 5")
    assert fill("t", commit_rows=3).pending == 0
    for method in ("vector", "hybrid"):
        found = connection.execute(
            "SELECT key FROM rowvec.search('t', 'text 7!', 1, method => %s)", (method,)
        ).fetchall()
        assert len(found) == 1
    ((first,),) = found
    similar = connection.execute("SELECT count(*) FROM rowvec.similar('t', %s, 3)", (Jsonb(first),))
    assert similar.fetchone() == (3,)
    pairs = connection.execute("SELECT count(*) FROM rowvec.similar_pairs('t', 2)")
    assert pairs.fetchone() == (18,)
    checked = connection.execute("SELECT count(*), min(similarity) > 0.99 FROM rowvec.verify('t')")
    assert checked.fetchone() == (9, True)
    assert connection.execute("SELECT count(*) FROM rowvec.truncated('t')").fetchone() == (0,)


WRITTEN = {
    "timestamptz": "timestamptz '2024-01-01 12:00+00' + i * interval '1 hour'",
    "float8": "i / 3.0::float8",
    "interval": "i * interval '1 day 3 hours'",
    "date": "date '2024-02-03' + i",
    "bytea": "decode('00ff0' || i, 'hex')",
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_failure_is_known_by_its_key_in_every_session(
    connection: psycopg.Connection, database: Database, fill: Fill, kind: str
) -> None:
    """Set aside by one that writes keys in its own way; repaired, it is forgotten by any other."""
    connection.execute(f"CREATE TABLE t (k {kind} PRIMARY KEY, body text)".encode())
    connection.execute(
        f"INSERT INTO t SELECT {WRITTEN[kind]}, 'refuse me ' || i"
        " FROM generate_series(1, 4) AS i".encode()
    )
    connection.execute("SELECT rowvec.create_embedding('t', 'refusing', 'body')")
    with database.connect() as other:
        other.execute(
            "SET timezone = 'Asia/Kolkata'; SET datestyle = 'German';"
            "SET intervalstyle = 'iso_8601'; SET extra_float_digits = -5; SET bytea_output = escape"
        )
        other.execute("CALL rowvec.backfill('t')")
    failures = "SELECT array_agg(key ORDER BY key), count(*) FROM rowvec.failure"
    before = connection.execute(failures).fetchone()
    assert fill("t").failed == 0
    assert connection.execute(failures).fetchone() == before
    connection.execute("UPDATE t SET body = 'good ' || k::text")
    assert fill("t").written == 4
    assert connection.execute("SELECT count(*) FROM rowvec.failure").fetchone() == (0,)
