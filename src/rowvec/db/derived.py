"""Tables that are made from a source and its vectors, and always refilled as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg import sql

from rowvec.db.compose import comma
from rowvec.db.connection import database_errors
from rowvec.db.definition import Definition, KeyColumn
from rowvec.db.owner import AsOwner
from rowvec.db.queries import query
from rowvec.db.session import Session


@dataclass(frozen=True)
class DerivedTable:
    """One such table. `key_columns` are those that it shares with the source, if it has any."""

    schema: str
    table: str
    source: sql.Composable
    key_columns: tuple[KeyColumn, ...]

    @property
    def name(self) -> sql.Identifier:
        """Its name as SQL, for a statement without parameters."""
        return sql.Identifier(self.schema, self.table)

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the columns of the key."""
        return tuple(column.name for column in self.key_columns)

    @classmethod
    async def find(cls, session: Session, definition: Definition, kind: str) -> Self | None:
        """The table of that kind, None where it was not made yet."""
        found = await session.dicts(query("derived"), {"id": definition.id, "kind": kind})
        source = sql.Identifier(definition.schema, definition.table)
        return cls(**found[0], source=source, key_columns=definition.key) if found else None

    @classmethod
    async def make(
        cls, session: Session, definition: Definition, kind: str, columns: str, *, keyed: bool
    ) -> Self:
        """The table of that kind, made where it was not there.

        `columns` is SQL of ours. Keyed, it has one row a row of the source, whose key is its own.
        Raises DatabaseError (42P07) if a table that is not ours has its name.
        """
        key = definition.key if keyed else ()
        if keyed:
            names = comma([sql.Identifier(column.name) for column in key]).as_string()
            columns = f"{columns}, PRIMARY KEY ({names})"
        await session.run(
            query("create_derived"),
            {"id": definition.id, "kind": kind, "columns": columns, "has_key": keyed},
        )
        (found,) = await session.dicts(query("derived"), {"id": definition.id, "kind": kind})
        source = sql.Identifier(definition.schema, definition.table)
        return cls(**found, source=source, key_columns=key)

    @asynccontextmanager
    async def replacing(
        self, owner: AsOwner, columns: Mapping[str, str]
    ) -> AsyncIterator[psycopg.AsyncCopy]:
        """Rows that take the place of all there are, when the block ends: `write_row` for each.

        `columns` are those beside the key, with their types. Readers see the old ones until the
        transaction is over. Rows whose source row is gone by then are left out.
        """
        types = {**{column.name: column.type for column in self.key_columns}, **columns}
        parts = {
            "table": self.name,
            "columns": comma([sql.Identifier(name) for name in types]),
            "source": self.source,
            "key": comma([sql.Identifier(name) for name in self.key]),
        }
        async with owner.session.transaction():
            async with staging(owner, list(types.values())) as copy:
                yield copy
            await owner.run(sql.SQL("DELETE FROM {table}").format(**parts))
            rows = staged(types)
            insert = "INSERT INTO {table} ({columns}) SELECT {columns} FROM {rows}"
            if self.key:
                insert += " JOIN (SELECT {key} FROM {source}) AS s USING ({key})"
            await owner.run(sql.SQL(insert).format(**parts, rows=rows))

    async def replace(
        self, owner: AsOwner, columns: Mapping[str, str], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """The same with rows that are at hand."""
        async with self.replacing(owner, columns) as copy:
            for row in rows:
                await copy.write_row(row)


_STAGING = sql.Identifier("pg_temp", "rowvec_staging")


@asynccontextmanager
async def staging(owner: AsOwner, types: Sequence[str]) -> AsyncIterator[psycopg.AsyncCopy]:
    """Takes rows into a temporary table, until the transaction around it ends: c0, c1, ...

    All are texts there, since the owner's code makes values of the owner's types. (COPY into the
    table itself would fail as a whole for one deleted row, by the foreign key.)
    """
    names = [sql.Identifier(f"c{n}") for n in range(len(types))]
    session = owner.session
    await session.run(
        sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(
            sql.Identifier("rowvec_staging"),
            comma([sql.SQL("{} text").format(name) for name in names]),
        )
    )
    await session.run(
        sql.SQL("GRANT SELECT ON {} TO {}").format(_STAGING, sql.Identifier(owner.role))
    )
    with database_errors():
        async with (
            session.connection.cursor() as cursor,
            cursor.copy(sql.SQL("COPY {} FROM STDIN").format(_STAGING)) as copy,
        ):
            yield copy


def staged(types: Mapping[str, str]) -> sql.Composable:
    """What was staged, as a subquery of columns with names and types."""
    columns = [
        sql.SQL("c{}::{} AS {}").format(sql.SQL(str(n)), sql.SQL(type_), sql.Identifier(name))
        for n, (name, type_) in enumerate(types.items())
    ]
    return sql.SQL("(SELECT {} FROM {}) AS staged").format(comma(columns), _STAGING)
