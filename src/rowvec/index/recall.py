"""Recall and latency of an index: queries, their exact neighbours, and what each setting finds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rowvec.db.index_form import Setting, Storage
from rowvec.db.measured import Measured
from rowvec.db.nearest_rows import NearestRows, Query
from rowvec.index.index_kind import IndexKind

NEIGHBOURS = 10

_MAX_QUERIES = 500
_MIN_QUERIES = 50
# Exact neighbours cost a scan each: about half a minute for this many distances in all.
_MAX_DISTANCES = 50_000_000
# Queries that were sampled are few, and may be easier than real ones: of their recalls counts the
# mean less this many standard errors.
_STANDARD_ERRORS = 2
# Of this many candidates the nearest is a row's nearest other row, or almost as near.
_CANDIDATES = 40
# Distances are sums of float32: equal vectors may differ in the last digits.
_TOLERANCE = 1e-6


def queries_for(rows: int) -> int:
    """How many queries to measure with, so that their exact neighbours do not take too long.

    500 queries with 10 neighbours tell a recall of 0.95 to about 0.008; a small table, which is
    fast at any setting, is asked for a fortieth of its rows.
    """
    return max(_MIN_QUERIES, min(_MAX_QUERIES, rows // 40, _MAX_DISTANCES // max(1, rows)))


async def sample(
    neighbours: NearestRows, kind: IndexKind, storage: Storage, rows: int
) -> list[Query]:
    """Queries made from a sample of the rows.

    Where rows are in lists, the rows themselves: each is in a list like any other. A graph is
    another matter: a row was linked to its neighbours when it was added, and finds them where a new
    text does not. A query is then a vector beside a row, as far from it as the nearest other row is
    (docs/architecture/index.md has what that is worth).
    """
    drawn = await neighbours.rows(queries_for(rows), rows)
    return await neighbours.beside(drawn, kind.at(_CANDIDATES, storage)) if kind.is_graph else drawn


def between(low: Setting, high: Setting) -> Setting | None:
    """The setting half way; None where there is none between the two."""
    found = Setting(
        high.name, _half_way(low.value, high.value), _half_way(low.rescore, high.rescore)
    )
    return None if found in (low, high) else found


def _half_way(low: int | None, high: int | None) -> int | None:
    return None if high is None else ((low or 0) + high) // 2


def recall_of(found: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    """The share of the exact neighbours that were found.

    A neighbour counts by its distance: of several that are equally far any will do.
    """
    if not len(exact):
        return 1.0
    return float(np.count_nonzero(found <= exact[-1] + _TOLERANCE)) / len(exact)


def cautious(recalls: Sequence[float]) -> float:
    """What their mean is at least, but once in forty times."""
    if len(recalls) < 2:
        return float(np.mean(recalls))
    error = float(np.std(recalls, ddof=1) / np.sqrt(len(recalls)))
    return max(0.0, float(np.mean(recalls)) - _STANDARD_ERRORS * error)


class Measurement:
    """Measures one index with one set of queries; with `are_sampled`, cautiously."""

    def __init__(
        self, neighbours: NearestRows, queries: list[Query], k: int, *, are_sampled: bool = False
    ) -> None:
        self._neighbours = neighbours
        self._queries = queries
        self._k = k
        self._are_sampled = are_sampled
        self._exact: list[NDArray[np.float64]] = []

    async def exact(self) -> Measured:
        """The exact search, which all others are compared with; first."""
        await self._neighbours.use_no_index()
        self._exact, times = await self._all(lambda q: self._neighbours.exact(q, self._k))
        return Measured(None, 1.0, *times)

    async def at(self, setting: Setting) -> Measured:
        """The index at one setting."""
        await self._neighbours.use_index(setting)
        found, times = await self._all(lambda q: self._neighbours.found(q, self._k, setting))
        recalls = [recall_of(f, e) for f, e in zip(found, self._exact, strict=True)]
        recall = cautious(recalls) if self._are_sampled else float(np.mean(recalls))
        return Measured(setting, recall, *times)

    async def smallest(
        self,
        settings: Iterator[Setting],
        target: float,
        report: Callable[[Measured], None],
        least: int = 1,
    ) -> Measured:
        """The smallest setting that reaches the target, or the best of all where none does.

        With a value below `least` it is set to that.
        """
        tried: dict[Setting | None, Measured] = {}

        def note(one: Measured) -> None:
            tried[one.setting] = one
            report(one)

        best = await self._smallest(settings, target, note)
        assert best.setting is not None
        if (best.setting.value or least) >= least:
            return best
        raised = replace(best.setting, value=least)
        if raised not in tried:
            note(await self.at(raised))
        return tried[raised]

    async def _smallest(
        self, settings: Iterator[Setting], target: float, report: Callable[[Measured], None]
    ) -> Measured:
        below: Setting | None = None
        best: Measured | None = None
        for setting in settings:
            measured = await self.at(setting)
            report(measured)
            if measured.recall >= target:
                best = measured
                break
            if best is None or measured.recall > best.recall:
                best = measured
            below = setting
        assert best is not None
        assert best.setting is not None
        if best.recall < target:
            return best
        while below is not None and (middle := between(below, best.setting)) is not None:
            measured = await self.at(middle)
            report(measured)
            if measured.recall >= target:
                best = measured
                assert best.setting is not None
            else:
                below = middle
        return best

    async def _all(
        self, find: Callable[[Query], Awaitable[NDArray[np.float64]]]
    ) -> tuple[list[NDArray[np.float64]], tuple[float, float]]:
        found, milliseconds = [], []
        for query in self._queries:
            began = time.perf_counter()
            found.append(await find(query))
            milliseconds.append((time.perf_counter() - began) * 1000)
        p50, p95 = np.percentile(milliseconds, (50, 95))
        return found, (float(p50), float(p95))
