"""The rows of rowvec.job, in which jobs say how they go."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rowvec.db.queries import query
from rowvec.db.session import Session

JobKind = Literal["backfill", "sync"]


@dataclass(frozen=True)
class JobReport:
    """What a job says of itself; None where it knows nothing."""

    rows_done: int
    rows_per_second: float | None
    caught_up_seconds: float | None
    trouble: str | None


async def begin_job(session: Session, embedding_id: int, kind: JobKind) -> int:
    """Registers a job of this process; gives its number."""
    named = {"id": embedding_id, "kind": kind, "host": platform.node(), "pid": os.getpid()}
    number: int = await session.value(query("begin_job"), named)
    return number


async def report_jobs(
    session: Session, reports: Mapping[int, JobReport], *, ended: bool
) -> int | None:
    """Writes what jobs, by number, say of themselves; gives the number of the transaction that did.

    None where no job of these numbers is left.
    """
    named = {
        "ids": [*reports],
        "ended": [ended for _ in reports],
        "rows_done": [report.rows_done for report in reports.values()],
        "rows_per_second": [report.rows_per_second for report in reports.values()],
        "caught_up": [report.caught_up_seconds for report in reports.values()],
        "errors": [report.trouble for report in reports.values()],
    }
    found = await session.first(query("report_jobs"), named)
    return None if found is None else found[0]


async def is_synced(session: Session, embedding_id: int) -> bool:
    """Whether a sync may have rows of the embedding in hand."""
    return bool(await session.value(query("is_synced"), {"id": embedding_id}))


async def is_backfilled(session: Session, embedding_id: int) -> bool:
    """Whether a backfill works on the embedding."""
    return bool(await session.value(query("is_backfilled"), {"id": embedding_id}))
