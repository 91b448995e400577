"""Keeps one embedding filled: look for pending rows, embed a batch, write it, look again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from rowvec.db.session import Session, open_session
from rowvec.db.source import Key, Range, Row, Source
from rowvec.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    DefinitionChanged,
    RowvecError,
)
from rowvec.filling.batch import Writer, results_of, texts_of
from rowvec.filling.gauge import Gauge
from rowvec.filling.isolation import Isolation
from rowvec.filling.patience import Stopped, sleep_unless
from rowvec.filling.pending_rows import ensure_index, is_indexed
from rowvec.filling.worker_embedder import WorkerEmbedder
from rowvec.sync.commits import Commits, Snapshot
from rowvec.sync.pace import BUSY_SECONDS, Pace
from rowvec.sync.trouble import Trouble

_LOG = logging.getLogger("rowvec.sync")

# What is due again by the clock, such as a text that failed, no commit tells.
_LOOK_ANYWAY_SECONDS = 15.0

# A table that others have locked costs everybody's turn each time: not too often.
_CONFLICT_SECONDS = 2.0


@dataclass(frozen=True)
class KeeperTools:
    """What a keeper works with. Its session is shared with others, who take turns.

    Whoever needs another for long, to build an index, takes one of the places in `builders`; for a
    moment, `spare`.
    """

    session: Session
    builders: asyncio.Semaphore
    spare: asyncio.Lock
    commits: Commits
    dsn: str
    owner_dsn: str
    application: str
    transaction_rows: int
    find_worker: Callable[[], Awaitable[str]]
    say: Callable[[str], None]


class Keeper:
    """Works on one embedding that this process leads, until it is stopped.

    A cursor walks over the pending rows and begins again behind the last: rows that were set aside
    are passed, not read over and over from the head. One batch a round, whatever is waiting, so
    that a flood lets the others have their turns.
    """

    def __init__(
        self, tools: KeeperTools, source: Source, embedder: WorkerEmbedder, isolation: Isolation
    ) -> None:
        self._tools = tools
        self._session = tools.session
        self._source = source
        self._embedder = embedder
        self._isolation = isolation
        self._writer = Writer(tools.session, source)
        self._pace = Pace()
        self._trouble = Trouble(source.definition.label, tools.say)
        self.gauge = Gauge(lambda: self._trouble.reason)
        self._cursor: Key | None = None
        # What was committed before the last look, and when that was; None unless it was in vain.
        self._nothing: tuple[Snapshot, float] | None = None
        self._written: set[tuple[Key, UUID | None]] = set()
        self._is_ready = False
        self._children: int | None = None

    def see_children(self, count: int) -> None:
        """The source has so many partitions, or tables that inherit from it.

        Where others have come, it looks whether their pending rows are indexed before it reads on.
        """
        if self._children is not None and count > self._children:
            self._is_ready = False
        self._children = count

    async def run(self, stop: asyncio.Event) -> None:
        """Returns after the batch in hand on a stop, or when the definition has changed.

        Raises DatabaseUnavailable. Any other error is reported, and the work tried again later.
        """
        try:
            while not stop.is_set():
                await sleep_unless(stop, await self._round_or_trouble(stop))
        except (Stopped, DefinitionChanged):
            return
        finally:
            await self._embedder.close()

    async def _round_or_trouble(self, stop: asyncio.Event) -> float:
        """Seconds to wait before the next round."""
        try:
            if not self._is_ready:
                await self._index(stop)
            return await self._round()
        except (DatabaseUnavailable, DefinitionChanged):
            raise
        except DatabaseConflict as exc:
            _LOG.debug("%s: %s", self._source.definition.label, exc)
            return _CONFLICT_SECONDS
        except RowvecError as exc:
            pause = self._trouble.met(exc)
            if exc.retryable:
                await self._find_worker()
            elif isinstance(exc, DatabaseError):
                self._is_ready = False  # the table may have changed: what reads it is made anew
            return pause

    async def _find_worker(self) -> None:
        """It may have moved: `rowvec server set`."""
        try:
            await self._embedder.move(await self._tools.find_worker())
        except DatabaseUnavailable:
            raise
        except RowvecError as exc:
            self._trouble.met(exc)

    async def _index(self, stop: asyncio.Event) -> None:
        children = self._children
        tools, source = self._tools, self._source
        async with tools.spare, open_session(tools.owner_dsn, tools.application) as owner:
            owner.prepare_nothing()
            await source.prepare(owner)
        await source.check(self._session)
        if not await is_indexed(self._session, source.definition):
            # On a session of its own, since it takes long: as long as the oldest transaction lives.
            async with tools.builders, open_session(tools.owner_dsn, tools.application) as owner:
                owner.prepare_nothing()
                await ensure_index(owner, source.definition, tools.say, stop)
        await source.forget_gone(self._session)
        self._is_ready = children == self._children

    async def _round(self) -> float:
        """Embeds the next batch; seconds to wait before the one after it."""
        now = await self._tools.commits.latest()
        if self._is_still(now):
            return await self._idle()
        rows = await self._look()
        todo = [row for row in rows if not row.failed]
        if not todo and self._cursor is not None:
            return BUSY_SECONDS  # behind rows that were set aside there may be others
        if not todo:
            self._nothing = now, time.monotonic()
            return await self._idle()
        self._nothing = None
        if self._embedder.max_tokens is None:
            await self._isolation.check()
            await self._embedder.look_up()
        texts = texts_of(todo)
        outcomes = await self._isolation.embed(texts) if texts else []
        written = await self._writer.write(results_of(todo, outcomes))
        self._trouble.over()
        self.gauge.settle(len(todo))
        for failure in written.failures:
            label, code = self._source.definition.label, failure.sqlstate
            _LOG.warning("%s %s was set aside (%s)", label, failure.key, code)
        return self._pause_after(todo)

    async def _idle(self) -> float:
        """There is nothing to do."""
        self.gauge.catch_up()
        pause = self._pace.pause()
        if pause > BUSY_SECONDS:
            await self._embedder.close()  # many keepers would take all lines of a worker
        return pause

    def _pause_after(self, done: Sequence[Row]) -> float:
        """None, unless rows come back as they were: others hold them."""
        before, self._written = self._written, {(row.key, row.input_hash) for row in done}
        if before & self._written:
            return self._pace.pause()
        self._pace.found()
        return 0

    def _is_still(self, now: Snapshot) -> bool:
        """Whether a look would find nothing, as the last did: nobody has committed anything."""
        if self._nothing is None:
            return False
        seen, when = self._nothing
        is_due = time.monotonic() - when > _LOOK_ANYWAY_SECONDS
        return not is_due and not self._tools.commits.are_there_new(seen, now)

    async def _look(self) -> list[Row]:
        limit = self._tools.transaction_rows
        rows = await self._source.read(self._session, Range(self._cursor), limit)
        self._cursor = rows[-1].key if len(rows) == limit else None
        return rows
