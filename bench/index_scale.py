"""Build time, size, latency and recall of vector, halfvec and bit, on a million vectors.

    bench/index_scale.py --cache FOLDER [--forms hnsw/bit ...] [--rows 1000000] [--drop]

The database stays in FOLDER, so that each form may have a run of its own; --drop removes it at the
end. A form takes 2 to 15 minutes on 2 cores. Sizes and recalls are the same on a busy machine,
times are not.

The vectors are made from real ones as made_up.py says, which prints how far from each other they
are. The queries are glosses that no vector was made of, asked through `search` at the setting that
`rowvec index` measured.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
from made_up import BLOCK, MadeUp, made_up
from nearest import TABLE, Vectors, by_turns, fill, index, is_filled, nearest, search
from stage import instance, report

FORMS = (
    "ivfflat/vector", "ivfflat/halfvec", "ivfflat/bit", "hnsw/vector", "hnsw/halfvec", "hnsw/bit",
)  # fmt: skip


def main() -> None:
    """One line for each form of index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--forms", nargs="*", choices=FORMS, default=FORMS)
    parser.add_argument("--drop", action="store_true")
    arguments = parser.parse_args()
    made = made_up(arguments.cache, arguments.rows)
    tenth = nearest(made.queries, _blocks(made.vectors))
    kept = arguments.cache / f"database-{arguments.rows}"
    with instance(kept) as dsn:
        if not is_filled(dsn):
            fill(dsn, _named(made))
        for form in arguments.forms:
            _measure(dsn, form, made.questions, tenth)
    if arguments.drop:
        shutil.rmtree(kept)


def _measure(dsn: str, form: str, questions: list[str], tenth: Vectors) -> None:
    kind, storage = form.split("/")
    built = index(dsn, "--kind", kind, "--storage", storage)
    with psycopg.connect(dsn, autocommit=True) as connection:
        (size,) = connection.execute(  # type: ignore[misc]  # it is one row
            f"SELECT pg_relation_size('{TABLE}_embedding_idx')"
        ).fetchone()
        found = by_turns({"search": search(connection, questions)}, tenth)["search"]
    measured = next(one for one in built["measured"] if one["setting"] == built["setting"])
    report(
        "index-scale", kind=kind, storage=storage, rows=built["rows"], lists=built["lists"],
        build_seconds=round(built["build_seconds"]), index_and_tune_seconds=round(built["seconds"]),
        size_mb=round(size / 2**20),
        setting={name: value for name, value in built["setting"].items() if value is not None},
        recall=round(found.recall, 4), recall_measured=round(built["recall"], 4),
        search_ms=round(found.p50_ms, 2), index_ms=round(measured["p50_ms"], 2),
    )  # fmt: skip


def _blocks(vectors: Vectors) -> Iterator[Vectors]:
    for start in range(0, len(vectors), BLOCK):
        yield np.asarray(vectors[start : start + BLOCK])


def _named(made: MadeUp) -> Iterator[tuple[list[str], Vectors]]:
    for number, block in enumerate(_blocks(made.vectors)):
        start = number * BLOCK
        places = range(start, start + len(block))
        yield (
            [f"{made.texts[at % made.originals]} ({at // made.originals})" for at in places],
            block,
        )


if __name__ == "__main__":
    main()
