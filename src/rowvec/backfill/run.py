"""Backfill: every pending row of a source gets its vector, however often the job is interrupted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from rowvec.backfill.fill import Filling, FillLimits
from rowvec.backfill.report import Reporter, Summary
from rowvec.config import Settings
from rowvec.db.connection import job_dsn, owner_dsn
from rowvec.db.definition import Definition
from rowvec.db.job_reports import is_synced
from rowvec.db.session import Session, open_session
from rowvec.db.source import COUNTED, Source
from rowvec.errors import DatabaseConflict, DatabaseUnavailable, RowvecError
from rowvec.filling.async_embedder import JobEmbedder
from rowvec.filling.gauge import Gauge
from rowvec.filling.heartbeat import Heartbeat
from rowvec.filling.image_paths import reading
from rowvec.filling.isolation import Isolation
from rowvec.filling.making import maker
from rowvec.filling.patience import Patience, Stopped, sleep_unless
from rowvec.filling.pending_rows import make_ready
from rowvec.filling.worker_embedder import WorkerEmbedder

_APPLICATION = "rowvec backfill"
_READING = "rowvec backfill, reading"

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class BackfillRequest:
    """What to fill: a table's name as written in SQL, the embedding, its default where None.

    One of several jobs that work together leaves the `closing` VACUUM to who started them.
    """

    source: str
    embedding: str | None = None
    limit: int | None = None
    closing: bool = True


def worker_embedder(worker: str, definition: Definition) -> WorkerEmbedder:
    """The embedder of a definition that asks a worker."""
    return WorkerEmbedder(worker, definition.model, definition.document_kwargs, definition.modality)


async def backfill(
    settings: Settings,
    request: BackfillRequest,
    *,
    worker: str,
    reporter: Reporter,
    stop: asyncio.Event,
    connect: Callable[[str, Definition], JobEmbedder] = worker_embedder,
) -> Summary:
    """Fills the column and says what was done; `stop` ends it after the batch in hand.

    `worker` is its conninfo, which `connect` makes an embedder of. Everything committed stays;
    another run continues from there. Raises RowvecError where the definition is not fit, the model
    does not match the column (before any write), or the worker or the database stayed away for
    `worker_wait_seconds`.
    """
    dsn = job_dsn(settings)
    async with open_session(dsn, _APPLICATION) as session:
        definition = await Definition.read(session, request.source, request.embedding)
        session.prepare_nothing()
        async with open_session(owner_dsn(settings), _APPLICATION) as owner:
            owner.prepare_nothing()
            await Source(definition).prepare(owner)
        await Source(definition).check(session)
        # The check follows columns that were renamed.
        definition = await definition.again(session)
    embedder = connect(worker, definition)
    for_worker, for_database = (
        Patience(settings.worker_wait_seconds, reporter.say, stop) for _ in range(2)
    )
    summary = Summary(definition.table, definition.name, definition.model)
    run = _Run(
        dsn=dsn,
        owner_dsn=owner_dsn(settings),
        source=Source(definition),
        embedder=embedder,
        isolation=Isolation(
            maker(definition, reading(definition, embedder, settings)),
            definition.dimensions,
            for_worker,
            definition.modality,
        ),
        patience=for_database,
        gauge=Gauge(lambda: for_worker.reason),
        closing=request.closing,
        limits=FillLimits(
            settings.commit_rows,
            request.limit,
            settings.max_rows_per_second,
            settings.lease_seconds,
        ),
        summary=summary,
        reporter=reporter,
        stop=stop,
    )
    try:
        await run.until_done()
    except Stopped:
        summary.stopped = True
        summary.pending = await run.count_left()
    finally:
        await embedder.close()
    return summary


@dataclass
class _Run:
    """One run from the check of the model to the closing VACUUM, over as many sessions as needed.

    The numbers of a pass decide whether another one follows: it does while rows are pending and
    each pass writes fewer than the one before, so that a trigger which undoes our work, or a stream
    of changes, cannot keep the job without end. A pass that others began says nothing about itself.
    """

    dsn: str
    owner_dsn: str
    source: Source
    embedder: JobEmbedder
    isolation: Isolation
    patience: Patience
    gauge: Gauge
    closing: bool
    limits: FillLimits
    summary: Summary
    reporter: Reporter
    stop: asyncio.Event
    _total: int = 0
    _written_by_last_pass: int | None = None
    _is_ready: bool = False

    async def until_done(self) -> None:
        """Runs on one session after another until nothing is left to do."""
        while True:
            try:
                async with (
                    open_session(self.dsn, _APPLICATION) as session,
                    # Rows are read while others are written.
                    open_session(self.dsn, _READING) as reader,
                ):
                    session.prepare_nothing()
                    reader.prepare_nothing()
                    await self._watched(session, reader)
            except (DatabaseUnavailable, DatabaseConflict) as exc:
                await self.patience.wait(exc)
            else:
                return

    async def count_left(self) -> int | None:
        """The pending rows where a run was stopped; None where the database cannot be asked."""
        try:
            async with open_session(self.dsn, _READING) as session:
                session.prepare_nothing()
                return await self.source.count_pending(session, COUNTED)
        except DatabaseUnavailable:
            return None

    async def _watched(self, session: Session, reader: Session) -> None:
        heartbeat = Heartbeat(session, "backfill")
        number = await heartbeat.begin(self.source.definition.id, self.gauge)
        try:
            async with heartbeat.beating():
                await self._on(session, reader)
        except RowvecError as exc:
            self.gauge.error = str(exc)
            raise
        finally:
            await heartbeat.end(number)
            self.gauge.error = None

    async def _on(self, session: Session, reader: Session) -> None:
        if not self._is_ready:
            await self.isolation.check()
            await self.embedder.look_up()
            async with open_session(self.owner_dsn, _APPLICATION) as owner:
                owner.prepare_nothing()
                await make_ready(owner, self.source, self.reporter.say, self.stop)
            await self._take_over(session)
            self._total = await self.source.estimate_pending(session, self.limits.rows)
            self.reporter.begin(self._total)
            self._is_ready = True
        await self._fill(session, reader)
        await self.source.forget_gone(session)
        left = await self.source.count_pending(session, COUNTED)
        if left == COUNTED:
            left = max(left, self._total - self.summary.settled)
        self.summary.pending = left
        if self.closing and self.summary.written and not self.summary.stopped:
            await vacuum(self.owner_dsn, self.source, self.reporter.say)

    async def _take_over(self, session: Session) -> None:
        """Waits for what a sync has in hand; it knows of this job, and leaves it the rest."""
        number = self.source.definition.id
        if not await is_synced(session, number):
            return
        before = await self.source.count_pending(session, COUNTED)
        label = self.source.definition.label
        self.reporter.say(f"a sync keeps {label} filled: taking over once its batch is written")
        while await is_synced(session, number):
            await sleep_unless(self.stop, _POLL_SECONDS)
            if self.stop.is_set():
                raise Stopped
        self.summary.by_sync = max(before - await self.source.count_pending(session, COUNTED), 0)

    async def _fill(self, session: Session, reader: Session) -> None:
        began = time.monotonic()
        filling = Filling(
            session,
            self.source,
            reader=reader,
            isolation=self.isolation,
            limits=self.limits,
            summary=self.summary,
            committed=self._committed,
            say=self.reporter.say,
            stop=self.stop,
        )
        try:
            while await self._needs_another(session, filling):
                pass
        finally:
            self.summary.seconds += time.monotonic() - began
        self.summary.stopped = self.stop.is_set()

    def _committed(self) -> None:
        # Not when a connection succeeds: a full disk lets us connect and refuses every write.
        self.patience.succeeded()
        self.gauge.settle(self.summary.handled - self.gauge.rows_done)
        self.reporter.advance(self.summary)

    async def _needs_another(self, session: Session, filling: Filling) -> bool:
        """Runs a pass; whether one more is needed."""
        joined = await filling.pass_is_running()
        before = self.summary.settled
        closed = await filling.run_pass()
        self.summary.passes += 1
        if not closed or not await self.source.count_pending(session, 1):
            return False
        written = self.summary.settled - before
        last = self._written_by_last_pass
        if not joined:
            self._written_by_last_pass = written
        return joined or (written > 0 and (last is None or written < last))


async def vacuum(dsn: str, source: Source, say: Callable[[str], None]) -> None:
    """Removes the dead rows that a backfill leaves, and says what kept Postgres from it."""
    async with open_session(dsn, _APPLICATION) as owner:
        owner.prepare_nothing()
        for warning in await source.vacuum(owner):
            say(f"not vacuumed: {warning}")
