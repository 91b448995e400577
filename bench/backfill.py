"""Rows/s of a backfill from end to end beside texts/s of a plain `model.encode` of the same texts.

The backfill reads, embeds, writes and commits 2,000 docstrings of Python's standard library,
through a worker whose cache is off. `encode` has its defaults (batches of 32, sorted by length),
as many threads as the worker, and the worker idles meanwhile. Rounds alternate; medians of three.
"""

from __future__ import annotations

import json
import subprocess

import psycopg
import torch
from stage import MODEL, ROWVEC, instance, load_model, report, rounded, seconds

from rowvec.load.python_api import python_api, standard_library

ROUNDS = 3
TEXTS = 2000


def main() -> None:
    """Prints one line: rows/s, texts/s, and how many times faster the backfill is."""
    texts = spread([entry.doc for entry in python_api(standard_library())], TEXTS)
    threads = torch.get_num_threads()
    model = load_model()
    backfilled: list[float] = []
    encoded: list[float] = []
    with (
        instance(ROWVEC_CACHE_BYTES="0", ROWVEC_THREADS=str(threads)) as dsn,
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE docs (id int PRIMARY KEY, doc text NOT NULL)")
        with connection.cursor().copy("COPY docs FROM STDIN") as copy:
            for number, text in enumerate(texts):
                copy.write_row((number, text))
        connection.execute("SELECT rowvec.create_embedding('docs', %s, 'doc')", (MODEL,))
        connection.execute("SELECT rowvec.embed(%s, 'the first call loads the model')", (MODEL,))
        model.encode("the first call sets up")
        for _ in range(ROUNDS):
            connection.execute("UPDATE docs SET embedding = NULL, embedding_of = NULL")
            connection.execute("VACUUM docs")
            backfilled.append(backfill(dsn))
            encoded.append(seconds(lambda: model.encode(texts)))
        filled = connection.execute("SELECT count(embedding) FROM docs").fetchone()
    assert filled == (TEXTS,), filled
    rows, plain = (TEXTS / rounded(times, 6) for times in (backfilled, encoded))
    report(
        "backfill",
        ratio=round(rows / plain, 3),
        rows_per_second=round(rows, 1),
        encode_texts_per_second=round(plain, 1),
        rounds=[round(e / b, 3) for b, e in zip(backfilled, encoded, strict=True)],
        texts=TEXTS,
        different_texts=len(set(texts)),
        threads=threads,
    )


def backfill(dsn: str) -> float:
    """Seconds from the first read to the last commit, as the job itself reports them."""
    done = subprocess.run(
        [ROWVEC, "backfill", "docs", "--dsn", dsn, "--json"], capture_output=True, check=True
    )
    summary = json.loads(done.stdout)
    assert summary["written"] == TEXTS, summary
    return float(summary["seconds"])


def spread(texts: list[str], count: int) -> list[str]:
    """`count` texts at even distances."""
    return [texts[position * len(texts) // count] for position in range(count)]


if __name__ == "__main__":
    main()
