"""Texts/s of SQL's `embed_batch` and of the backfill beside a plain `encode` of the same texts.

600 docstrings of Python's standard library, each once, and 600 of which a tenth are repeated,
through a worker whose cache is off; `encode` has its defaults and as many threads. Rounds
alternate; medians of three. Prints the ratios and the worst cosine of the two ways. Names of
backends may be given as arguments.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import psycopg
import torch
from stage import MODEL, ROWVEC, instance, load_model, report, rounded, seconds

from rowvec.models.measure import documents

ROUNDS = 3
TEXTS = 600
REPEATED = TEXTS // 10
BATCH = "SELECT v::text FROM rowvec.embed_batch(%s, %s, %s) AS v"


def main() -> None:
    """Prints a line for each way: in SQL, with repeated texts, by the backfill, by each backend."""
    texts = documents(TEXTS)
    repeating = [*texts[: TEXTS - REPEATED], *texts[:REPEATED]]
    threads = torch.get_num_threads()
    model = load_model()
    with (
        instance(ROWVEC_CACHE_BYTES="0", ROWVEC_THREADS=str(threads)) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):

        def compare(way: str, texts: list[str], ours: Callable[[], float], **more: object) -> None:
            theirs = partial(seconds, lambda: model.encode(texts))
            pairs = [(ours(), theirs()) for _ in range(ROUNDS)]
            mine, encode = (rounded([pair[side] for pair in pairs], 4) for side in (0, 1))
            report(
                "throughput", way=way, threads=threads, ratio=round(encode / mine, 3),
                texts_per_second=round(len(texts) / mine, 1),
                encode_texts_per_second=round(len(texts) / encode, 1), **more,
            )  # fmt: skip

        def in_sql(texts: list[str], kwargs: str = "{}") -> float:
            return seconds(partial(connection.execute, BATCH, (MODEL, texts, kwargs)))

        for backend in (None, *sys.argv[1:]):
            kwargs = json.dumps({} if backend is None else {"backend": backend})
            in_sql(texts[:8], kwargs)
            rows = connection.execute(BATCH, (MODEL, texts, kwargs)).fetchall()
            vectors = np.array([json.loads(row[0]) for row in rows])
            cosine = round(float((vectors * model.encode(texts)).sum(axis=1).min()), 6)
            way = f"embed_batch, backend {backend or 'of the own choice'}"
            compare(way, texts, partial(in_sql, texts, kwargs), cosine=cosine, goal_ratio=1.4)
        compare(
            "embed_batch, a tenth repeated", repeating, partial(in_sql, repeating), goal_ratio=1.5
        )
        store(connection, texts)
        compare("backfill", texts, partial(backfill, dsn, connection), goal_ratio=1.4)


def store(connection: psycopg.Connection, texts: list[str]) -> None:
    """A table of the texts with an embedding column, empty."""
    connection.execute("CREATE TABLE docs (id int PRIMARY KEY, doc text NOT NULL)")
    with connection.cursor().copy("COPY docs FROM STDIN") as copy:
        for number, text in enumerate(texts):
            copy.write_row((number, text))
    connection.execute("SELECT rowvec.create_embedding('docs', %s, 'doc')", (MODEL,))


def backfill(dsn: str, connection: psycopg.Connection) -> float:
    """Seconds from the first read to the last commit of all rows, as the job reports them."""
    connection.execute("UPDATE docs SET embedding = NULL, embedding_of = NULL")
    connection.execute("VACUUM docs")
    done = subprocess.run(
        [ROWVEC, "backfill", "docs", "--dsn", dsn, "--json"], capture_output=True, check=True
    )
    summary = json.loads(done.stdout)
    assert summary["written"] == TEXTS, summary
    return float(summary["seconds"])


if __name__ == "__main__":
    main()
