"""One batch of rows on its way from the source through the model and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from rowvec.db.chunk_table import ChunkTable, Made
from rowvec.db.queries import query
from rowvec.db.session import Session, Statement
from rowvec.db.source import Row, Source
from rowvec.errors import (
    DatabaseConflict,
    DatabaseError,
    DefinitionChanged,
    RowRefused,
    RowvecError,
)
from rowvec.filling.outcome import Chunked, FailedRow, Outcome, Vector

_SHOWN_CHARACTERS = 500


class Fence(NamedTuple):
    """A statement of every transaction that writes; `check` raises where its rows say not to."""

    statement: Statement
    parameters: Mapping[str, object]
    check: Callable[[Sequence[tuple[Any, ...]]], None]


class Kept(Enum):
    """The vector of a row stays as it is."""

    ADOPTED = "it was there before the embedding was declared"


class RowResult(NamedTuple):
    """A row and what became of it: vectors, a reason for none, or None where the input is NULL."""

    row: Row
    outcome: Outcome | RowvecError | Kept | None


def transaction_rows(commit_rows: int) -> int:
    """Rows to commit at once, so that the model has as many meanwhile."""
    return max(commit_rows // 2, 1)


def cut_by_length(rows: Sequence[Row], size: int) -> list[list[Row]]:
    """Batches of `size` rows with texts of similar length, each in the order of `rows`."""
    by_length = sorted(range(len(rows)), key=lambda number: len(rows[number].input or ""))
    starts = range(0, len(rows), size)
    return [[rows[n] for n in sorted(by_length[at : at + size])] for at in starts]


def texts_of(rows: Sequence[Row]) -> list[str]:
    """What is to be embedded of a batch."""
    return [row.input for row in rows if row.needs_model and row.input is not None]


def results_of(rows: Sequence[Row], outcomes: Sequence[Outcome | RowvecError]) -> list[RowResult]:
    """Every row of a batch, with the outcomes of its `texts_of` in their order."""
    rest = iter(outcomes)
    return [RowResult(row, next(rest) if row.needs_model else _without_model(row)) for row in rows]


def _without_model(row: Row) -> RowRefused | Kept | None:
    if row.error is not None:
        return RowRefused(row.error, is_read=True)
    return Kept.ADOPTED if row.kept else None


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
        self._chunks = ChunkTable(source) if source.definition.chunks_table else None

    async def write(self, results: Sequence[RowResult], fence: Fence | None = None) -> Written:
        """Commits the batch; where others, or Postgres, refuse it, in ever smaller parts.

        A row that is refused alone has failed. Raises DefinitionChanged where what was embedded is
        no longer what is wanted, what the `fence` of its transactions raises, and what Postgres
        says of every row.
        """
        try:
            return await self._commit(results, fence)
        except DatabaseConflict:
            if len(results) == 1:
                return Written()  # it stays pending, for the next pass
        except RowRefused as exc:
            if len(results) == 1:
                await self._write_nothing()
                return await self._commit([RowResult(results[0].row, exc)], fence)
        middle = len(results) // 2
        lower, upper = results[:middle], results[middle:]
        return await self.write(lower, fence) + await self.write(upper, fence)

    async def _commit(self, results: Sequence[RowResult], fence: Fence | None) -> Written:
        definition = self._definition
        filled: list[tuple[Row, Vector]] = []
        chunked: list[Made] = []
        cleared: list[Row] = []
        kept: list[Row] = []
        failed: list[tuple[Row, RowvecError]] = []
        for result in results:
            match result.outcome:
                case None:
                    cleared.append(result.row)
                case Kept.ADOPTED:
                    kept.append(result.row)
                case Vector() as vector:
                    filled.append((result.row, vector))
                case Chunked() as pieces:
                    chunked.append((result.row, pieces.chunks, pieces.vectors))
                case RowvecError() as error:
                    failed.append((result.row, error))
        async with self._session.transaction(
            (query("guard_transaction"), ()),
            (query("hold_definition"), {"id": definition.id, "version": definition.version}),
            *([] if fence is None else [(fence.statement, fence.parameters)]),
        ) as (_, held, *fenced):
            remembers = self._remembers(held)
            if fence is not None:
                fence.check(*fenced)
            with _refused_rows():
                done_filled = await self._fill(filled, chunked)
                done_cleared = await self._clear(cleared)
                done_kept = await self._source.keep(self._session, kept)
            if remembers:
                await self._forget(results)
            truncated = await self._record_truncated(filled)
            failures = await self._record(failed)
        wanted = len(filled) + len(chunked) + len(cleared) + len(kept)
        changed = wanted - done_filled - done_cleared - done_kept
        return Written(done_filled, done_cleared, changed, truncated, failures, done_kept)

    async def _fill(self, filled: Sequence[tuple[Row, Vector]], chunked: Sequence[Made]) -> int:
        if self._chunks is not None:
            return await self._chunks.replace(self._session, chunked)
        pairs = [(row, vector.values) for row, vector in filled]
        return await self._source.fill(self._session, pairs)

    async def _clear(self, rows: Sequence[Row]) -> int:
        if self._chunks is not None:
            return await self._chunks.clear(self._session, rows)
        return await self._source.clear(self._session, rows)

    async def _write_nothing(self) -> None:
        """Raises what Postgres refuses whatever is written: then no row is to blame."""
        async with self._session.transaction((query("guard_transaction"), ())):
            if self._chunks is not None:
                await self._chunks.replace_nothing(self._session)
            else:
                await self._source.fill_nothing(self._session)

    def _remembers(self, held: Sequence[tuple[Any, ...]]) -> bool:
        """Whether there are failures or truncations of the embedding; raises DefinitionChanged."""
        if not held:
            raise DefinitionChanged(
                f"the embedding {self._definition.label} was changed or dropped while it was"
                " filled",
                hint="what was committed stays; run `rowvec backfill` again for the rest",
            )
        return bool(held[0][0])

    async def _forget(self, results: Sequence[RowResult]) -> None:
        """What was known of earlier texts; a failure only where the row has not failed again."""
        settled = [r.row.json_key for r in results if not isinstance(r.outcome, RowvecError)]
        keys = [result.row.json_key for result in results]
        await self._session.run(
            query("forget_rows"), {"id": self._definition.id, "keys": keys, "settled": settled}
        )

    async def _record_truncated(self, filled: Sequence[tuple[Row, Vector]]) -> int:
        long = [(row, vector) for row, vector in filled if vector.is_truncated]
        if long:
            named = {
                "keys": [row.json_key for row, _ in long],
                "hashes": [row.input_hash for row, _ in long],
                "tokens": [vector.tokens for _, vector in long],
                "max_tokens": [vector.max_tokens for _, vector in long],
            }
            await self._session.run(
                query("record_truncations"), {"id": self._definition.id, **named}
            )
        return len(long)

    async def _record(self, failed: Sequence[tuple[Row, RowvecError]]) -> tuple[FailedRow, ...]:
        recorded = []
        for row, error in failed:
            of_row = {
                "id": self._definition.id,
                "key": row.json_key,
                "input_hash": row.input_hash,
            }
            if isinstance(error, RowRefused):
                sqlstate = error.code or error.sqlstate
                named = {"constraint": error.constraint, "is_read": error.is_read}
                message = await self._session.value(
                    query("record_refusal"), of_row | named | {"sqlstate": sqlstate}
                )
            else:
                sqlstate, message = error.sqlstate, error.message[:_SHOWN_CHARACTERS]
                await self._session.run(
                    query("record_failure"), of_row | {"sqlstate": sqlstate, "message": message}
                )
            recorded.append(FailedRow(row.json_key, sqlstate, message))
        return tuple(recorded)


@contextmanager
def _refused_rows() -> Iterator[None]:
    """Errors of statements that write rows, as those of a row, unless they may pass at once."""
    try:
        yield
    except DatabaseError as exc:
        if exc.retryable:
            raise
        raise RowRefused(exc.code, constraint=exc.constraint) from exc
