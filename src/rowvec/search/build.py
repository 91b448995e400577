"""Builds the ivfflat index of an embedding column and finds the probes that it needs."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Protocol

from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.definition import Definition
from rowvec.db.queries import query
from rowvec.db.session import Session, open_session
from rowvec.db.vector_index import IndexState, VectorIndex
from rowvec.errors import InvalidRequest, NotSupported
from rowvec.search.recall import Measured, Measurement

_APPLICATION = "rowvec index"
_MAX_DIMENSIONS = 2_000
_MIN_LISTS = 10
_MAX_LISTS = 32_768
_MIN_MEMORY_KB = 256 << 10
_POLL_SECONDS = 0.2
# An index whose lists are further off than this factor is worth building anew.
_TOLERATED_FACTOR = 2


@dataclass(frozen=True)
class IndexRequest:
    """What to index: a table's name as written in SQL, the embedding where it has several."""

    source: str
    embedding: str | None = None
    lists: int | None = None
    target_recall: float | None = None
    rebuild: bool = False


@dataclass(frozen=True)
class IndexResult:
    """The index as it stands and what was measured, the exact search first."""

    source: str
    embedding: str
    index: str
    rows: int
    lists: int
    was_built: bool
    target_recall: float
    probes: int
    recall: float
    measured: list[Measured]


class IndexReporter(Protocol):
    """Where the progress of a build goes."""

    def phase(self, name: str, done: int, total: int) -> None:
        """What Postgres is doing, and how many tuples of how many are done (0 of 0: unknown)."""

    def measured(self, one: Measured) -> None:
        """Another setting has been measured."""

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""


def lists_for(rows: int) -> int:
    """How many lists suit so many rows: their root, pgvector's own rule for a million and more."""
    return min(max(_MIN_LISTS, round(math.sqrt(rows))), _MAX_LISTS)


def kmeans_memory_kb(lists: int, dimensions: int) -> int:
    """What pgvector's k-means asks of maintenance_work_mem, and a fifth more.

    It samples 50 vectors a list (10,000 at least) and keeps a bound for each sample and list.
    """
    samples = max(10_000, 50 * lists)
    vectors = (samples + 2 * lists) * (4 * dimensions + 8)
    bounds = 4 * (samples * lists + lists * lists + 2 * samples + 3 * lists)
    return max(_MIN_MEMORY_KB, (vectors + bounds) * 6 // 5 // 1024)


async def build_index(
    settings: Settings, request: IndexRequest, reporter: IndexReporter
) -> IndexResult:
    """Builds what is missing, measures, and stores the probes for `search`.

    Raises NotSupported for what ivfflat or CONCURRENTLY cannot do, InvalidRequest where there is
    nothing to index, DatabaseError as Postgres gives it.
    """
    dsn = resolve_dsn(settings)
    async with open_session(dsn, _APPLICATION) as session:
        definition = await Definition.read(session, request.source, request.embedding)
        _refuse_what_cannot_be(definition)
        index = VectorIndex(session, definition)
        rows = await index.count_vectors()
        if not rows:
            raise InvalidRequest(
                f"no row of {definition.table} has a vector in {definition.name}",
                hint=f"run `rowvec backfill {request.source}` first",
            )
        lists = request.lists or lists_for(rows)
        standing = await _usable(index, request, lists, reporter)
        if standing is None:
            await _create(dsn, session, index, lists, reporter)
        elif standing.lists is not None:
            lists = standing.lists
        target = request.target_recall or float(
            await session.value(query("setting"), {"name": "target_recall"})
        )
        measured = await Measurement(index, rows).until(target, lists, reporter.measured)
        best = measured[-1]
        assert best.probes is not None
        await index.store(lists, best.probes, best.recall)
    return IndexResult(
        source=definition.table,
        embedding=definition.name,
        index=index.name,
        rows=rows,
        lists=lists,
        was_built=standing is None,
        target_recall=target,
        probes=best.probes,
        recall=best.recall,
        measured=measured,
    )


def _refuse_what_cannot_be(definition: Definition) -> None:
    if definition.dimensions > _MAX_DIMENSIONS:
        raise NotSupported(
            f"ivfflat indexes at most {_MAX_DIMENSIONS:,} dimensions, "
            f"{definition.label} has {definition.dimensions:,}",
            hint="use a model with fewer, or truncate_dim in the kwargs of a model trained for it",
        )
    if definition.is_partitioned:
        raise NotSupported(
            f"{definition.table} is partitioned, and Postgres indexes partitions CONCURRENTLY "
            "only one by one",
            hint="create an index on each partition",
        )


async def _usable(
    index: VectorIndex, request: IndexRequest, lists: int, reporter: IndexReporter
) -> IndexState | None:
    """The index that stands and may stay; one that may not is dropped."""
    standing = await index.state()
    if standing is None:
        return None
    if not standing.is_valid:
        reporter.say(f"{index.name} is INVALID, left over from a build that was killed: dropped")
    elif request.rebuild:
        reporter.say(f"{index.name} is dropped and built anew")
    elif standing.lists is None:
        raise NotSupported(
            f"{index.name} is an index of the kind {standing.kind}, only ivfflat is measured",
            hint="replace it with --rebuild",
        )
    else:
        if not 1 / _TOLERATED_FACTOR <= standing.lists / lists <= _TOLERATED_FACTOR:
            reporter.say(
                f"{index.name} has {standing.lists} lists, {lists} would suit the rows better: "
                "--rebuild builds it anew"
            )
        return standing
    await index.drop()
    return None


async def _create(
    dsn: str,
    session: Session,
    index: VectorIndex,
    lists: int,
    reporter: IndexReporter,
) -> None:
    """Builds the index here and reads the progress over a second connection."""
    pid = session.connection.info.backend_pid
    async with open_session(dsn, _APPLICATION) as observer:
        build = asyncio.create_task(index.create(lists, kmeans_memory_kb(lists, index.dimensions)))
        try:
            while not (await asyncio.wait([build], timeout=_POLL_SECONDS))[0]:
                progress = await observer.first(query("index_progress"), {"pid": pid})
                if progress is not None:
                    phase, done, total = progress
                    reporter.phase(phase, done or 0, total or 0)
            await build
        finally:
            build.cancel()
