"""Recall of an index: sampled rows as queries, the index's neighbours against the exact ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rowvec.db.vector_index import Sampled, VectorIndex

NEIGHBOURS = 10

_MAX_QUERIES = 200
_MIN_QUERIES = 30
# Exact neighbours cost a scan each: about half a minute for so many distances in all.
_MAX_DISTANCES = 50_000_000
# Distances are sums of float32: equal vectors may differ in the last digits.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Measured:
    """Recall and median latency at one setting; `probes` is None for the exact search."""

    probes: int | None
    recall: float
    p50_ms: float


def probes_to_try(lists: int) -> Iterator[int]:
    """1, 2, 3, 5, 8, 13 and so on, each the sum of the two before it, and `lists` at the end."""
    step, following = 1, 2
    while step < lists:
        yield step
        step, following = following, step + following
    yield lists


def recall_of(found: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    """The share of the exact neighbours that were found.

    A neighbour counts by its distance: of several that are equally far any will do.
    """
    if not len(exact):
        return 1.0
    return float(np.count_nonzero(found <= exact[-1] + _TOLERANCE)) / len(exact)


class Measurement:
    """Measures one index with one sample. The sampled row itself counts on neither side."""

    def __init__(self, index: VectorIndex, rows: int) -> None:
        self._index = index
        self._rows = rows

    async def until(
        self, target: float, lists: int, report: Callable[[Measured], None]
    ) -> list[Measured]:
        """The exact search, then more and more probes until the target recall is reached."""
        queries = max(_MIN_QUERIES, min(_MAX_QUERIES, _MAX_DISTANCES // self._rows))
        sample = await self._index.sample(queries, self._rows)
        await self._index.use_no_index()
        exact, p50_ms = await self._neighbours(sample)
        measured = [Measured(None, 1.0, p50_ms)]
        report(measured[0])
        for probes in probes_to_try(lists):
            await self._index.use_index(probes)
            found, p50_ms = await self._neighbours(sample)
            recall = float(np.mean([recall_of(f, e) for f, e in zip(found, exact, strict=True)]))
            measured.append(Measured(probes, recall, p50_ms))
            report(measured[-1])
            if recall >= target:
                break
        return measured

    async def _neighbours(self, sample: list[Sampled]) -> tuple[list[NDArray[np.float64]], float]:
        found, seconds = [], []
        for query in sample:
            began = time.perf_counter()
            found.append(await self._index.distances(query, NEIGHBOURS))
            seconds.append(time.perf_counter() - began)
        return found, float(np.median(seconds)) * 1000
