"""Signs of life: what the jobs of a process have done, into rowvec.job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from rowvec.db.job_reports import JobKind, JobReport, begin_job, report_jobs
from rowvec.db.session import Session
from rowvec.errors import DatabaseError
from rowvec.filling.gauge import Gauge

_BUSY_SECONDS = 1.0
_IDLE_SECONDS = 5.0


class Heartbeat:
    """Writes gauges by one statement, once a second while something moves, else every five.

    `wrote` is told the transaction that did.
    """

    def __init__(
        self, session: Session, kind: JobKind, wrote: Callable[[int], None] = lambda _xid: None
    ) -> None:
        self._session = session
        self._kind = kind
        self._wrote = wrote
        self._gauges: dict[int, Gauge] = {}
        self._said: tuple[object, ...] = ()
        self._last = 0.0

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Writes while the block runs."""
        task = asyncio.create_task(self._beat())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def begin(self, embedding_id: int, gauge: Gauge) -> int:
        """Registers a job; gives its number."""
        number = await begin_job(self._session, embedding_id, self._kind)
        self._gauges[number] = gauge
        return number

    async def end(self, number: int) -> None:
        """The last word of a job; where the database is away, its silence tells."""
        gauge = self._gauges.pop(number)
        with suppress(DatabaseError):
            await self._write({number: gauge}, ended=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BUSY_SECONDS)
            news = tuple((n, g.rows_done, g.trouble) for n, g in self._gauges.items())
            now = time.monotonic()
            if news == self._said and now - self._last < _IDLE_SECONDS:
                continue
            self._said, self._last = news, now
            # Whoever works on the session meets the same error, and knows what to do.
            with suppress(DatabaseError):
                await self._write(self._gauges, ended=False)

    async def _write(self, gauges: Mapping[int, Gauge], *, ended: bool) -> None:
        if not gauges:
            return
        reports = {
            number: JobReport(g.rows_done, g.rows_per_second, g.caught_up_seconds, g.trouble)
            for number, g in gauges.items()
        }
        xid = await report_jobs(self._session, reports, ended=ended)
        if xid is not None:
            self._wrote(xid)
