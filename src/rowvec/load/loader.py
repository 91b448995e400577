"""One load from its first row to its commit: all rows or, where one is bad, none."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import psycopg

from rowvec.db.connection import database_errors
from rowvec.db.landing import Landing, existing, parse_name
from rowvec.errors import BadRow, InvalidRequest, SourceInterrupted
from rowvec.load.merge import NUMBER, STAGE, Merge
from rowvec.load.report import LoadResult, Options
from rowvec.load.row_source import RowSource
from rowvec.load.shape import CellShape, DeclaredShape, JsonShape, Shape
from rowvec.rows.columns import Names, plain_name
from rowvec.rows.reading import Batch, OnBad, Row, refuse

# Rows that are looked at before the table is made, so that its columns have the data's order, and
# at most how many bytes of them.
_PEEK_ROWS = 1000
_PEEK_BYTES = 4 << 20

# Rows that are copied together, and their bytes: few enough for a processor's caches.
_BLOCK_ROWS = 200
_BLOCK_BYTES = 1 << 16

_REPORT_ROWS = 1000

# What the column is called that numbers the rows, where the data has no key.
_IDENTITY = ("id", "row_id", "rowvec_id")

_SINCE_ON_ERROR = 170000


def load(
    connection: psycopg.Connection,
    table: str,
    source: RowSource,
    options: Options,
    *,
    on_bad: OnBad = refuse,
    on_progress: Callable[[LoadResult], None] = lambda _: None,
    in_transaction: Callable[
        [LoadResult, SourceInterrupted | None], None
    ] = lambda _loaded, _rest: None,
) -> LoadResult:
    """Loads the source's rows into a table, which is made where there is none; all or nothing.

    `in_transaction` runs before the commit. Raises BadRow for a bad row (`on_bad` decides), and
    DatabaseError. SourceInterrupted is raised after the rows before it were committed.
    """
    job = _Load(connection, table, source, options, on_bad=on_bad, on_progress=on_progress)
    with database_errors(), connection.transaction():
        try:
            job.run()
        except BaseException as exc:
            job.abandon(exc)
            raise
        in_transaction(job.loaded, job.interrupted)
    if job.interrupted is not None:
        rows = job.loaded.rows
        raise SourceInterrupted(
            f"{job.interrupted}; the {rows:,} rows before it are loaded",
            rest=job.interrupted.rest,
            hint="the same command continues there",
        ) from job.interrupted
    return job.loaded


class _Load:
    def __init__(
        self,
        connection: psycopg.Connection,
        table: str,
        source: RowSource,
        options: Options,
        *,
        on_bad: OnBad,
        on_progress: Callable[[LoadResult], None],
    ) -> None:
        self._connection = connection
        self._source = source
        self._options = options
        self._on_bad = on_bad
        self._on_progress = on_progress
        self._began = time.monotonic()
        self._target = existing(connection, table)
        self._name = parse_name(connection, table)
        self._key = tuple(plain_name(key) for key in options.key or source.key)
        self._only = {plain_name(key) for key in options.only}
        self._met: set[str] = set()
        self._is_made = self._target is not None and not self._key
        self._names = Names(self._target.columns if self._target else ())
        self._shape = self._make_shape()
        # Only Postgres 17 and later pass over what does not fit the table's own types.
        lenient = options.skip_bad and connection.info.server_version >= _SINCE_ON_ERROR
        self._landing = Landing(connection, STAGE if self._key else self._name, ignore_bad=lenient)
        self.loaded = LoadResult(table, created=self._target is None)
        self.interrupted: SourceInterrupted | None = None

    def run(self) -> None:
        """Everything up to the commit."""
        batches = self._batches()
        peeked = [] if self._is_made or self._source.columns is not None else self._peek(batches)
        if not self._is_made:
            self._make([row for _, rows, _ in peeked for row in rows])
        self._copy(itertools.chain(peeked, batches))
        if self._met and (missing := sorted(self._only - self._met)):
            raise InvalidRequest(
                f"no row has the column {', '.join(missing)}",
                hint=f"columns: {', '.join(sorted(self._met))}",
            )
        self._landing.flush()
        final = self._shape.final()
        self._landing.change(final.added, final.widened)
        self.loaded.rows -= self._landing.ignored
        self.loaded.skipped += self._landing.ignored
        if self._key:
            Merge(self._connection, self._name, self._target, self._options, self.loaded).run(
                self._key
            )
        else:
            self.loaded.inserted = self.loaded.rows
        there = existing(self._connection, self.loaded.table)
        assert there is not None
        self.loaded.columns = there.columns
        self.loaded.seconds = round(time.monotonic() - self._began, 3)
        self._report()

    def abandon(self, exc: BaseException) -> None:
        """Ends what is open towards Postgres."""
        self._landing.abandon(exc)

    def _make_shape(self) -> Shape:
        target, source, alter = self._target, self._source, self._options.alter
        types = {plain_name(name): type_ for name, type_ in self._options.types.items()}
        known = {**types, **(target.columns if target else {})}
        there = target is not None and not self._key
        closed = target is not None and not alter
        if source.columns is not None:
            columns = [column for column in source.columns if self._is_wanted(column.key)]
            return DeclaredShape(columns, known, there=there, closed=closed)
        if source.cells and target is None:
            return CellShape(self._names, types)
        return JsonShape(self._names, known, there=there, widen=alter, closed=closed)

    def _is_wanted(self, key: str) -> bool:
        if not self._only:
            return True
        name = plain_name(key)
        self._met.add(name)
        return name in self._only

    def _batches(self) -> Iterator[Batch]:
        """The rows that are wanted; where the source is interrupted, those up to there."""
        limit = self._options.limit
        if limit == 0:
            return
        is_cut = bool(self._options.only) and self._source.columns is None
        taken = 0
        try:
            for numbers, rows, size in self._read():
                wanted = rows if limit is None else rows[: limit - taken]
                taken += len(wanted)
                if is_cut:
                    wanted = [
                        {key: value for key, value in row.items() if self._is_wanted(key)}
                        for row in wanted
                    ]
                yield numbers[: len(wanted)], wanted, size
                if taken == limit:
                    return
        except SourceInterrupted as exc:
            self.interrupted = exc

    def _read(self) -> Iterator[Batch]:
        if self._source.batches is not None:
            yield from self._source.batches(self._skip)
            return
        place = self._source.place
        for row in self._source.rows(self._skip):
            yield (place.number,), [row], place.size or _BLOCK_BYTES  # of unknown size: alone

    def _peek(self, batches: Iterator[Batch]) -> list[Batch]:
        peeked = []
        rows = 0
        start = self._source.position()
        for batch in batches:
            peeked.append(batch)
            rows += len(batch[1])
            if rows >= _PEEK_ROWS or self._source.position() - start > _PEEK_BYTES:
                break
        return peeked

    def _make(self, peeked: Sequence[Row]) -> None:
        """The table (or the stage) with the columns that the source or its first rows have."""
        if not self._key:
            given = {plain_name(key) for row in peeked for key in row} | set(self._shape.columns)
            identity = next(name for name in _IDENTITY if name not in given)
            self._names.name(identity)
        for row in peeked:
            with suppress(BadRow):  # reported when it is copied
                self._shape.values(row)
        columns = self._shape.changes.take()
        if not columns.added and self._target is None:
            raise self.interrupted or InvalidRequest(
                f"{self._source.name} has no rows: there is nothing to make a table of"
            )
        if self._key:
            self._landing.create(columns.added, number=NUMBER, temporary=True)
        else:
            self._landing.create(columns.added, number=identity, key=(identity,))

    def _copy(self, batches: Iterator[Batch]) -> None:
        self._landing.columns = self._shape.columns
        numbers: list[int] = []
        block: list[Row] = []
        size = 0
        for its_numbers, rows, its_size in batches:
            numbers += its_numbers
            block += rows
            size += its_size
            if size >= _BLOCK_BYTES or len(block) >= _BLOCK_ROWS:
                self._copy_block(numbers, block)
                numbers, block, size = [], [], 0
        if block:
            self._copy_block(numbers, block)

    def _copy_block(self, numbers: list[int], rows: list[Row]) -> None:
        lines = self._shape.block(rows) if len(rows) > 1 else None
        if lines is not None:
            self._landing.write_block(lines, len(rows))
            self._count(len(rows))
            return
        place = self._source.place
        reached = place.number
        for place.number, row in zip(numbers, rows, strict=True):  # who reports a row reads it
            self._copy_row(row)
        place.number = reached

    def _copy_row(self, row: Row) -> None:
        shape, landing = self._shape, self._landing
        try:
            values = shape.values(row)
        except BadRow as exc:
            self._skip(BadRow(f"{self._source.place} {exc}", hint=exc.hint))
            return
        if not shape.columns:
            self._skip(BadRow(f"{self._source.place} has no column to load"))
            return
        if shape.changes:
            changes = shape.changes.take()
            landing.change(changes.added, changes.widened)
        landing.write(values)
        self._count(1)

    def _count(self, rows: int) -> None:
        before = self.loaded.rows
        self.loaded.rows += rows
        if before // _REPORT_ROWS != self.loaded.rows // _REPORT_ROWS:
            self._report()

    def _skip(self, bad: BadRow) -> None:
        self._on_bad(bad)
        self.loaded.skipped += 1

    def _report(self) -> None:
        self.loaded.bytes = self._source.position()
        self._on_progress(self.loaded)
