"""The rows of one source as a job reads and writes them: as the source's owner, through functions.

Code of the owner (triggers, policies, functions that the input calls) runs inside those functions
with the owner's rights, and cannot leave them (`rowvec._prepare_jobs`). So no statement of a job
names the source, except those that Postgres itself runs as its owner: CREATE INDEX and VACUUM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy import float32
from numpy.typing import NDArray
from psycopg import sql

from rowvec.db.compose import comma, identifier
from rowvec.db.definition import Definition
from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.db.vector_array import HashArray, TextArray, VectorArray
from rowvec.errors import DatabaseError

# A key as text, one element a column, in key order.
Key = tuple[str, ...]


class Row(NamedTuple):
    """A pending row as it was read.

    `failed` says that this very input was set aside before, `kept` that its vector was adopted and
    only its hash is missing; the text of either is not read. `error` is the SQLSTATE of the error
    that reading the text raised.
    """

    key: Key
    json_key: str
    input: str | None
    input_hash: int | None
    failed: bool
    kept: bool = False
    error: str | None = None

    @property
    def needs_model(self) -> bool:
        """Whether there is a text to embed."""
        return self.input is not None and not self.kept


@dataclass(frozen=True)
class Range:
    """Keys beyond `lower` up to and with `upper`; None is open."""

    lower: Key | None = None
    upper: Key | None = None


# undefined_column, undefined_function, undefined_object, datatype_mismatch: of an expression whose
# columns were renamed, dropped or changed.
_GONE = frozenset({"42703", "42883", "42704", "42804"})

# To count more rows than these takes longer than a statement of a job may.
COUNTED = 100_000

# Of `r`, a pending row: that very input failed, and is not due to be tried again.
_IS_SET_ASIDE = sql.SQL(
    "f.embedding_id = %s AND f.key = r.json_key AND f.input_hash = r.input_hash"
    " AND (f.next_attempt_at IS NULL OR f.next_attempt_at > now())"
)


# What a batch of long documents may take, so that a job's memory does not grow with them.
_BATCH_BYTES = 8 << 20


def key_arrays(rows: Sequence[Row]) -> list[TextArray]:
    """The keys of rows, by column."""
    return [TextArray(column) for column in zip(*(row.key for row in rows), strict=True)]


class Source:
    """Reads and writes the rows of one definition."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self._look = self._reading()
        columns = [sql.SQL("%s") for _ in definition.key]
        self._write = self.function("write", comma([*columns, *[sql.SQL("%s")] * 2]))
        self._keep = self.function("keep", comma([*columns, sql.SQL("%s")]))

    def function(self, name: str, arguments: sql.Composable) -> bytes:
        """The statement that calls one of the functions of `rowvec_jobs` for the definition."""
        called = sql.Identifier("rowvec_jobs", f"{name}_{self.definition.id}")
        return sql.SQL("SELECT * FROM {}({})").format(called, arguments).as_bytes()

    async def prepare(self, session: Session) -> None:
        """Makes the functions by which everything else here reaches the source, where they changed.

        Raises DatabaseError where that takes rights that the session has not.
        """
        with self._explaining():
            await session.run(query("prepare_jobs"), {"id": self.definition.id})

    async def check(self, session: Session) -> None:
        """Raises DatabaseError where the definition is paused, or its source is not as it was."""
        definition = self.definition
        if definition.paused:
            raise DatabaseError(
                f"the embedding {definition.label} is paused",
                hint=f"SELECT rowvec.resume_embedding('{definition.table}', '{definition.name}')",
                code="55000",
            )
        with self._explaining():
            await self.key_after(session, Range(), 1)

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        definition = self.definition
        try:
            yield
        except DatabaseError as exc:
            if exc.code not in _GONE:
                raise
            raise DatabaseError(
                f"the embedding {definition.label} needs what is not there any more: {exc}",
                hint="rename it back, or say the new expression: rowvec.alter_embedding("
                f"'{definition.table}', input => ...)",
                code=exc.code,
            ) from exc

    async def read(self, session: Session, within: Range, limit: int) -> list[Row]:
        """The next pending rows in key order, those that failed before among them, without text.

        `limit` rows at most, fewer if their texts are megabytes together; none is the end.
        """
        found = await session.as_owner(self._look, (self.definition.id, *_bounds(within), limit))
        return [Row(tuple(key), *rest) for key, *rest in found]

    async def key_after(self, session: Session, within: Range, rows: int) -> Key | None:
        """The key of the `rows`th pending row in the range; None where it has fewer."""
        statement = self.function("after", sql.SQL("%s, %s, %s"))
        found = await session.as_owner(statement, (*_bounds(within), rows))
        return tuple(found[0][0]) if found else None

    async def count_pending(self, session: Session, limit: int) -> int:
        """How many rows are pending and were not set aside; at most `limit`."""
        statement = sql.SQL(
            "SELECT count(*) FROM (SELECT FROM {read}(NULL, NULL, %s + ("
            "SELECT count(*) FROM rowvec.failure AS f WHERE f.embedding_id = %s), false) AS r"
            " WHERE NOT EXISTS (SELECT FROM rowvec.failure AS f"
            " WHERE {is_set_aside}) LIMIT %s) AS n"
        ).format(read=self._read, is_set_aside=_IS_SET_ASIDE)
        number = self.definition.id
        ((counted,),) = await session.as_owner(statement, (limit, number, number, limit))
        return int(counted)

    async def estimate_pending(self, session: Session, limit: int | None = None) -> int:
        """As `count_pending`; of more than COUNTED about so many, as statistics have it."""
        counted = await self.count_pending(session, min(limit or COUNTED, COUNTED))
        if counted < COUNTED:
            return counted
        definition = self.definition
        where = {"schema": definition.schema, "table": definition.table}
        about: int = await session.value(
            query("pending_entries"), where | {"of": f"{definition.name}_of"}
        )
        return max(counted, about if limit is None else min(about, limit))

    async def fill(self, session: Session, filled: Sequence[tuple[Row, NDArray[float32]]]) -> int:
        """Writes vectors where the input is still the one that was read, and tells how many."""
        if not filled:
            return 0
        vectors = VectorArray(np.stack([vector for _, vector in filled]))
        hashes = HashArray([row.input_hash or 0 for row, _ in filled])
        keys = key_arrays([row for row, _ in filled])
        return await self._count(session, self._write, (*keys, hashes, vectors))

    async def fill_nothing(self, session: Session) -> None:
        """Writes no row, as `fill` writes rows."""
        keys = [TextArray([]) for _ in self.definition.key]
        nothing = VectorArray(np.empty((0, self.definition.dimensions), float32))
        await self._count(session, self._write, (*keys, HashArray([]), nothing))

    async def clear(self, session: Session, rows: Sequence[Row]) -> int:
        """Removes the vectors of rows with an input that became NULL; gives their number."""
        if not rows:
            return 0
        nothing = [None for _ in rows]
        return await self._count(session, self._write, (*key_arrays(rows), nothing, nothing))

    async def keep(self, session: Session, rows: Sequence[Row]) -> int:
        """Adopts the vectors that are there, as those of the input; tells how many."""
        if not rows:
            return 0
        hashes = HashArray([row.input_hash or 0 for row in rows])
        return await self._count(session, self._keep, (*key_arrays(rows), hashes))

    async def forget_gone(self, session: Session) -> None:
        """Deletes failures and truncations of rows that no longer exist."""
        await session.as_owner(query("forget_gone"), {"id": self.definition.id})

    async def vacuum(self, session: Session) -> list[str]:
        """Removes dead rows and refreshes statistics; gives what Postgres had to warn of."""
        definition = self.definition
        tables: list[sql.Composable] = [identifier(definition.schema, definition.table)]
        if definition.chunks_table is not None:
            tables.append(identifier(definition.chunks_schema or "", definition.chunks_table))
        with session.notices() as warnings:
            await session.run(sql.SQL("VACUUM (ANALYZE, SKIP_LOCKED) {}").format(comma(tables)))
        return warnings

    @property
    def _read(self) -> sql.Identifier:
        return sql.Identifier("rowvec_jobs", f"read_{self.definition.id}")

    def _reading(self) -> bytes:
        """The statement of `read`; composed once, as an idle sync runs it every second."""
        return (
            sql.SQL(
                "SELECT s.row_key, s.json_key::text,"
                " CASE WHEN NOT s.failed AND NOT s.is_kept THEN s.input END,"
                " s.input_hash, s.failed, s.is_kept, s.error FROM (SELECT f.*, sum(CASE"
                " WHEN NOT f.failed AND NOT f.is_kept THEN octet_length(f.input) ELSE 0 END)"
                " OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before"
                " FROM (SELECT r.*, EXISTS ("
                " SELECT FROM rowvec.failure AS f WHERE {is_set_aside}) AS failed"
                " FROM {read}(%s, %s, %s, true) AS r"
                ") AS f) AS s WHERE s.before IS NULL OR s.before < {bytes}"
            )
            .format(read=self._read, is_set_aside=_IS_SET_ASIDE, bytes=sql.Literal(_BATCH_BYTES))
            .as_bytes()
        )

    @staticmethod
    async def _count(session: Session, statement: bytes, parameters: tuple[Any, ...]) -> int:
        ((rows,),) = await session.as_owner(statement, parameters)
        return int(rows)


def _bounds(within: Range) -> tuple[list[str] | None, list[str] | None]:
    """Both ends as arrays, which is how the functions take them."""
    return (
        None if within.lower is None else [*within.lower],
        None if within.upper is None else [*within.upper],
    )
