"""Vectors that are exported."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest

from support.postgres import Database

ROWS = 2300
Vectors = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@pytest.fixture
def vectors(database: Database) -> Vectors:
    """Those of the column, which a hand filled: what is exported is what is there."""
    made: Vectors = np.random.default_rng(7).standard_normal((ROWS, 8)).astype(np.float32)
    with database.connect() as conn:
        conn.execute("CREATE TABLE t (id bigint PRIMARY KEY, body text)")
        conn.execute('CREATE TABLE pairs (a text, "B %" int, body text, PRIMARY KEY (a, "B %"))')
        for table in ("t", "pairs"):
            conn.execute("SELECT rowvec.create_embedding(%s::regclass, 'stand-in-small', 'body')",
                         (table,))  # fmt: skip
        with conn.cursor().copy("COPY t (id, body, embedding) FROM STDIN") as copy:
            for number, vector in enumerate(made):
                copy.write_row((number * 3, f"text ü\n{number}", str(vector.tolist())))
        conn.execute("INSERT INTO t VALUES (-1, 'has no vector yet')")
        conn.execute("INSERT INTO pairs SELECT 'x' || id, id, body, embedding FROM t WHERE id < 9"
                     " AND id >= 0")  # fmt: skip
    return made


CHUNKS = [(5, 1, "a"), (5, 2, "b"), (5, 3, "c"), (6, 1, "d")]


@pytest.fixture
def chunk_vectors(connection: psycopg.Connection) -> Vectors:
    """Those of CHUNKS, which a hand filled, too: three of one row, one of another."""
    made: Vectors = np.random.default_rng(3).standard_normal((4, 8)).astype(np.float32)
    connection.execute("CREATE TABLE t (id bigint PRIMARY KEY, body text)")
    connection.execute("INSERT INTO t VALUES (5, 'a b c'), (6, 'd'), (7, NULL)")
    connection.execute(
        "SELECT rowvec.create_embedding('t', 'stand-in-small', 'body', destination => 'table')"
    )
    for (key, number, text), vector in zip(CHUNKS, made, strict=True):
        connection.execute(
            "INSERT INTO t_embedding VALUES (%s, %s, %s, 0, 1, 1, %s::vector)",
            (key, number, text, str(vector.tolist())),
        )
    return made
