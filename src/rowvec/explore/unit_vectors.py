"""The vectors of a source at length 1, pass after pass, each with its progress."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from rowvec.db.vectors import VectorBatch, Vectors, normalised
from rowvec.progress import Progress


@dataclass(frozen=True)
class UnitVectors:
    """All vectors of one definition; `rows` is how many there were when they were counted."""

    vectors: Vectors
    rows: int
    progress: Progress

    async def batches(self, phase: str) -> AsyncIterator[VectorBatch]:
        """One pass over them; its progress is shown under that name."""
        done = 0
        async for batch in self.vectors.batches():
            yield VectorBatch(batch.keys, normalised(batch.vectors))
            done += len(batch.vectors)
            self.progress.phase(phase, done, max(done, self.rows))
