"""search by every form of index: the index is used, k rows are found, filters lose none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowvec.embedded.postgres import PostgresCluster
from support.hashes import row_hash
from support.indexes import stored

ROWS = 20_000
DIMENSIONS = 64

# What stands in CREATE INDEX, and what the index job stores about it.
FORMS = {
    "ivfflat": (
        "ivfflat (embedding vector_cosine_ops) WITH (lists = 40)",
        stored("ivfflat", 10),
    ),
    "ivfflat halfvec": (
        f"ivfflat ((embedding::halfvec({DIMENSIONS})) halfvec_cosine_ops) WITH (lists = 40)",
        stored("ivfflat", 10, storage="halfvec"),
    ),
    "hnsw": (
        "hnsw (embedding vector_cosine_ops) WITH (m = 8, ef_construction = 32)",
        stored("hnsw", 60),
    ),
    "hnsw halfvec": (
        (
            f"hnsw ((embedding::halfvec({DIMENSIONS})) halfvec_cosine_ops)"
            " WITH (m = 8, ef_construction = 32)"
        ),
        stored("hnsw", 60, storage="halfvec"),
    ),
    "hnsw bit": (
        (
            f"hnsw ((binary_quantize(embedding)::bit({DIMENSIONS})) bit_hamming_ops)"
            " WITH (m = 8, ef_construction = 32)"
        ),
        stored("hnsw", 60, storage="bit", rescore=200),
    ),
    "hnsw l2": (
        "hnsw (embedding vector_l2_ops) WITH (m = 8, ef_construction = 32)",
        stored("hnsw", 60) + ", metric = 'l2'",
    ),
    "hnsw inner product": (
        "hnsw (embedding vector_ip_ops) WITH (m = 8, ef_construction = 32)",
        stored("hnsw", 60) + ", metric = 'inner_product'",
    ),
}


@pytest.fixture(scope="module")
def _filled(_template: str, _admin: psycopg.Connection, cluster: PostgresCluster) -> Iterator[str]:
    """A database of 20,000 vectors in clusters, without an index; made once."""
    name = "rowvec_forms"
    _admin.execute(f"CREATE DATABASE {name} TEMPLATE {_template} STRATEGY file_copy")
    with psycopg.connect(cluster.dsn(name), autocommit=True) as conn:
        conn.execute(
            "CREATE TABLE items (id int PRIMARY KEY, body text, note text,"
            f" embedding vector({DIMENSIONS}), embedding_of uuid)"
        )
        conn.execute(
            "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
            f" VALUES ('items', 'embedding', 'no model', 'body', {DIMENSIONS})"
        )
        of = row_hash(conn, "items")
        conn.execute("SELECT setseed(0.5)")
        conn.execute(
            f"INSERT INTO items SELECT *, {of} FROM ("
            "SELECT i, 'text ' || i, NULL, (SELECT array_agg("
            f" sin((i % 300) * 12.9898 + d * 78.233) + 0.4 * random())"
            f" FROM generate_series(1, {DIMENSIONS}) AS d)::vector"
            f" FROM generate_series(1, {ROWS}) AS i) AS made (id, body)"
        )
        conn.execute("VACUUM ANALYZE items")
    yield name
    _admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module", params=FORMS)
def _indexed(
    request: Any, _filled: str, _admin: psycopg.Connection, cluster: PostgresCluster
) -> Iterator[str]:
    """The same with one form of index."""
    name = "rowvec_form"
    _admin.execute(f"CREATE DATABASE {name} TEMPLATE {_filled} STRATEGY file_copy")
    definition, assignments = FORMS[request.param]
    with psycopg.connect(cluster.dsn(name), autocommit=True) as conn:
        conn.execute(f"CREATE INDEX items_embedding_idx ON items USING {definition}")
        conn.execute(
            f"UPDATE rowvec.embedding SET index_name = 'items_embedding_idx', {assignments}"
        )
        conn.execute("VACUUM ANALYZE items")
    yield name
    _admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def conn(_indexed: str, cluster: PostgresCluster) -> Iterator[psycopg.Connection]:
    with psycopg.connect(cluster.dsn(_indexed), autocommit=True) as connection:
        yield connection


def nearest(conn: psycopg.Connection, of: int, arguments: str) -> list[int]:
    """Keys nearest to the vector of a row."""
    statement = sql.SQL(
        "SELECT key::int FROM rowvec.nearest('items',"
        " (SELECT embedding FROM items WHERE id = {}), {})"
    )
    return [row[0] for row in conn.execute(statement.format(of, sql.SQL(arguments)))]


def plans(conn: psycopg.Connection, call: str) -> str:
    """The plans of all that a call runs, at the planner's default settings."""
    said: list[str] = []
    conn.execute("LOAD 'auto_explain'")
    conn.execute(
        "SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;"
        "SET auto_explain.log_level = notice"
    )
    conn.add_notice_handler(lambda diagnostic: said.append(diagnostic.message_primary or ""))
    conn.execute(call)
    conn.execute("RESET auto_explain.log_min_duration")
    return "\n".join(said)


