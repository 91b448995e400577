"""Tables that are made from a source and its vectors, and always refilled as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg import sql

from rowvec.db.compose import comma, identifier
from rowvec.db.connection import database_errors
from rowvec.db.definition import Definition
from rowvec.db.queries import query
from rowvec.db.session import Session


@dataclass(frozen=True)
class DerivedTable:
    """One such table. `key` are the columns that it shares with the source, if it has any."""

    schema: str
    table: str
    source: sql.Composable
    key: tuple[str, ...]

    @property
    def name(self) -> sql.Identifier:
        """Its name as SQL."""
        return identifier(self.schema, self.table)

    @classmethod
    async def find(cls, session: Session, definition: Definition, kind: str) -> Self | None:
        """The table of that kind, None where it was not made yet."""
        found = await session.dicts(query("derived"), {"id": definition.id, "kind": kind})
        source = identifier(definition.schema, definition.table)
        key = tuple(column.name for column in definition.key)
        return cls(**found[0], source=source, key=key) if found else None

    @classmethod
    async def make(
        cls, session: Session, definition: Definition, kind: str, columns: str, *, keyed: bool
    ) -> Self:
        """The table of that kind, made where it was not there.

        `columns` is SQL of ours. Keyed, it has one row a row of the source, whose key is its own.
        Raises DatabaseError (42P07) if a table that is not ours has its name.
        """
        key = tuple(column.name for column in definition.key) if keyed else ()
        if keyed:
            names = comma([sql.Identifier(name) for name in key]).as_string()
            columns = f"{columns}, PRIMARY KEY ({names})"
        await session.run(
            query("create_derived"),
            {"id": definition.id, "kind": kind, "columns": columns, "has_key": keyed},
        )
        (found,) = await session.dicts(query("derived"), {"id": definition.id, "kind": kind})
        return cls(**found, source=identifier(definition.schema, definition.table), key=key)

    @asynccontextmanager
    async def replacing(
        self, session: Session, columns: tuple[str, ...]
    ) -> AsyncIterator[psycopg.AsyncCopy]:
        """Rows that take the place of all there are, when the block ends: `write_row` for each.

        Readers see the old ones until the transaction is over. Rows whose source row is gone by
        then are left out.
        """
        names = [identifier(name) for name in (*self.key, *columns)]
        parts = {
            "staging": sql.Identifier("rowvec_staging"),
            "table": self.name,
            "columns": comma(list(names)),
            "source": self.source,
            "key": comma([identifier(name) for name in self.key]),
        }
        async with session.transaction():
            # A staging table: the foreign key would make the whole COPY fail for one deleted row.
            await session.run(
                sql.SQL(
                    "CREATE TEMPORARY TABLE {staging} ON COMMIT DROP AS"
                    " SELECT {columns} FROM {table} WITH NO DATA"
                ).format(**parts)
            )
            with database_errors():
                async with (
                    session.connection.cursor() as cursor,
                    cursor.copy(
                        # It takes no parameters, so nothing in it is doubled for them.
                        sql.SQL("COPY {staging} ({columns}) FROM STDIN").format(
                            staging=parts["staging"],
                            columns=comma([sql.Identifier(n) for n in (*self.key, *columns)]),
                        )
                    ) as copy,
                ):
                    yield copy
            await session.run(sql.SQL("DELETE FROM {table}").format(**parts))
            insert = "INSERT INTO {table} ({columns}) SELECT {columns} FROM {staging}"
            if self.key:
                insert += " JOIN (SELECT {key} FROM {source}) AS s USING ({key})"
            await session.run(sql.SQL(insert).format(**parts))

    async def replace(
        self, session: Session, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """The same with rows that are at hand."""
        async with self.replacing(session, columns) as copy:
            for row in rows:
                await copy.write_row(row)
