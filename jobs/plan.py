"""Estimates a backfill: what `rowvec plan` runs."""

from __future__ import annotations

import asyncio

from rowvec.backfill.plan import Plan, Prices, plan
from rowvec.config import Settings
from rowvec.db.connection import connect, resolve_dsn
from rowvec.db.schema import require_head
from rowvec.db.worker_address import worker_conninfo


def run(
    settings: Settings, source: str, embedding: str | None, prices: Prices, sample_rows: int
) -> Plan:
    """Samples and measures; writes nothing."""
    with connect(resolve_dsn(settings)) as connection:
        require_head(connection)
    worker = worker_conninfo(settings)
    return asyncio.run(
        plan(settings, source, embedding, worker=worker, prices=prices, sample_rows=sample_rows)
    )
