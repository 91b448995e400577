"""The vectors of a definition as a stream of batches, read by a cursor in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from rowvec.db.compose import comma, identifier
from rowvec.db.connection import database_errors
from rowvec.db.definition import Definition
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
    """Rows of a table: `vectors` has one row a key; without keys `keys` is empty."""

    keys: Sequence[Key]
    vectors: Matrix


class Vectors:
    """All vectors of one definition. Of a row that has several (chunks), their mean."""

    def __init__(
        self, session: Session, definition: Definition, chunks: sql.Identifier | None = None
    ) -> None:
        self._session = session
        self._dimensions = definition.dimensions
        names: list[sql.Composable] = [identifier(column.name) for column in definition.key]
        # `relation` has the key's columns, and the vector in the column `vector`.
        self.relation: sql.Composable
        if chunks is None:
            self.relation = identifier(definition.schema, definition.table)
            self.vector = identifier(definition.name)
        else:
            self.relation = sql.SQL(
                "(SELECT {key}, {mean}(embedding) AS embedding FROM {chunks}"
                " WHERE embedding IS NOT NULL GROUP BY {key}) AS means"
            ).format(
                key=comma(names),
                mean=identifier(session.vector_schema, "avg"),
                chunks=chunks,
            )
            self.vector = identifier("embedding")
        self.as_bytes = sql.SQL("{}({})").format(
            identifier(session.vector_schema, "vector_send"), self.vector
        )
        self._key_texts = comma([sql.SQL("{}::text").format(name) for name in names])
        self.batch_rows = int(
            np.clip(_BATCH_BYTES // (4 * self._dimensions), _MIN_BATCH_ROWS, _MAX_BATCH_ROWS)
        )

    @classmethod
    async def of(cls, session: Session, definition: Definition) -> Vectors:
        """Those of the column, or of the table of chunks where they are kept there."""
        found = await session.dicts(query("derived"), {"id": definition.id, "kind": "chunks"})
        return cls(session, definition, identifier(*found[0].values()) if found else None)

    async def count(self) -> int:
        """Rows that have a vector."""
        return int(await self._session.value(self._sql("SELECT count(*) FROM {relation} {where}")))

    async def batches(
        self, *, with_keys: bool = False, batch_rows: int | None = None
    ) -> AsyncIterator[VectorBatch]:
        """Every row that has a vector, in the order in which the table lies on disk.

        A transaction is open while they are read. Raises DatabaseError.
        """
        rows = batch_rows or self.batch_rows
        statement = self._sql(
            "SELECT {bytes}, {key} FROM {relation} {where}"
            if with_keys
            else "SELECT {bytes} FROM {relation} {where}"
        )
        async with self._session.transaction():
            with database_errors():
                cursor = psycopg.AsyncServerCursor(self._session.connection, "rowvec_vectors")
                async with cursor:
                    await cursor.execute(statement, (), binary=True)
                    while found := await cursor.fetchmany(rows):
                        vectors = self.matrix([row[0] for row in found])
                        yield VectorBatch([row[1:] for row in found], vectors)

    def matrix(self, rows: Sequence[bytes]) -> Matrix:
        """Vectors as `as_bytes` gives them, one a row."""
        raw = np.frombuffer(b"".join(rows), np.uint8)
        body = raw.reshape(len(rows), _HEADER_BYTES + 4 * self._dimensions)[:, _HEADER_BYTES:]
        vectors: Matrix = np.ascontiguousarray(body).view(">f4").astype(np.float32)
        return vectors

    def _sql(self, template: str) -> sql.Composed:
        return sql.SQL(template).format(
            relation=self.relation,
            bytes=self.as_bytes,
            key=self._key_texts,
            where=sql.SQL("WHERE {} IS NOT NULL").format(self.vector),
        )


def normalised(vectors: Matrix) -> Matrix:
    """The rows at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Matrix = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
