"""The definition of an embedding column as a job reads it, with its source's names and key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from psycopg import sql

from rowvec.db.queries import query, typed
from rowvec.db.session import Session


@dataclass(frozen=True)
class KeyColumn:
    """One column of the source's primary key; `type` is SQL, as Postgres prints it."""

    name: str
    type: str


@dataclass(frozen=True)
class Definition:
    """One row of rowvec.embedding and what belongs to it in Postgres's catalog.

    `input`, `filter`, `pending`, `kept` (pending, and its vector stays) and `key_json` (the key as
    functions give it) are SQL over the columns of the source. `document_kwargs` are those of its
    rows, which are documents: queries have another prompt. `chunks_table` is where the vectors go
    whose `destination` is a table.
    """

    id: int
    schema: str
    table: str
    is_partitioned: bool
    name: str
    model: str
    input: str
    modality: str
    filter: str | None
    destination: str
    dimensions: int
    kwargs: dict[str, object]
    document_kwargs: dict[str, object]
    on_truncate: str
    chunk: dict[str, object] | None
    chunks_schema: str | None
    chunks_table: str | None
    metric: str
    version: int
    paused: bool
    pending: str
    kept: str
    key_json: str
    key: tuple[KeyColumn, ...]

    @property
    def label(self) -> str:
        """How messages call the column: source and name."""
        return f"{self.table}.{self.name}"

    @classmethod
    async def read(cls, session: Session, source: str, embedding: str | None) -> Self:
        """The definition of `source`, a table's name as written in SQL.

        Raises DatabaseError: no such table, no embedding or several of them, no primary key.
        """
        async with session.users_path():
            (found,) = await session.dicts(
                typed("definition"), {"source": source, "embedding": embedding}
            )
        key = await session.dicts(query("key_columns"), {"id": found["id"]})
        return cls(**found, key=tuple(KeyColumn(**column) for column in key))

    async def again(self, session: Session) -> Self:
        """The definition as it is by now."""
        source = sql.Identifier(self.schema, self.table).as_string()
        return await self.read(session, source, self.name)
