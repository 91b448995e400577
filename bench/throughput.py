"""Texts/s of `rowvec.embed_batch` beside a plain `model.encode` of the same texts.

600 docstrings of Python's standard library, each once, through a worker whose cache is off;
`encode` has its defaults and as many threads. Rounds alternate; medians of three. Prints the ratio
and the worst cosine of the two ways.
"""

from __future__ import annotations

import json
import sys
from functools import partial

import numpy as np
import psycopg
import torch
from stage import MODEL, instance, load_model, report, rounded, seconds

from rowvec.models.measure import documents

ROUNDS = 3
TEXTS = 600
BATCH = "SELECT v::text FROM rowvec.embed_batch(%s, %s, %s) AS v"


def main() -> None:
    """Prints one line for the worker's own choice, and one a backend given as an argument."""
    texts = documents(TEXTS)
    threads = torch.get_num_threads()
    model = load_model()
    with (
        instance(ROWVEC_CACHE_BYTES="0", ROWVEC_THREADS=str(threads)) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        for backend in (None, *sys.argv[1:]):
            kwargs = json.dumps({} if backend is None else {"backend": backend})
            connection.execute(BATCH, (MODEL, texts[:8], kwargs))
            rows = connection.execute(BATCH, (MODEL, texts, kwargs)).fetchall()
            ours = np.array([json.loads(row[0]) for row in rows])
            cosine = float((ours * model.encode(texts)).sum(axis=1).min())
            in_sql: list[float] = []
            in_process: list[float] = []
            for _ in range(ROUNDS):
                in_process.append(seconds(lambda: model.encode(texts)))
                in_sql.append(seconds(partial(connection.execute, BATCH, (MODEL, texts, kwargs))))
            report(
                "throughput", backend=backend or "the worker's choice", threads=threads,
                sql_texts_per_second=round(TEXTS / rounded(in_sql), 1),
                encode_texts_per_second=round(TEXTS / rounded(in_process), 1),
                ratio=round(rounded(in_process) / rounded(in_sql), 3), cosine=round(cosine, 6),
            )  # fmt: skip


if __name__ == "__main__":
    main()