CALLS = {
    "nearest": "SELECT * FROM rowvec.nearest('items', (SELECT embedding FROM items WHERE id = 9))",
    "similar": "SELECT * FROM rowvec.similar('items', '9')",
    "similar with a filter": "SELECT * FROM rowvec.similar('items', '9', filter => 'id % 10 <> 3')",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_index_is_used(conn: psycopg.Connection, call: str) -> None:
    assert "using items_embedding_idx" in plans(conn, call)


def test_nearly_all_of_the_nearest_are_found(conn: psycopg.Connection) -> None:
    found = 0
    for of in range(1, 21):
        exact = nearest(conn, of, """k => 10, options => '{"exact": true}'""")
        found += len(set(exact) & set(nearest(conn, of, "k => 10")))
    # Signs of so few dimensions tell little: ranking their candidates again makes the best of it.
    is_bit = conn.execute("SELECT index_storage = 'bit' FROM rowvec.embedding").fetchone()
    assert found >= (60 if is_bit == (True,) else 180)


def test_distances_are_exact_and_in_order(conn: psycopg.Connection) -> None:
    rows = conn.execute(
        "SELECT distance, rank FROM rowvec.nearest('items',"
        " (SELECT embedding FROM items WHERE id = 9), 50)"
    ).fetchall()
    assert [rank for _, rank in rows] == list(range(1, 51))
    assert [d for d, _ in rows] == sorted(d for d, _ in rows)
    metric = conn.execute("SELECT metric FROM rowvec.embedding").fetchone()
    assert metric is not None
    operator = {"cosine": "<=>", "l2": "<->", "inner_product": "<#>"}[metric[0]]
    off = conn.execute(
        f"SELECT max(abs(n.distance - (a.embedding {operator} b.embedding)))"
        " FROM items AS a, rowvec.nearest('items', a.embedding, 50) AS n"
        " JOIN items AS b ON b.id = n.key::int WHERE a.id = 9"
    ).fetchone()
    assert off == (0,)


@pytest.mark.parametrize("k", [1, 15, 20])
def test_a_filter_that_keeps_one_in_a_thousand(conn: psycopg.Connection, k: int) -> None:
    """As many rows as there are: 20 of the 20,000."""
    rows = nearest(conn, 9, f"k => {k}, filter => 'id % $1 = $2', filter_args => '[1000, 7]'")
    assert len(rows) == k
    assert all(key % 1000 == 7 for key in rows)


def test_a_filter_that_keeps_fewer_than_k(conn: psycopg.Connection) -> None:
    assert sorted(nearest(conn, 9, "k => 50, filter => 'id <= 7'")) == [1, 2, 3, 4, 5, 6, 7]
    assert nearest(conn, 9, "k => 50, filter => 'id < 0'") == []


@pytest.mark.parametrize("k", [300, 3000])
def test_many_rows(conn: psycopg.Connection, k: int) -> None:
    """More than an hnsw scan gives at once."""
    assert len(set(nearest(conn, 9, f"k => {k}"))) == k


def test_a_policy_loses_no_rows(conn: psycopg.Connection) -> None:
    """Row-level security takes rows away as a filter does."""
    conn.execute("BEGIN")
    conn.execute("ALTER TABLE items ENABLE ROW LEVEL SECURITY")
    conn.execute("CREATE POLICY few ON items USING (id % 1000 = 7)")
    conn.execute("CREATE ROLE reader IN ROLE rowvec_user")
    conn.execute("GRANT SELECT ON items TO reader")
    conn.execute("SET LOCAL ROLE reader")
    found = conn.execute("SELECT key FROM rowvec.similar('items', '1007', 10)").fetchall()
    assert len(found) == 10
    assert all(key % 1000 == 7 for (key,) in found)
    conn.execute("ROLLBACK")


def test_pairs_are_those_of_similar(conn: psycopg.Connection) -> None:
    pairs = conn.execute(
        "SELECT key, other_key, rank FROM rowvec.similar_pairs('items', 3,"
        " filter => 'id <= $1', filter_args => '[400]') WHERE key::int IN (5, 6) ORDER BY 1, 3"
    ).fetchall()
    single = [
        (of, other, rank)
        for of in (5, 6)
        for other, rank in conn.execute(
            "SELECT key, rank FROM rowvec.similar('items', %s::text::jsonb, 3,"
            " filter => 'id <= 400') ORDER BY rank",
            (of,),
        )
    ]
    assert pairs == single
