"""Statements on a source and what was made from it: as the source's owner, or as the session.

A job that logs in with many rights must not lend them to the code of a table's owner: domains,
casts, functions of the input. So it hands statements to a function that runs them as the owner.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import psycopg
from psycopg import sql

from rowvec.db.connection import PIN, database_errors
from rowvec.db.definition import Definition
from rowvec.db.queries import query
from rowvec.db.session import Session


class Reader(Protocol):
    """Runs statements that read; they have no placeholders of psycopg's."""

    def batches(
        self, columns: str, statement: sql.Composable, rows: int
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """So many rows at a time, in binary form; the columns are given by names and types."""


class AsCaller:
    """As the role that the session logged in as: it sees what that role may see."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def batches(
        self, columns: str, statement: sql.Composable, rows: int
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """So many rows at a time."""
        del columns  # the statement itself says which
        async for found in _fetched(self._session, statement.as_bytes(), None, rows):
            yield found


class AsOwner:
    """As the owner of a definition's source. Only the owner of the catalog may.

    In a statement `$1` is an array of texts: the values that come with it.
    """

    def __init__(self, session: Session, definition: Definition, role: str) -> None:
        self.session = session
        self.role = role
        self._id = definition.id
        self._act = sql.Identifier("rowvec_jobs", f"act_{definition.id}")

    @classmethod
    async def of(cls, session: Session, definition: Definition) -> AsOwner:
        """Prepares the function by which the owner's code runs.

        Raises DatabaseError where a policy hides rows from the owner, or the caller may not.
        """
        await session.run(query("prepare_jobs"), {"id": definition.id})
        session.prepare_nothing()
        role = await session.value(query("owner_of_source"), {"id": definition.id})
        return cls(session, definition, role)

    async def all(
        self, columns: str, statement: sql.Composable, values: Sequence[str | None] = ()
    ) -> list[tuple[Any, ...]]:
        """All rows, in Postgres's binary form; `columns` has names and types."""
        return await self.session.as_owner(
            self._calling(columns), (statement.as_string(), [*values]), binary=True
        )

    async def batches(
        self, columns: str, statement: sql.Composable, rows: int
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """The same, so many rows at a time; Postgres keeps them all until the last is read."""
        parameters = (statement.as_string(), None)
        async for found in _fetched(self.session, self._calling(columns), parameters, rows):
            yield found

    async def key_condition(self, operator: str, values: Sequence[str]) -> sql.SQL:
        """That the key of a row is equal to (=) or beyond (>) values, SQL for each column."""
        named = {"id": self._id, "operator": operator, "values": [*values]}
        # Postgres itself printed it.
        return sql.SQL(await self.session.value(query("key_condition"), named))

    async def run(self, statement: sql.Composable) -> int:
        """Executes an INSERT, UPDATE or DELETE, and gives the number of rows it touched."""
        counted = sql.SQL("WITH done AS ({} RETURNING 1) SELECT pg_catalog.count(*) FROM done")
        ((rows,),) = await self.all("rows bigint", counted.format(statement))
        return int(rows)

    def _calling(self, columns: str) -> bytes:
        return (
            sql.SQL("SELECT * FROM {}(%s, %s::pg_catalog.text[]) AS r({})")
            .format(self._act, sql.SQL(columns.replace("%", "%%")))
            .as_bytes()
        )


async def _fetched(
    session: Session, statement: bytes, parameters: Any, rows: int
) -> AsyncIterator[list[tuple[Any, ...]]]:
    async with session.transaction():
        with database_errors():
            cursor = psycopg.AsyncServerCursor(session.connection, "rowvec_rows")
            async with cursor:
                await cursor.execute(statement, parameters, binary=True)
                while found := await cursor.fetchmany(rows):
                    yield found
        if parameters is not None:
            await session.run(PIN)  # what code of the owner may have set is set back
