"""One batch of rows on its way from the source through the model and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.db.source import Row, Source
from rowvec.errors import DatabaseConflict, DefinitionChanged, RowvecError
from rowvec.pipeline.isolation import Vector
from rowvec.pipeline.report import FailedRow

_SHOWN_CHARACTERS = 500


# Raises where the transaction that it is called in must not write.
Fence = Callable[[], Awaitable[None]]


class Kept(Enum):
    """The vector of a row stays as it is."""

    ADOPTED = "it was there before the embedding was declared"


@dataclass(frozen=True)
class Result:
    """A row and what became of it: a vector, a reason for none, or None where the input is NULL."""

    row: Row
    outcome: Vector | RowvecError | Kept | None


def texts_of(rows: Sequence[Row]) -> list[str]:
    """What is to be embedded of a batch."""
    return [row.input for row in rows if row.needs_model and row.input is not None]


def results_of(rows: Sequence[Row], outcomes: Sequence[Vector | RowvecError]) -> list[Result]:
    """Every row of a batch, with the outcomes of its `texts_of` in their order."""
    outcome = iter(outcomes)
    return [
        Result(row, next(outcome) if row.needs_model else Kept.ADOPTED if row.kept else None)
        for row in rows
    ]


@dataclass(frozen=True)
class Written:
    """What one transaction did, in rows."""

    filled: int = 0
    cleared: int = 0
    changed: int = 0
    truncated: int = 0
    failures: tuple[FailedRow, ...] = ()
    kept: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(
            self.filled + other.filled,
            self.cleared + other.cleared,
            self.changed + other.changed,
            self.truncated + other.truncated,
            self.failures + other.failures,
            self.kept + other.kept,
        )


class Writer:
    """Writes results under the guard, in key order, one transaction a batch."""

    def __init__(self, session: Session, source: Source) -> None:
        self._session = session
        self._source = source
        self._definition = source.definition

    async def write(self, results: Sequence[Result], fence: Fence | None = None) -> Written:
        """Commits the batch; where it collides with other writers, in ever smaller parts.

        Raises DefinitionChanged where what was embedded is no longer what is wanted, and what
        `fence` raises, which is called in every transaction.
        """
        try:
            return await self._commit(results, fence)
        except DatabaseConflict:
            if len(results) == 1:
                return Written()  # it stays pending, for the next pass
        middle = len(results) // 2
        lower, upper = results[:middle], results[middle:]
        return await self.write(lower, fence) + await self.write(upper, fence)

    async def _commit(self, results: Sequence[Result], fence: Fence | None) -> Written:
        filled: list[tuple[Row, NDArray[np.float32]]] = []
        cleared: list[Row] = []
        kept: list[Row] = []
        failed: list[tuple[Row, RowvecError]] = []
        truncated = 0
        for result in results:
            match result.outcome:
                case None:
                    cleared.append(result.row)
                case Kept.ADOPTED:
                    kept.append(result.row)
                case Vector(values, is_truncated):
                    filled.append((result.row, values))
                    truncated += is_truncated
                case RowvecError() as error:
                    failed.append((result.row, error))
        async with self._session.transaction():
            await self._session.run(query("guard_transaction"))
            await self._hold_definition()
            if fence is not None:
                await fence()
            done_filled = await self._source.fill(self._session, filled)
            done_cleared = await self._source.clear(self._session, cleared)
            done_kept = await self._source.keep(self._session, kept)
            await self._forget([row for row, _ in filled] + cleared)
            failures = await self._record(failed)
        changed = len(filled) + len(cleared) + len(kept) - done_filled - done_cleared - done_kept
        return Written(done_filled, done_cleared, changed, truncated, failures, done_kept)

    async def _hold_definition(self) -> None:
        definition = self._definition
        held = await self._session.first(
            query("hold_definition"), {"id": definition.id, "version": definition.version}
        )
        if held is None:
            raise DefinitionChanged(
                f"the embedding {definition.label} was changed or dropped while it was filled",
                hint="what was committed stays; run `rowvec backfill` again for the rest",
            )

    async def _forget(self, rows: Sequence[Row]) -> None:
        keys = [row.json_key for row in rows]
        await self._session.run(query("forget_failures"), {"id": self._definition.id, "keys": keys})

    async def _record(self, failed: Sequence[tuple[Row, RowvecError]]) -> tuple[FailedRow, ...]:
        recorded = []
        for row, error in failed:
            failure = FailedRow(row.json_key, error.sqlstate, str(error)[:_SHOWN_CHARACTERS])
            named = {"sqlstate": failure.sqlstate, "message": failure.message, "key": row.json_key}
            await self._session.run(
                query("record_failure"),
                {"id": self._definition.id, "input_hash": row.input_hash, **named},
            )
            recorded.append(failure)
        return tuple(recorded)
