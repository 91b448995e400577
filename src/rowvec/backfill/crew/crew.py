"""Several backfills of one source at once: how many, where, and what they did together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rowvec.backfill.report import Reporter, Summary
from rowvec.backfill.run import BackfillRequest, vacuum
from rowvec.config import Settings
from rowvec.db.connection import job_dsn, owner_dsn
from rowvec.db.definition import Definition
from rowvec.db.session import open_session
from rowvec.db.source import Source

# Who computes: the worker of the database, a worker of each job's own, or such jobs on Ray.
Engine = Literal["worker", "local", "ray"]

_LISTED_FAILURES = 100


@dataclass(frozen=True)
class Crew:
    """So many jobs; `gpus_per_worker` and the `address` of the cluster are for Ray."""

    engine: Engine = "worker"
    workers: int = 1
    gpus_per_worker: float = 0
    address: str | None = None


def share(
    settings: Settings, request: BackfillRequest, workers: int
) -> tuple[Settings, BackfillRequest]:
    """What each worker gets of limits that are for all of them together."""
    if settings.max_rows_per_second is not None:
        rate = settings.max_rows_per_second / workers
        settings = settings.model_copy(update={"max_rows_per_second": rate})
    limit = None if request.limit is None else -(-request.limit // workers)
    return settings, dataclasses.replace(request, limit=limit, closing=False)


def together(parts: Iterable[Summary]) -> Summary:
    """The sum of what each did; at least one."""
    first, *others = parts
    total = dataclasses.replace(first, failures=[*first.failures])
    for part in others:
        for counted in ("written", "cleared", "kept", "changed", "failed", "truncated", "passes"):
            setattr(total, counted, getattr(total, counted) + getattr(part, counted))
        counted_by = [one.pending for one in (total, part) if one.pending is not None]
        total.pending = min(counted_by, default=None)
        total.by_sync = max(total.by_sync, part.by_sync)
        total.stopped |= part.stopped
        total.seconds = max(total.seconds, part.seconds)
        total.failures += part.failures
    del total.failures[_LISTED_FAILURES:]
    return total


async def close(
    settings: Settings, request: BackfillRequest, total: Summary, reporter: Reporter
) -> None:
    """Counts what is left, and vacuums, once they are all done."""
    async with open_session(job_dsn(settings), "rowvec backfill") as session:
        definition = await Definition.read(session, request.source, request.embedding)
        session.prepare_nothing()
        source = Source(definition)
        total.pending = await source.estimate_pending(session)
        if total.written and not total.stopped:
            await vacuum(owner_dsn(settings), source, reporter.say)
