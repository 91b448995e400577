"""Plans of all functions that search, at the planner's own settings, whatever the major."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import PostgresCluster
from support.hashes import row_hash
from support.indexes import stored

# Enough for the planner to prefer an index.
ROWS = 4_000
DIMENSIONS = 64

# What stands in CREATE INDEX, and what the index job stores about it.
FORMS = {
    "ivfflat": (
        "ivfflat (embedding vector_cosine_ops) WITH (lists = 40)",
        stored("ivfflat", 10),
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
}

CALLS = {
    "nearest": "rowvec.nearest('items', (SELECT embedding FROM items WHERE id = 9))",
    "nearest, filtered": "rowvec.nearest('items', (SELECT embedding FROM items WHERE id = 9),"
    " filter => 'id % $1 <> 3', filter_args => '[10]')",
    "similar": "rowvec.similar('items', '9')",
    "similar_pairs": "rowvec.similar_pairs('items', 5)",
}


@contextmanager
def database_of_vectors(cluster: PostgresCluster) -> Iterator[psycopg.Connection]:
    """A database of vectors in clusters, without an index."""
    name = "rowvec_plans"
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        migrate(cluster.dsn(name), search_path=False)
        with psycopg.connect(cluster.dsn(name), autocommit=True) as connection:
            _fill(connection)
            yield connection
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _fill(connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE TABLE items (id int PRIMARY KEY, body text,"
        f" embedding vector({DIMENSIONS}), embedding_of uuid)"
    )
    connection.execute(
        "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
        f" VALUES ('items', 'embedding', 'no model', 'body', {DIMENSIONS})"
    )
    of = row_hash(connection, "items")
    connection.execute("SELECT setseed(0.5)")
    connection.execute(
        f"INSERT INTO items SELECT *, {of} FROM (SELECT i, 'text ' || i, (SELECT array_agg("
        " sin((i % 300) * 12.9898 + d * 78.233) + 0.4 * random())"
        f" FROM generate_series(1, {DIMENSIONS}) AS d)::vector"
        f" FROM generate_series(1, {ROWS}) AS i) AS made (id, body)"
    )


@contextmanager
def index_of(form: str, connection: psycopg.Connection) -> Iterator[None]:
    """One form of index over the vectors, known to `search`."""
    definition, assignments = FORMS[form]
    connection.execute(f"CREATE INDEX items_embedding_idx ON items USING {definition}")
    connection.execute(
        f"UPDATE rowvec.embedding SET index_name = 'items_embedding_idx', {assignments}"
    )
    connection.execute("VACUUM ANALYZE items")
    yield
    connection.execute("DROP INDEX items_embedding_idx")


def reads_the_index(connection: psycopg.Connection, call: str) -> bool:
    """Whether a search does: under rowvec.explain it gives the plan of its very statement."""
    with connection.transaction():
        connection.execute("SET LOCAL rowvec.explain = on")
        connection.execute(f"SELECT * FROM {CALLS[call]}")
        row = connection.execute("SELECT current_setting('rowvec.plan')").fetchone()
    assert row is not None
    plan = json.dumps(json.loads(row[0])["plan"])
    return '"Index Name": "items_embedding_idx"' in plan


def plan_by_hand(connection: psycopg.Connection) -> str:
    """The statement that the documentation shows first, with a function where a vector stands."""
    ((storage,),) = connection.execute("SELECT index_storage FROM rowvec.embedding").fetchall()
    column, given = {
        "vector": ("embedding <=>", ""),
        "halfvec": (f"embedding::halfvec({DIMENSIONS}) <=>", f"::halfvec({DIMENSIONS})"),
        "bit": (f"binary_quantize(embedding)::bit({DIMENSIONS}) <~>", ""),
    }[storage]
    vector = f"(SELECT rowvec.scale(embedding, 2) FROM items WHERE id = 9){given}"
    order = f"binary_quantize({vector})" if storage == "bit" else vector
    lines = connection.execute(
        f"EXPLAIN SELECT id FROM items ORDER BY {column} {order} LIMIT 10"
    ).fetchall()
    return "\n".join(line for (line,) in lines)
