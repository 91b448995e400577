"""As many vectors as one likes, that lie as real ones do; computed once and kept.

    nice -n 19 .venv/bin/python bench/made_up.py --cache FOLDER [--rows 1000000]

The originals are glosses of WordNet by all-MiniLM-L6-v2. A made-up vector is an original on its way
to one of its own 50 nearest others, at a random part of that way, moved aside by SIDEWAYS of the
difference between another original and one of its 50 nearest; then it has length 1 again. So it
lies between texts about the same thing, and differs from both as texts differ: noise that is equal
in all directions would leave the few in which texts lie, and copies that are nearer to each other
than to anything else would be found by any index.

Run by itself it prints how far vectors are from the nearest of the others, real and made up, and
how far the glosses are that were held out, which serve as queries.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt
from stage import report
from vectors import Vectors, glosses, wordnet_vectors

ORIGINALS = 100_000
NEIGHBOURS = 50
SIDEWAYS = 0.8
SAMPLED = 500
BLOCK = 50_000

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MadeUp:
    """`vectors` of unit length, the originals first; no query is among them."""

    vectors: Vectors
    originals: int
    texts: list[str]
    queries: Vectors
    questions: list[str]


def main() -> None:
    """Makes them, and says how far from each other they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    made = made_up(arguments.cache, arguments.rows)
    real = made.vectors[: made.originals]
    order = np.random.default_rng(1)
    some = order.choice(made.originals, SAMPLED, replace=False)
    others = order.choice(np.arange(made.originals, arguments.rows), SAMPLED, replace=False)
    report(
        "made-up", rows=arguments.rows, originals=made.originals, sideways=SIDEWAYS,
        percentiles=[5, 25, 50, 75, 95],
        real_among_real=_nearest(real[some], real, some),
        query_among_real=_nearest(made.queries, real),
        real_among_all=_nearest(real[some], made.vectors, some),
        made_up_among_all=_nearest(made.vectors[others], made.vectors, others),
        query_among_all=_nearest(made.queries, made.vectors),
    )  # fmt: skip


def made_up(cache: Path, rows: int, queries: int = 200) -> MadeUp:
    """So many vectors, the same each time."""
    texts = glosses(ORIGINALS + queries)
    vectors = wordnet_vectors(cache, ORIGINALS + queries)
    order = np.random.default_rng(7).permutation(len(texts))
    asked, kept = order[:queries], np.sort(order[queries:])
    originals = np.ascontiguousarray(vectors[kept])
    whole = cache / f"made-up-{rows}.npy"
    if not whole.exists():
        near = _neighbours(originals)
        unfinished = whole.with_suffix(".tmp.npy")
        made = np.lib.format.open_memmap(unfinished, "w+", np.float32, (rows, originals.shape[1]))
        made[: len(originals)] = originals[:rows]
        for start in range(len(originals), rows, len(originals)):
            made[start : start + len(originals)] = _round(originals, near, start)[: rows - start]
        made.flush()
        unfinished.replace(whole)
    return MadeUp(
        np.load(whole, mmap_mode="r"), min(rows, len(originals)), [texts[i] for i in kept],
        vectors[asked], [texts[i] for i in asked],
    )  # fmt: skip


def _round(originals: Vectors, near: Numbers, seed: int) -> Vectors:
    """One made-up vector of each original."""
    random = np.random.default_rng(seed)
    count = len(originals)
    towards = originals[near[np.arange(count), random.integers(0, NEIGHBOURS, count)]]
    others = random.permutation(count)
    aside = originals[others] - originals[near[others, random.integers(0, NEIGHBOURS, count)]]
    part = random.uniform(0, 1, (count, 1)).astype(np.float32)
    made = originals + part * (towards - originals) + np.float32(SIDEWAYS) * aside
    unit: Vectors = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit


def _neighbours(originals: Vectors) -> Numbers:
    """The nearest others of each, or nearly: 24 of 316 lists are searched."""
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(originals.shape[1]), originals.shape[1], 316, faiss.METRIC_INNER_PRODUCT
    )
    index.train(originals)
    index.add(originals)
    index.nprobe = 24
    found: Numbers = index.search(originals, NEIGHBOURS + 1)[1]
    # A vector is its own nearest; of equal ones any may stand first.
    is_self = found == np.arange(len(found))[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    others: Numbers = found[~is_self].reshape(len(found), NEIGHBOURS)
    return others


def _nearest(queries: Vectors, vectors: Vectors, own: Numbers | None = None) -> list[float]:
    """Percentiles of the cosine distance to the nearest vector; `own` are the queries' places."""
    best = np.full(len(queries), -1, np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = queries @ vectors[start : start + BLOCK].T
        if own is not None:
            here = (own >= start) & (own < start + block.shape[1])
            block[here, own[here] - start] = -1
        best = np.maximum(best, block.max(axis=1))
    return [round(float(one), 3) for one in np.percentile(1 - best, (5, 25, 50, 75, 95))]


if __name__ == "__main__":
    main()
