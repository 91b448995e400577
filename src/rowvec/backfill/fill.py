"""The loop of a backfill on one session: take a shard, read, embed, write, finish it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from rowvec.backfill.report import Summary
from rowvec.backfill.shards import NoShard, Shard, Shards
from rowvec.backfill.throttle import Throttle
from rowvec.db.session import Session
from rowvec.db.source import Range, Row, Source
from rowvec.errors import LeaseLost, RowvecError
from rowvec.filling.batch import (
    Writer,
    Written,
    cut_by_length,
    results_of,
    texts_of,
    transaction_rows,
)
from rowvec.filling.isolation import Isolation
from rowvec.filling.outcome import Outcome
from rowvec.filling.patience import sleep_unless

# What is computed and not committed is computed again when the job is killed: never more than
# `commit_rows`. So one half of them is at the model while the other is written.
_BATCHES_IN_FLIGHT = 2

# Batches are cut from rows sorted by length, and the more there are the less the model pads: real
# texts, a thousand at a time, take a fifth less than in order of their keys.
_COMMITS_A_READ = 2
_COMMITS_A_SHARD = 8

_POLL_SECONDS = 0.5
_LISTED_FAILURES = 100


@dataclass(frozen=True)
class FillLimits:
    """Sizes of a run: rows at once, rows in all and a second (None is no limit), a lease.

    At most `commit_rows` rows are at the model, or back from it and not yet committed.
    """

    commit_rows: int
    rows: int | None = None
    rows_per_second: float | None = None
    lease_seconds: float = 300


@dataclass(frozen=True)
class _Batch:
    shard: Shard
    rows: list[Row]
    vectors: asyncio.Task[list[Outcome | RowvecError]]


class Filling:
    """Runs passes over the pending rows. The summary lives on when the session dies."""

    def __init__(
        self,
        session: Session,
        source: Source,
        *,
        reader: Session,
        isolation: Isolation,
        limits: FillLimits,
        summary: Summary,
        committed: Callable[[], None],
        say: Callable[[str], None],
        stop: asyncio.Event,
    ) -> None:
        self._session = session
        self._reader = reader
        self._source = source
        self._isolation = isolation
        self._writer = Writer(session, source)
        self._limits = limits
        self._summary = summary
        self._committed = committed
        self._say = say
        self._stop = stop
        self._shards = Shards(
            session,
            source,
            shard_rows=limits.commit_rows * _COMMITS_A_SHARD,
            lease_seconds=limits.lease_seconds,
        )
        self._throttle = Throttle(limits.rows_per_second, stop)
        self._lost: set[Shard] = set()
        self._width = min(_BATCHES_IN_FLIGHT, limits.commit_rows)
        self._batch_rows = transaction_rows(limits.commit_rows)
        self._in_flight: deque[_Batch | Shard] = deque()

    async def run_pass(self) -> bool:
        """Works until the pass is closed, here or by another; False where it had to end before."""
        try:
            async with aclosing(self._read()) as steps:
                async for step in steps:
                    self._in_flight.append(step)
                    while self._batches_in_flight() >= self._width:
                        await self._retire()
            while self._in_flight and not self._stop.is_set():
                await self._retire()
            return not self._stop.is_set() and self._rows_left() != 0
        finally:
            await self._abandon()

    async def pass_is_running(self) -> bool:
        """Whether a pass was begun that is not closed."""
        return await self._shards.pass_is_running()

    async def _read(self) -> AsyncGenerator[_Batch | Shard, None]:
        """Batches that were sent to the model; a shard after the last of its own."""
        while not self._stop.is_set() and self._rows_left() != 0:
            taken = await self._shards.take()
            if taken is NoShard.NOTHING_LEFT:
                return
            if isinstance(taken, NoShard):
                if self._in_flight:
                    await self._retire()
                else:
                    await sleep_unless(self._stop, _POLL_SECONDS)
                continue
            async with aclosing(self._rows_of(taken)) as reads:
                async for rows in reads:
                    todo = [row for row in rows if not row.failed]
                    for batch in cut_by_length(todo, self._batch_rows):
                        if self._stop.is_set() or taken in self._lost:
                            break
                        yield self._embed(taken, batch)
            if self._stop.is_set() or self._rows_left() == 0:
                return
            if taken not in self._lost:
                yield taken

    async def _rows_of(self, shard: Shard) -> AsyncGenerator[list[Row], None]:
        """The pending rows of a shard; while some are embedded and written the next are read.

        Not so under a limit: what may be read then depends on what has become of the last.
        """
        following = asyncio.create_task(self._read_rows(shard, shard.keys))
        try:
            while rows := await following:
                keys = Range(rows[-1].key, shard.keys.upper)
                if self._is_limited:
                    yield rows
                if self._stop.is_set() or shard in self._lost:
                    return
                following = asyncio.create_task(self._read_rows(shard, keys))
                if not self._is_limited:
                    yield rows
        finally:
            await _cancel([following])

    async def _read_rows(self, shard: Shard, keys: Range) -> list[Row]:
        await self._throttle.wait()
        left = self._rows_left()
        size = self._limits.commit_rows * (1 if self._is_limited else _COMMITS_A_READ)
        size = min(size, self._throttle.rows_at_once)
        size = size if left is None else min(size, left)
        if not size or self._stop.is_set() or shard in self._lost:
            return []
        rows = await self._source.read(self._reader, keys, size)
        self._throttle.took(len(rows))
        return rows

    @property
    def _is_limited(self) -> bool:
        return self._limits.rows is not None or self._limits.rows_per_second is not None

    def _rows_left(self) -> int | None:
        """Rows that the limit still lets us read."""
        if self._limits.rows is None:
            return None
        reading = sum(len(step.rows) for step in self._in_flight if isinstance(step, _Batch))
        return max(self._limits.rows - self._summary.handled - reading, 0)

    def _embed(self, shard: Shard, rows: list[Row]) -> _Batch:
        texts = texts_of(rows)
        return _Batch(
            shard, rows, asyncio.create_task(self._isolation.embed(texts) if texts else _none())
        )

    def _batches_in_flight(self) -> int:
        return sum(isinstance(step, _Batch) for step in self._in_flight)

    async def _retire(self) -> None:
        """Writes the oldest batch, or finishes the shard if all its batches are written."""
        step = self._in_flight[0]
        if isinstance(step, Shard):
            await self._shards.finish(step)
        else:
            results = results_of(step.rows, await step.vectors)
            try:
                written = await self._writer.write(results, self._shards.fence(step.shard))
            except LeaseLost as exc:
                await self._lose(step.shard, exc)
                return
            self._count(written)
            self._committed()
        self._in_flight.popleft()

    async def _lose(self, shard: Shard, error: LeaseLost) -> None:
        """Leaves the shard, and what is in flight of it, to the job that took it over."""
        self._say(f"{error}; going on with others")
        self._lost.add(shard)
        rest = [step for step in self._in_flight if _shard_of(step) != shard]
        tasks = [s.vectors for s in self._in_flight if s not in rest and isinstance(s, _Batch)]
        self._in_flight = deque(rest)
        await _cancel(tasks)
        await self._shards.lose(shard)

    def _count(self, written: Written) -> None:
        summary = self._summary
        summary.written += written.filled
        summary.cleared += written.cleared
        summary.changed += written.changed
        summary.kept += written.kept
        summary.truncated += written.truncated
        summary.failed += len(written.failures)
        room = _LISTED_FAILURES - len(summary.failures)
        summary.failures.extend(written.failures[:room])

    async def _abandon(self) -> None:
        """Ends what is still being embedded; its rows stay pending."""
        await _cancel([step.vectors for step in self._in_flight if isinstance(step, _Batch)])
        self._in_flight.clear()


def _shard_of(step: _Batch | Shard) -> Shard:
    return step if isinstance(step, Shard) else step.shard


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _none() -> list[Outcome | RowvecError]:
    return []
