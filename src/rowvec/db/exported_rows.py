"""What is exported: keys, texts and vectors in batches, all of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import psycopg
from psycopg import sql

from rowvec.db.connection import database_errors, users_path
from rowvec.db.queries import typed
from rowvec.errors import InvalidRequest

_ROWS_AT_ONCE = 1000

_INTEGERS = ("smallint", "integer", "bigint")


@dataclass(frozen=True)
class ExportBatch:
    """Some rows: keys as JSON has them, the texts that were embedded, one vector a line.

    Of chunks, several have the key of their row, and `ordinalities` count them from 1.
    """

    keys: list[Any]
    texts: list[str | None]
    vectors: npt.NDArray[np.float32]
    ordinalities: list[int] | None


class Exported:
    """The rows of an embedding that have a vector, or the chunks of them, within one snapshot.

    They may be read many times.
    """

    def __init__(self, connection: psycopg.Connection, definition: dict[str, Any]) -> None:
        self._connection = connection
        self._definition = definition
        self.dimensions: int = definition["dimensions"]
        self.metric: str = definition["metric"]
        self.is_chunked: bool = definition["is_chunked"]
        self.has_integer_key = (
            len(definition["key_types"]) == 1 and definition["key_types"][0] in _INTEGERS
        )
        counted = self._one("SELECT count(*) FROM {table} WHERE {vector} IS NOT NULL")
        self.count = int(counted[0])

    def batches(self) -> Iterator[ExportBatch]:
        """All rows, some at a time; raises DatabaseError."""
        statement = self._composed(
            "SELECT {key}::text, ({text})::text, {vector}::text, {ordinality} FROM {table}"
            " WHERE {vector} IS NOT NULL"
        )
        with database_errors(), self._connection.cursor("rowvec_export") as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                keys, texts, vectors, ordinalities = zip(*rows, strict=True)
                flat = np.fromstring(",".join(v[1:-1] for v in vectors), np.float32, sep=",")
                yield ExportBatch(
                    [orjson.loads(key) for key in keys],
                    list(texts),
                    flat.reshape(len(rows), self.dimensions),
                    list(ordinalities) if self.is_chunked else None,
                )

    def longest_key(self) -> int:
        """Characters of the longest key, as a text."""
        return int(self._one("SELECT coalesce(max(length({key} #>> '{{}}')), 1) FROM {table}")[0])

    def _one(self, statement: str) -> tuple[Any, ...]:
        with database_errors():
            row = self._connection.execute(self._composed(statement)).fetchone()
        assert row is not None
        return row

    def _composed(self, statement: str) -> sql.Composed:
        found = self._definition
        return sql.SQL(statement).format(
            # As Postgres printed them.
            key=sql.SQL(found["key"]),
            text=sql.SQL(found["text"]),
            vector=sql.Identifier(found["vector"]),
            ordinality=sql.SQL("ordinality" if self.is_chunked else "NULL::int"),
            table=sql.Identifier(found["schema"], found["table"]),
        )


@contextmanager
def exported(
    connection: psycopg.Connection, source: str, embedding: str | None
) -> Iterator[Exported]:
    """The embedding of a table, as it is when this begins; raises DatabaseError, InvalidRequest."""
    with database_errors(), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
        parameters = {"source": source, "embedding": embedding}
        with users_path(connection):
            definition = cursor.execute(typed("exported_definition"), parameters).fetchone()
        assert definition is not None
        if definition["table"] is None:
            raise InvalidRequest(
                f"the table of the chunks of {definition['source']} is gone",
                hint="drop the embedding with rowvec.drop_embedding, and create it again",
            )
        yield Exported(connection, definition)
