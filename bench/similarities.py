"""Stored similar rows: rows a second of `rowvec similarities`, and their recall against exact ones.

5,000 rows of made-up vectors (another number may be given); the exact ones
come from Postgres itself, row by row, without an index. Beside it the same neighbours row by row
through an hnsw index (`similar_pairs`), for the choice that the job makes.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import psycopg
from pgvector.psycopg import register_vector
from stage import ROWVEC, instance, report, row_hash

DIMENSIONS = 384
NEIGHBOURS = 10
SAMPLED = 200

EXACT = """
    SELECT a.id, array_agg(b.id) FROM (SELECT * FROM items ORDER BY id LIMIT %s) AS a
    CROSS JOIN LATERAL (
        SELECT o.id FROM items AS o WHERE o.id <> a.id
        ORDER BY (o.embedding <=> a.embedding) + 0 LIMIT %s) AS b
    GROUP BY a.id
"""


def main() -> None:
    """One line for the job, one for the index."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    with instance() as dsn, psycopg.connect(dsn, autocommit=True) as conn:
        fill(conn, rows)
        exact = {key: set(others) for key, others in conn.execute(EXACT, (SAMPLED, NEIGHBOURS))}
        began = time.perf_counter()
        command = [str(ROWVEC), "similarities", "items", "-k", str(NEIGHBOURS), "--dsn", dsn]
        subprocess.run([*command, "--json"], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        stored = conn.execute(
            "SELECT id, array_agg(other_id) FROM items_similar WHERE id = ANY (%s) GROUP BY id",
            (list(exact),),
        )
        report(
            "similarities", rows=rows, seconds=round(seconds, 2),
            rows_per_second=round(rows / seconds), recall=recall(dict(stored.fetchall()), exact),
        )  # fmt: skip
        conn.execute("CREATE INDEX items_embedding_idx ON items USING hnsw"
                     " (embedding vector_cosine_ops)")  # fmt: skip
        conn.execute("UPDATE rowvec.embedding SET index_kind = 'hnsw', ef_search = 60")
        conn.execute("VACUUM ANALYZE items")
        began = time.perf_counter()
        pairs = conn.execute(
            "SELECT key::int, array_agg(other_key::int)"
            " FROM rowvec.similar_pairs('items', %s) GROUP BY key", (NEIGHBOURS,),
        ).fetchall()  # fmt: skip
        seconds = time.perf_counter() - began
        report(
            "similar_pairs_by_hnsw", rows=rows, seconds=round(seconds, 2),
            rows_per_second=round(rows / seconds), recall=recall(dict(pairs), exact),
        )  # fmt: skip


def fill(conn: psycopg.Connection, rows: int) -> None:
    """Vectors in a thousand clusters, as those of texts are."""
    register_vector(conn)
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(1_000, DIMENSIONS))
    conn.execute(
        f"CREATE TABLE items (id int PRIMARY KEY, body text, embedding vector({DIMENSIONS}),"
        " embedding_of uuid)"
    )
    with (
        conn.cursor() as cursor,
        cursor.copy("COPY items (id, body, embedding) FROM STDIN WITH (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["int4", "text", "vector"])
        for i in range(rows):
            vector = centres[i % len(centres)] + rng.normal(size=DIMENSIONS)
            copy.write_row((i, f"item {i}", vector.astype(np.float32)))
    conn.execute(
        "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
        " VALUES ('items', 'embedding', 'made up', 'body', %s)",
        (DIMENSIONS,),
    )
    conn.execute(f"UPDATE items SET embedding_of = {row_hash(conn, 'items')}")
    conn.execute("VACUUM ANALYZE items")


def recall(found: dict[int, list[int]], exact: dict[int, set[int]]) -> float:
    """The share of the exact neighbours that was found."""
    shares = [len(others & set(found[key])) / len(others) for key, others in exact.items()]
    return round(float(np.mean(shares)), 4)


if __name__ == "__main__":
    main()
