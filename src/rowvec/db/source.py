"""The statements of a backfill over one source: names and key types vary, hence composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy import float32
from numpy.typing import NDArray
from psycopg import sql
from psycopg.types.numeric import Int8

from rowvec.db.compose import comma, expression, identifier
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
    only its hash is missing; the text of either is not read. `sent` is the key in binary form,
    where the destination is a table.
    """

    key: Key
    json_key: str
    input: str | None
    input_hash: int | None
    failed: bool
    kept: bool = False
    sent: Sequence[bytes] = ()

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
    "f.embedding_id = %s AND f.key = r.j AND f.input_hash = r.h"
    " AND (f.next_attempt_at IS NULL OR f.next_attempt_at > now())"
)


# What a batch of long documents may take, so that a job's memory does not grow with them.
_BATCH_BYTES = 8 << 20


def key_arrays(rows: Sequence[Row]) -> list[TextArray]:
    """The keys of rows, by column."""
    return [TextArray(column) for column in zip(*(row.key for row in rows), strict=True)]


class Source:
    """Reads and writes the rows of one definition.

    `table`, `columns` (of the key), `pending` and `hash` are the pieces that its statements have.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.table = identifier(definition.schema, definition.table)
        self.columns = [identifier(column.name) for column in definition.key]
        self.pending = expression(definition.pending)
        self.hash = sql.SQL("hashtextextended(({}), 0)").format(expression(definition.input))
        self._reads: dict[tuple[bool, bool], bytes] = {}

    async def check(self, session: Session) -> None:
        """Raises DatabaseError where the definition is paused, or its source is not as it was."""
        definition = self.definition
        if definition.paused:
            raise DatabaseError(
                f"the embedding {definition.label} is paused",
                hint=f"SELECT rowvec.resume_embedding('{definition.table}', '{definition.name}')",
                code="55000",
            )
        names = [identifier(f"{definition.name}_of")]
        if definition.destination == "column":
            names.append(identifier(definition.name))
        statement = sql.SQL("SELECT {names}, {hash} FROM {table} WHERE ({pending}) LIMIT 0").format(
            names=comma([*names]), hash=self.hash, table=self.table, pending=self.pending
        )
        try:
            await session.run(statement)
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

        `limit` rows at most, and no more once their texts are megabytes together; none is the end.
        """
        bounds = [*(within.lower or ()), *(within.upper or ())]
        statement = self._read(within.lower is not None, within.upper is not None)
        found = await session.all(statement, (self.definition.id, *bounds, limit))
        return [Row(tuple(key), *rest) for key, *rest in found]

    async def key_after(self, session: Session, within: Range, rows: int) -> Key | None:
        """The key of the `rows`th pending row in the range; None where it has fewer."""
        where, parameters = self._within(within)
        statement = sql.SQL(
            "SELECT ARRAY[{as_text}] FROM {table} WHERE ({pending}) {where}"
            " ORDER BY {order} OFFSET %s LIMIT 1"
        ).format(
            as_text=self._key_as_text,
            table=self.table,
            pending=self.pending,
            where=where,
            order=self._order,
        )
        found = await session.first(statement, (*parameters, rows - 1))
        return None if found is None else tuple(found[0])

    async def count_pending(self, session: Session, limit: int | None = None) -> int:
        """How many rows are pending and were not set aside; at most `limit`."""
        statement = sql.SQL(
            "SELECT count(*) FROM (SELECT FROM ("
            " SELECT {json_key} AS j, {hash} AS h FROM {table} WHERE ({pending})) AS r"
            " WHERE NOT EXISTS (SELECT FROM rowvec.failure AS f"
            " WHERE {is_set_aside}) LIMIT %s) AS n"
        ).format(
            json_key=self._json_key,
            hash=self.hash,
            table=self.table,
            pending=self.pending,
            is_set_aside=_IS_SET_ASIDE,
        )
        # The planner takes nearly all rows for pending, whatever was filled since: it would read
        # the table from its start for the first of them, and all of it where there is none.
        through_index = "SELECT set_config('enable_seqscan', 'off', true)"
        async with session.transaction((through_index, ())):
            counted: int = await session.value(statement, (self.definition.id, limit))
        return counted

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
        return await session.run(self._fill, (*keys, hashes, vectors))

    async def clear(self, session: Session, rows: Sequence[Row]) -> int:
        """Takes the vector from rows whose input has become NULL, and tells how many."""
        return await session.run_many(self._clear, [row.key for row in rows])

    async def keep(self, session: Session, rows: Sequence[Row]) -> int:
        """Adopts the vectors that are there, as those of the input; tells how many."""
        return await session.run_many(
            self._keep,
            [(Int8(row.input_hash or 0), *row.key, Int8(row.input_hash or 0)) for row in rows],
        )

    async def forget_gone(self, session: Session) -> None:
        """Forgets what is remembered of rows that are there no more."""
        await session.run(query("forget_gone"), {"id": self.definition.id})

    async def vacuum(self, session: Session) -> list[str]:
        """Removes dead rows and refreshes statistics; gives what Postgres had to warn of."""
        tables: list[sql.Composable] = [self.table]
        if self.definition.chunks_table is not None:
            schema = self.definition.chunks_schema or ""
            tables.append(identifier(schema, self.definition.chunks_table))
        with session.notices() as warnings:
            await session.run(sql.SQL("VACUUM (ANALYZE, SKIP_LOCKED) {}").format(comma(tables)))
        return warnings

    def _read(self, has_lower: bool, has_upper: bool) -> bytes:  # noqa: FBT001 - the cache's key
        """The statement of `read`; composed once, as an idle sync runs it every second."""
        if (has_lower, has_upper) not in self._reads:
            edge = ("",) * len(self.columns)
            where, _ = self._within(Range(edge if has_lower else None, edge if has_upper else None))
            self._reads[has_lower, has_upper] = (
                sql.SQL(
                    "SELECT s.k, s.j::text, CASE WHEN NOT s.failed AND NOT s.kept THEN s.i END,"
                    " s.h, s.failed, s.kept, s.sent FROM (SELECT f.*, sum(CASE"
                    " WHEN NOT f.failed AND NOT f.kept THEN octet_length(f.i) ELSE 0 END)"
                    " OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before"
                    " FROM (SELECT r.*, EXISTS ("
                    " SELECT FROM rowvec.failure AS f"
                    " WHERE {is_set_aside}) AS failed"
                    " FROM (SELECT ARRAY[{as_text}] AS k, {json_key} AS j, ({input})::text AS i,"
                    " {hash} AS h, {kept} AS kept, {sent} AS sent"
                    " FROM {table} WHERE ({pending}) {where} ORDER BY {order} LIMIT %s"
                    ") AS r) AS f) AS s WHERE s.before IS NULL OR s.before < {bytes}"
                )
                .format(
                    as_text=self._key_as_text,
                    json_key=self._json_key,
                    input=expression(self.definition.input),
                    hash=self.hash,
                    kept=expression(self.definition.kept),
                    sent=self._sent,
                    is_set_aside=_IS_SET_ASIDE,
                    bytes=sql.Literal(_BATCH_BYTES),
                    table=self.table,
                    pending=self.pending,
                    where=where,
                    order=self._order,
                )
                .as_bytes()
            )
        return self._reads[has_lower, has_upper]

    @cached_property
    def _fill(self) -> sql.Composed:
        """One statement a batch, in key order; the source's own columns stand unqualified in it."""
        numbered = [identifier(f"rowvec_k{number}") for number, _ in enumerate(self.columns)]
        return sql.SQL(
            "UPDATE {table} SET {vector} = g.rowvec_vector, {of} = g.rowvec_hash"
            " FROM unnest({arrays}, %s::bigint[], %s)"
            " AS g({numbered}, rowvec_hash, rowvec_vector)"
            " WHERE ({columns}) = ({given}) AND ({pending}) AND {hash} = g.rowvec_hash"
        ).format(
            arrays=comma([sql.SQL("%s::text[]") for _ in self.columns]),
            numbered=comma([*numbered]),
            columns=comma([*self.columns]),
            given=comma(
                [
                    sql.SQL("g.{}::{}").format(number, expression(column.type))
                    for number, column in zip(numbered, self.definition.key, strict=True)
                ]
            ),
            hash=self.hash,
            **self._written,
        )

    @cached_property
    def _keep(self) -> sql.Composed:
        return sql.SQL(
            "UPDATE {table} SET {of} = %s"
            " WHERE {match} AND ({pending}) AND {hash} = %s AND ({kept})"
        ).format(hash=self.hash, kept=expression(self.definition.kept), **self._written)

    @cached_property
    def _clear(self) -> sql.Composed:
        return sql.SQL(
            "UPDATE {table} SET {vector} = NULL, {of} = NULL"
            " WHERE {match} AND ({pending}) AND {hash} IS NULL"
        ).format(hash=self.hash, **self._written)

    @cached_property
    def _written(self) -> dict[str, sql.Composable]:
        name = self.definition.name
        return {
            "table": self.table,
            "vector": identifier(name),
            "of": identifier(f"{name}_of"),
            "match": sql.SQL("({}) = ({})").format(comma([*self.columns]), self._key_parameters),
            "pending": self.pending,
        }

    def _within(self, within: Range) -> tuple[sql.Composable, list[Any]]:
        """The condition on the key with its parameters; rows compare as the index sorts them."""
        parts: list[sql.Composable] = []
        parameters: list[Any] = []
        for operator, bound in ((">", within.lower), ("<=", within.upper)):
            if bound is not None:
                parts.append(
                    sql.SQL(f"AND ({{}}) {operator} ({{}})").format(  # one of two literals
                        comma([*self.columns]), self._key_parameters
                    )
                )
                parameters += bound
        return sql.SQL(" ").join(parts), parameters

    @property
    def _order(self) -> sql.Composed:
        """The key in full: a bare name in ORDER BY would mean an output column first."""
        table = (self.definition.schema, self.definition.table)
        return comma([identifier(*table, column.name) for column in self.definition.key])

    @property
    def _key_parameters(self) -> sql.Composed:
        return comma(
            [sql.SQL("%s::{}").format(expression(column.type)) for column in self.definition.key]
        )

    @property
    def _key_as_text(self) -> sql.Composed:
        return comma([sql.SQL("{}::text").format(column) for column in self.columns])

    @property
    def _sent(self) -> sql.Composable:
        """The key as COPY takes it; only the chunks are written by COPY."""
        if self.definition.destination != "table":
            return sql.SQL("'{}'::bytea[]")
        sends = [sql.SQL("{}({})").format(expression(column.send), identifier(column.name))
                 for column in self.definition.key]  # fmt: skip
        return sql.SQL("ARRAY[{}]").format(comma([*sends]))

    @property
    def _json_key(self) -> sql.Composed:
        """The key as it stands everywhere in rowvec: bare for one column, else an object."""
        if len(self.columns) == 1:
            return sql.SQL("to_jsonb({})").format(self.columns[0])
        pairs = [
            sql.SQL("{}, {}").format(
                sql.Literal(column.name.replace("%", "%%")), identifier(column.name)
            )
            for column in self.definition.key
        ]
        return sql.SQL("jsonb_build_object({})").format(comma([*pairs]))
