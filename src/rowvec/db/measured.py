"""The measurements of an index, stored for later views."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rowvec.db.definition import Definition
from rowvec.db.index_form import Setting
from rowvec.db.queries import query
from rowvec.db.session import Session


@dataclass(frozen=True)
class Measured:
    """Recall and latency in milliseconds at one setting; None for the exact search."""

    setting: Setting | None
    recall: float
    p50_ms: float
    p95_ms: float

    @property
    def order(self) -> tuple[int, ...]:
        """From the fastest setting to the most thorough; the exact search comes last."""
        if self.setting is None:
            return (sys.maxsize,)
        return (self.setting.value or 0, self.setting.rescore or 0)


async def keep_measured(
    session: Session, definition: Definition, measured: Sequence[Measured]
) -> None:
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
