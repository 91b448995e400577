"""Keeps one embedding filled: look for pending rows, embed a batch, write it, look again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rowvec.db.session import Session, open_session
from rowvec.db.source import Key, Range, Row, Source
from rowvec.errors import (
    DatabaseConflict,
    DatabaseUnavailable,
    DefinitionChanged,
    RowvecError,
)
from rowvec.filling.batch import Writer, results_of, texts_of
from rowvec.filling.gauge import Gauge
from rowvec.filling.isolation import Isolation
from rowvec.filling.patience import Stopped, sleep_unless
from rowvec.filling.pending_rows import ensure_index
from rowvec.filling.worker_embedder import WorkerEmbedder
from rowvec.sync.pace import BUSY_SECONDS, Pace
from rowvec.sync.trouble import Trouble

_LOG = logging.getLogger("rowvec.sync")

# A table that others have locked costs everybody's turn each time: not too often.
_CONFLICT_SECONDS = 2.0


@dataclass(frozen=True)
class KeeperTools:
    """What a keeper works with. Its session is shared with others, who take turns."""

    session: Session
    dsn: str
    application: str
    transaction_rows: int
    find_worker: Callable[[], str]
    say: Callable[[str], None]


class Keeper:
    """Works on one embedding that this process leads, until it is told to stop.

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
        self._written: set[tuple[Key, int | None]] = set()
        self._is_ready = False

    async def run(self, stop: asyncio.Event) -> None:
        """Returns after the batch in hand on a stop, or when the definition has changed.

        Raises DatabaseUnavailable. Whatever else goes wrong is said, and tried again later.
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
            return pause

    async def _find_worker(self) -> None:
        """It may have moved: `rowvec server set`."""
        try:
            await self._embedder.move(await asyncio.to_thread(self._tools.find_worker))
        except DatabaseUnavailable:
            raise
        except RowvecError as exc:
            self._trouble.met(exc)

    async def _index(self, stop: asyncio.Event) -> None:
        # On a session of its own, since it may take long.
        async with open_session(self._tools.dsn, self._tools.application) as session:
            session.prepare_nothing()
            await self._source.check(session)
            await ensure_index(session, self._source.definition, self._tools.say, stop)
            await self._source.forget_gone(session)
        self._is_ready = True

    async def _round(self) -> float:
        """Embeds the next batch; seconds to wait before the one after it."""
        rows = await self._look()
        todo = [row for row in rows if not row.failed]
        if not todo and self._cursor is not None:
            return BUSY_SECONDS  # behind rows that were set aside there may be others
        if not todo:
            self.gauge.catch_up()
            return self._pace.pause()
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

    def _pause_after(self, done: Sequence[Row]) -> float:
        """None, unless rows come back as they were: a trigger undoes what we write."""
        before, self._written = self._written, {(row.key, row.input_hash) for row in done}
        if before & self._written:
            return self._pace.pause()
        self._pace.found()
        return 0

    async def _look(self) -> list[Row]:
        limit = self._tools.transaction_rows
        async with self._session.turn:
            rows = await self._source.read(self._session, Range(self._cursor), limit)
        self._cursor = rows[-1].key if len(rows) == limit else None
        return rows
