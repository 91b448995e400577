"""A table of real vectors, exact neighbours to compare with, and searches with a clock."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from pgvector.psycopg import register_vector
from stage import MODEL, ROWVEC, row_hash

K = 10
TABLE = "words"
# Distances are sums of float32 in another order.
TOLERANCE = 1e-5

Vectors = npt.NDArray[np.float32]
Settings = Mapping[str, int | str]

_NEAREST = (
    f"SELECT id, gloss, embedding <=> (SELECT v FROM asked) AS distance FROM {TABLE}"
    f" ORDER BY embedding <=> (SELECT v FROM asked) LIMIT {K}"
)


@dataclass(frozen=True)
class Asked:
    """Recall@10 and median milliseconds of a way to search."""

    recall: float
    p50_ms: float


def fill(dsn: str, batches: Iterable[tuple[Sequence[str], Vectors]]) -> int:
    """The table `words` with texts and their vectors, none pending; gives the number of rows."""
    rows = 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE {TABLE} (id int PRIMARY KEY, gloss text NOT NULL)")
        # The first call waits for the model, which a busy machine loads slowly.
        connection.execute(
            "UPDATE rowvec.setting SET value = '600000' WHERE name = 'worker_deadline_ms'"
        )
        connection.execute("SELECT rowvec.create_embedding(%s, %s, 'gloss')", (TABLE, MODEL))
        register_vector(connection)
        for texts, vectors in batches:
            connection.execute("CREATE TEMP TABLE batch (id int, gloss text, embedding vector)")
            copy = "COPY batch FROM STDIN WITH (FORMAT BINARY)"
            with connection.cursor() as cursor, cursor.copy(copy) as stream:
                stream.set_types(["int4", "text", "vector"])
                for row in zip(range(rows, rows + len(texts)), texts, vectors, strict=True):
                    stream.write_row(row)
            connection.execute(
                f"INSERT INTO {TABLE} (id, gloss, embedding, embedding_of)"
                f" SELECT id, gloss, embedding, {row_hash(connection, TABLE)} FROM batch"
            )
            connection.execute("DROP TABLE batch")
            rows += len(texts)
        connection.execute(f"VACUUM ANALYZE {TABLE}")
    return rows


def is_filled(dsn: str) -> bool:
    """Whether an earlier run left its table there."""
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT FROM rowvec.embedding").fetchone() is not None


def nearest(queries: Vectors, batches: Iterable[Vectors]) -> Vectors:
    """Similarity of each query's tenth neighbour: what is as near counts as found."""
    best = np.full((len(queries), K), -2, np.float32)
    for vectors in batches:
        both = np.concatenate([best, queries @ vectors.T], axis=1)
        best = -np.partition(-both, K - 1, axis=1)[:, :K]
    tenth: Vectors = best.min(axis=1)
    return tenth


def recall(similarities: Iterable[Sequence[float]], tenth: Vectors) -> float:
    """Share of the exact neighbours that were found, over all queries."""
    found = [
        sum(one >= limit - TOLERANCE for one in ones)
        for ones, limit in zip(similarities, tenth, strict=True)
    ]
    return float(np.mean(found)) / K


def index(dsn: str, *options: str) -> dict[str, Any]:
    """`rowvec index` with these options: its answer, and the `seconds` until it stood."""
    begin = time.perf_counter()
    done = subprocess.run(
        [str(ROWVEC), "index", TABLE, "--json", "--rebuild", "--dsn", dsn, *options],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    return result | {"seconds": time.perf_counter() - begin}


def by_turns(
    ways: Mapping[str, Callable[[int], Sequence[float]]], tenth: Vectors
) -> dict[str, Asked]:
    """Each way asked for each query, by turns the first; a first round only warms up."""
    milliseconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[Sequence[float]]] = {name: [] for name in ways}
    for is_measured in (False, True):
        for query in range(len(tenth)):
            turns = list(ways.items())
            for name, ask in turns if query % 2 else reversed(turns):
                begin = time.perf_counter()
                similarities = ask(query)
                if is_measured:
                    milliseconds[name].append((time.perf_counter() - begin) * 1000)
                    found[name].append(similarities)
    return {
        name: Asked(recall(found[name], tenth), statistics.median(milliseconds[name]))
        for name in ways
    }


def search(connection: psycopg.Connection, texts: Sequence[str]) -> Callable[[int], list[float]]:
    """`rowvec.search`, as users call it."""

    def ask(query: int) -> list[float]:
        rows = connection.execute(
            f"SELECT key, distance, rank, \"row\" FROM rowvec.search('{TABLE}', %s, {K})",
            (texts[query],),
        ).fetchall()
        return [1 - distance for _, distance, _, _ in rows]

    return ask


def by_hand(
    connection: psycopg.Connection, texts: Sequence[str], settings: Settings
) -> Callable[[int], list[float]]:
    """The same answer by hand: the query embedded by the same call, the same four columns.

    The settings are set once for the session, and psycopg prepares the statement, as it does each
    that it sees often. `search` sets its own for each call, puts the caller's back, and plans what
    it runs.
    """
    return _written(
        connection,
        texts,
        settings,
        "SELECT to_jsonb(q.id) AS key, q.distance,"
        " (row_number() OVER (ORDER BY q.distance))::int AS rank,"
        ' (SELECT to_jsonb(r.*) FROM (SELECT q.id, q.gloss) AS r) AS "row"'
        f" FROM ({_NEAREST}) AS q ORDER BY q.distance",
    )


def plain(
    connection: psycopg.Connection, texts: Sequence[str], settings: Settings
) -> Callable[[int], list[float]]:
    """As by hand, the columns as they are: no JSON, no rank."""
    return _written(
        connection, texts, settings, f"SELECT id, distance, gloss FROM ({_NEAREST}) AS q"
    )


def _written(
    connection: psycopg.Connection, texts: Sequence[str], settings: Settings, statement: str
) -> Callable[[int], list[float]]:
    _set(connection, settings)
    statement = f"WITH asked AS MATERIALIZED (SELECT rowvec.embed_query(%s, %s) AS v) {statement}"

    def ask(query: int) -> list[float]:
        rows = connection.execute(statement, (TABLE, texts[query])).fetchall()
        return [1 - row[1] for row in rows]

    return ask


def by_vector(
    connection: psycopg.Connection, queries: Vectors, settings: Settings
) -> Callable[[int], list[float]]:
    """The index alone: the vector is given, keys and distances come back."""
    register_vector(connection)
    _set(connection, settings)
    statement = (
        f"SELECT id, embedding <=> %s AS distance FROM {TABLE} ORDER BY embedding <=> %s LIMIT {K}"
    )

    def ask(query: int) -> list[float]:
        vector = queries[query]
        return [1 - d for _, d in connection.execute(statement, (vector, vector)).fetchall()]

    return ask


def _set(connection: psycopg.Connection, settings: Settings) -> None:
    # pgvector's settings are known once it is loaded.
    connection.execute("LOAD 'vector'")
    for name, value in settings.items():
        connection.execute(f"SET {name} = {value}")
