"""Recall and latency of `search` on real vectors, beside SQL by hand and faiss IndexIVFFlat.

    bench/search.py --cache FOLDER [--rows N] [--queries 300] [--keep]

The glosses of WordNet (ROWVEC_TEST_MODELS), embedded once and kept in FOLDER; the queries are
glosses that are not in the table. faiss gets the same vectors, lists and probes, one thread, and
no SQL, no transactions and no rows around them: rowvec claims SQL beside your data, not faiss's
speed. It draws its lists from as many rows as pgvector does (50 for each list, at least 10,000:
ivfbuild.c), the median of three draws; and once from as many as it likes (256 for each list), which
makes better lists.

`ratio` is the median of `search` by that of the statement by hand. By hand is the statement that
gives the same: the query embedded by `embed_query`, the nearest rows by the index with the same
setting and an iterative scan, key and row as JSON, distance and rank. It has the advantages of a
session that is all its own: the settings are set once, and psycopg prepares it. `plain_ms` is the
same with the columns as they are, without JSON and rank; `index_ms` has the vector given and reads
no texts. All others ask with a text that the worker embedded before (its cache answers), so that no
model hides what a search costs. What `search` adds does not grow with the rows: the more an index
has to read, the less it counts.

--keep leaves the database in FOLDER for the next run.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psycopg
from nearest import (
    Asked,
    K,
    Vectors,
    by_hand,
    by_turns,
    by_vector,
    fill,
    index,
    is_filled,
    nearest,
    plain,
    search,
)
from stage import instance, report, rounded
from vectors import glosses, wordnet_vectors

TARGET = 0.95


def main() -> None:
    """One line for each kind of index, one for faiss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    texts = glosses(arguments.rows)
    vectors = wordnet_vectors(arguments.cache, arguments.rows)
    # Glosses of related words stand together: queries come from everywhere.
    order = np.random.default_rng(7).permutation(len(texts))
    asked, kept = order[: arguments.queries], np.sort(order[arguments.queries :])
    queries, table = vectors[asked], vectors[kept]
    words = [texts[i] for i in asked]
    tenth = nearest(queries, [table])
    kept_at = arguments.cache / f"database-{len(kept)}" if arguments.keep else None
    with instance(kept_at) as dsn:
        if not is_filled(dsn):
            fill(dsn, [([texts[i] for i in kept], table)])
        for kind in ("ivfflat", "hnsw"):
            built = index(dsn, "--kind", kind, "--target-recall", str(TARGET))
            found = measure(dsn, words, queries, tenth, built)
            if kind == "ivfflat":
                beside_faiss(table, queries, tenth, built, found)


def measure(
    dsn: str, words: list[str], queries: Vectors, tenth: Vectors, built: dict[str, Any]
) -> dict[str, Asked]:
    """`search`, the same by hand, and the index alone, by turns."""
    kind, setting = built["kind"], built["setting"]
    settings = {f"{kind}.{setting['name']}": setting["value"]}
    in_session = settings | {f"{kind}.iterative_scan": "relaxed_order"}
    with ExitStack() as stack:
        one, two, three, four = (
            stack.enter_context(psycopg.connect(dsn, autocommit=True)) for _ in range(4)
        )
        ways = {
            "search": search(one, words),
            "by hand": by_hand(two, words, in_session),
            "plain": plain(three, words, in_session),
            "vector": by_vector(four, queries, in_session),
        }
        found = by_turns(ways, tenth)
    report(
        "search", kind=built["kind"], rows=built["rows"], lists=built["lists"], **settings,
        target=TARGET, recall=round(found["search"].recall, 4),
        recall_measured=round(built["recall"], 4), search_ms=round(found["search"].p50_ms, 3),
        by_hand_ms=round(found["by hand"].p50_ms, 3), plain_ms=round(found["plain"].p50_ms, 3),
        index_ms=round(found["vector"].p50_ms, 3),
        ratio=round(found["search"].p50_ms / found["by hand"].p50_ms, 3),
        index_and_tune_seconds=round(built["seconds"], 1),
    )  # fmt: skip
    return found


def beside_faiss(
    table: Vectors,
    queries: Vectors,
    tenth: Vectors,
    built: dict[str, Any],
    found: dict[str, Asked],
) -> None:
    """The same vectors, lists, probes and queries."""
    faiss.omp_set_num_threads(1)
    lists, probes = built["lists"], built["setting"]["value"]

    def ask(there: Any) -> Callable[[int], Sequence[float]]:
        def one(query: int) -> Sequence[float]:
            similarities: list[float] = there.search(queries[query : query + 1], K)[0][0].tolist()
            return similarities

        return one

    sampled = max(50, math.ceil(10_000 / lists))
    draws = {
        f"draw {seed}": ask(drawn(table, lists, probes, sampled, seed)) for seed in range(1, 4)
    }
    asked = by_turns(draws | {"full": ask(drawn(table, lists, probes, 256, 1))}, tenth)
    theirs, ours = [asked[draw] for draw in draws], found["vector"]
    same = statistics.median(each.recall for each in theirs)
    report(
        "search-faiss", rows=len(table), lists=lists, probes=probes,
        recall_pgvector=round(ours.recall, 4), recall_faiss=round(same, 4),
        difference=round(ours.recall - same, 4),
        recall_faiss_draws=[round(each.recall, 4) for each in theirs],
        recall_faiss_full_sample=round(asked["full"].recall, 4),
        difference_full_sample=round(ours.recall - asked["full"].recall, 4),
        faiss_ms=rounded([each.p50_ms for each in theirs]), pgvector_ms=round(ours.p50_ms, 3),
        claim="SQL beside your data, not faiss's speed",
    )  # fmt: skip


def drawn(table: Vectors, lists: int, probes: int, rows_of_a_list: int, seed: int) -> Any:
    """An index of faiss, its lists drawn from so many rows for each."""
    dimensions = table.shape[1]
    there = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimensions), dimensions, lists, faiss.METRIC_INNER_PRODUCT
    )
    there.cp.max_points_per_centroid = rows_of_a_list
    there.cp.seed = seed
    there.train(table)
    there.add(table)
    there.nprobe = probes
    return there


if __name__ == "__main__":
    main()
