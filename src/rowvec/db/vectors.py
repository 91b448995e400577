"""The vectors of a definition as a stream of batches, read in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from rowvec.db.compose import comma
from rowvec.db.definition import Definition
from rowvec.db.owner import AsOwner
from rowvec.db.queries import query
from rowvec.db.session import Session

Matrix = NDArray[np.float32]

# A key as text, one element a column, in key order.
Key = tuple[str, ...]

_BATCH_BYTES = 8 << 20
_MIN_BATCH_ROWS, _MAX_BATCH_ROWS = 256, 8192

# pgvector's binary form: dimensions and a spare number of 16 bits each, then big-endian float4.
_HEADER_BYTES = 4


@dataclass(frozen=True)
class VectorBatch:
    """Rows of a table: `vectors` has one row a key."""

    keys: Sequence[Key]
    vectors: Matrix


class VectorColumn:
    """Where the vectors of a definition stand. Of a row that has several (chunks), their mean.

    `relation` has the key's columns, and the vector in the column `vector`; `type` is SQL.
    """

    def __init__(
        self, definition: Definition, vector_schema: str, chunks: sql.Identifier | None = None
    ) -> None:
        self._dimensions = definition.dimensions
        vector = sql.Identifier(vector_schema, "vector").as_string()
        self.type = f"{vector}({self._dimensions})"
        self.relation: sql.Composable
        if chunks is None:
            self.relation = sql.Identifier(definition.schema, definition.table)
            self.vector = sql.Identifier(definition.name)
        else:
            self.relation = sql.SQL(
                "(SELECT {key}, {mean}(embedding) AS embedding FROM {chunks}"
                " WHERE embedding IS NOT NULL GROUP BY {key})"
            ).format(
                key=comma([sql.Identifier(column.name) for column in definition.key]),
                mean=sql.Identifier(vector_schema, "avg"),
                chunks=chunks,
            )
            self.vector = sql.Identifier("embedding")
        self.as_bytes = sql.SQL("{}({})").format(
            sql.Identifier(vector_schema, "vector_send"), self.vector
        )
        self.batch_rows = int(
            np.clip(_BATCH_BYTES // (4 * self._dimensions), _MIN_BATCH_ROWS, _MAX_BATCH_ROWS)
        )

    @classmethod
    async def of(cls, session: Session, definition: Definition) -> VectorColumn:
        """The column, or that of the table of chunks where vectors are kept there."""
        found = await session.dicts(query("derived"), {"id": definition.id, "kind": "chunks"})
        chunks = sql.Identifier(*found[0].values()) if found else None
        return cls(definition, session.vector_schema, chunks)

    def matrix(self, rows: Sequence[bytes]) -> Matrix:
        """Vectors as `as_bytes` gives them, one a row."""
        raw = np.frombuffer(b"".join(rows), np.uint8)
        body = raw.reshape(len(rows), _HEADER_BYTES + 4 * self._dimensions)[:, _HEADER_BYTES:]
        vectors: Matrix = np.ascontiguousarray(body).view(">f4").astype(np.float32)
        return vectors


class Vectors:
    """All vectors of one definition, read as the owner of its source."""

    def __init__(self, reader: AsOwner, definition: Definition, column: VectorColumn) -> None:
        self.column = column
        self._reader = reader
        self._types = [column.type for column in definition.key]
        self._keys = comma(
            [
                sql.SQL("{}::pg_catalog.text").format(sql.Identifier("s", column.name))
                for column in definition.key
            ]
        )
        self._order = comma([sql.Identifier("s", column.name) for column in definition.key])
        self._columns = ", ".join(f"k{n} text" for n in range(len(definition.key)))

    @classmethod
    async def of(cls, reader: AsOwner, definition: Definition) -> Vectors:
        """Those of the column, or of the table of chunks where they are kept there."""
        return cls(reader, definition, await VectorColumn.of(reader.session, definition))

    async def count(self) -> int:
        """Rows that have a vector."""
        statement = sql.SQL(
            "SELECT pg_catalog.count(*) FROM {relation} AS s WHERE {vector} IS NOT NULL"
        ).format(relation=self.column.relation, vector=self.column.vector)
        ((rows,),) = await self._reader.all("rows bigint", statement)
        return int(rows)

    async def batches(self, batch_rows: int | None = None) -> AsyncIterator[VectorBatch]:
        """Every row that has a vector, in the order of the keys; no transaction stays open.

        Raises DatabaseError.
        """
        async for found in self.pages(self.column.as_bytes, "vector bytea", batch_rows):
            keys = [row[:-1] for row in found]
            yield VectorBatch(keys, self.column.matrix([row[-1] for row in found]))

    async def pages(
        self,
        selected: sql.Composable,
        columns: str,
        rows: int | None = None,
        *,
        joined: sql.Composable = sql.SQL(""),  # noqa: B008 - it is never changed
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Of every row that has a vector, its key as texts and what is selected, in their order.

        `columns` are the names and types of what is selected, `joined` follows the relation.
        """
        number = rows or self.column.batch_rows
        values = [f"($1)[{n}]::{type_}" for n, type_ in enumerate(self._types, 1)]
        beyond = sql.SQL(" AND {}").format(await self._reader.key_condition(">", values))
        last: Key = ()
        while True:
            statement = sql.SQL(
                "SELECT {keys}, {selected} FROM {relation} AS s{joined}"
                " WHERE {vector} IS NOT NULL{beyond} ORDER BY {order} LIMIT {rows}"
            ).format(
                keys=self._keys,
                selected=selected,
                joined=joined,
                relation=self.column.relation,
                vector=self.column.vector,
                beyond=beyond if last else sql.SQL(""),
                order=self._order,
                rows=sql.Literal(number),
            )
            found = await self._reader.all(f"{self._columns}, {columns}", statement, last)
            if not found:
                return
            yield found
            last = found[-1][: len(self._types)]


def normalised(vectors: Matrix) -> Matrix:
    """The rows at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Matrix = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
