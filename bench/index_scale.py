"""Build time, size, latency and recall of vector, halfvec and bit, on a million vectors.

    bench/index_scale.py --cache FOLDER [--rows 1000000] [--queries 200] [--forms hnsw/bit ...]

On 2 cores a form takes 5 to 15 minutes, so `--forms` says which are built. Sizes and recalls are
the same on a busy machine, times are not.

The vectors are made from real ones: the glosses of WordNet by all-MiniLM-L6-v2, each repeated with
Gaussian noise of length 0.75 added and brought to length 1 again. That leaves a cosine of 0.8 to
the original and 0.64 between two copies, about what a gloss has to its nearest others; with less
noise the neighbours of a row would be its own copies, which any index finds. The queries are real
glosses that no copy was made of, asked through `search`: farther from the rows than these are from
one another, so their recall is below the one measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
from nearest import TABLE, Vectors, by_turns, fill, index, nearest, search
from stage import instance, report
from vectors import glosses, wordnet_vectors

NOISE = 0.75
FORMS = ("ivfflat/vector", "hnsw/bit", "hnsw/halfvec", "hnsw/vector")


def main() -> None:
    """One line for each form of index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--originals", type=int)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    arguments = parser.parse_args()
    texts = glosses(arguments.originals)
    vectors = wordnet_vectors(arguments.cache, arguments.originals)
    order = np.random.default_rng(7).permutation(len(texts))
    asked, kept = order[: arguments.queries], order[arguments.queries :]
    words = [texts[i] for i in asked]
    originals, rows = vectors[kept], arguments.rows
    tenth = nearest(vectors[asked], (copy for _, copy in copies(originals, rows)))
    with instance() as dsn:
        named = (
            ([f"{texts[i]} ({round_})" for i in kept[: len(copy)]], copy)
            for round_, copy in copies(originals, rows)
        )
        fill(dsn, named)
        for kind, storage in (form.split("/") for form in arguments.forms):
            built = index(dsn, "--kind", kind, "--storage", storage)
            with psycopg.connect(dsn, autocommit=True) as connection:
                (size,) = connection.execute(  # type: ignore[misc]  # it is one row
                    f"SELECT pg_relation_size('{TABLE}_embedding_idx')"
                ).fetchone()
                found = by_turns({"search": search(connection, words)}, tenth)["search"]
            measured = next(m for m in built["measured"] if m["setting"] == built["setting"])
            report(
                "index-scale", kind=kind, storage=storage, rows=built["rows"],
                index_and_tune_seconds=round(built["seconds"], 1), size_mb=round(size / 2**20),
                setting={k: v for k, v in built["setting"].items() if v is not None},
                recall=round(found.recall, 4), recall_measured=round(built["recall"], 4),
                search_ms=round(found.p50_ms, 2), index_ms=round(measured["p50_ms"], 2),
            )  # fmt: skip


def copies(originals: Vectors, rows: int) -> Iterator[tuple[int, Vectors]]:
    """Rounds of copies until there are `rows`, the same each time; the first without noise."""
    length = originals.shape[1] ** 0.5
    for number, start in enumerate(range(0, rows, len(originals))):
        part = originals[: rows - start]
        if number:
            noise = np.random.default_rng(number).standard_normal(part.shape, np.float32)
            part = part + noise * np.float32(NOISE / length)
            part /= np.linalg.norm(part, axis=1, keepdims=True)
        yield number, part


if __name__ == "__main__":
    main()
