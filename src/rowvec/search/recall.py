"""Recall and latency of an index: queries, their exact neighbours, and what each setting finds."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rowvec.db.index_form import IndexForm, Setting
from rowvec.db.neighbours import Neighbours, Query

NEIGHBOURS = 10

# pgvector's own limit of hnsw.ef_search.
_MAX_EF_SEARCH = 1_000
# Beside probes of an ivfflat index over bits; more only where all lists are not enough.
_RESCORE = 200
_MAX_QUERIES = 500
_MIN_QUERIES = 50
# Exact neighbours cost a scan each: about half a minute for so many distances in all.
_MAX_DISTANCES = 50_000_000
# Queries that were sampled are few, and may be easier than real ones: of their recalls counts the
# mean less so many standard errors.
_STANDARD_ERRORS = 2
# A scan of so many vectors takes about a millisecond: to compare fewer saves nobody any time.
_FEWEST_COMPARED = 1_000
# Distances are sums of float32: equal vectors may differ in the last digits.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Measured:
    """Recall and latency in milliseconds at one setting; None for the exact search."""

    setting: Setting | None
    recall: float
    p50_ms: float
    p95_ms: float

    @property
    def order(self) -> tuple[int, ...]:
        """From the fastest setting to the most thorough; the exact search comes last."""
        if self.setting is None:
            return (sys.maxsize,)
        return tuple(value or 0 for value in vars(self.setting).values())


def queries_for(rows: int) -> int:
    """How many queries to measure with, so that their exact neighbours take no more than a while.

    500 queries with 10 neighbours tell a recall of 0.95 to about 0.008; a small table, which is
    fast at any setting, is asked for a fortieth of its rows.
    """
    return max(_MIN_QUERIES, min(_MAX_QUERIES, rows // 40, _MAX_DISTANCES // max(1, rows)))


def settings_to_try(form: IndexForm, lists: int, k: int) -> Iterator[Setting]:
    """Settings from the fastest to the most thorough that the index has."""
    if form.kind == "hnsw":
        # An hnsw scan ends after ef_search rows: fewer than k would find fewer than k.
        for step in _steps(min(k, _MAX_EF_SEARCH), _MAX_EF_SEARCH):
            yield Setting(ef_search=step, rescore=step if form.storage == "bit" else None)
    elif form.storage == "bit":
        for step in _steps(1, lists):
            yield Setting(probes=step, rescore=max(k, _RESCORE))
        for factor in (2, 5, 10, 50):
            yield Setting(probes=lists, rescore=factor * max(k, _RESCORE))
    else:
        for step in _steps(1, lists):
            yield Setting(probes=step)


def least_probes(form: IndexForm, lists: int, rows: int) -> int:
    """Probes below which a search would lose neighbours and gain nothing; 1 for hnsw.

    It is for small tables: the questions of users lie farther from the rows than rows from each
    other, and find less than was measured.
    """
    if form.kind == "hnsw":
        return 1
    return min(lists, math.ceil(_FEWEST_COMPARED * lists / max(1, rows)))


def between(low: Setting, high: Setting) -> Setting | None:
    """The setting half way; None where there is none between the two."""
    middle = {
        name: None if upper is None else ((getattr(low, name) or 0) + upper) // 2
        for name, upper in vars(high).items()
    }
    found = Setting(**middle)
    return None if found in (low, high) else found


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
        self, neighbours: Neighbours, queries: list[Query], k: int, *, are_sampled: bool = False
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

        With fewer than `least` probes it is set to these.
        """
        tried: dict[Setting | None, Measured] = {}

        def note(one: Measured) -> None:
            tried[one.setting] = one
            report(one)

        best = await self._smallest(settings, target, note)
        assert best.setting is not None
        if (best.setting.probes or least) >= least:
            return best
        raised = replace(best.setting, probes=least)
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


def _steps(first: int, last: int) -> Iterator[int]:
    """From `first` to `last`, each 1.6 times the one before it: 1, 2, 3, 5, 8, 13 and so on."""
    step = first
    while step < last:
        yield step
        step = max(step + 1, round(step * 1.6))
    yield last
