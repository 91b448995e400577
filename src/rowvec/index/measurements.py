"""The measurements of an index, stored for later views."""

from __future__ import annotations

from collections.abc import Sequence

from rowvec.db.definition import Definition
from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.index.recall import Measured


async def keep(session: Session, definition: Definition, measured: Sequence[Measured]) -> None:
    """Puts them in the place of what was measured before; the exact search is not among them."""
    rows = [
        {
            "id": definition.id,
            "setting": one.setting.value,
            "rescore": one.setting.rescore,
            "recall": one.recall,
            "p50_ms": one.p50_ms,
            "p95_ms": one.p95_ms,
        }
        for one in measured
        if one.setting is not None
    ]
    async with session.transaction():
        await session.run(query("forget_measurements"), {"id": definition.id})
        await session.run_many(query("keep_measurement"), rows)
