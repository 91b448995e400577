"""The table `<source>_similar`: each row's nearest others, and what they were found from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from rowvec.db.compose import comma, expression, identifier
from rowvec.db.connection import database_errors
from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable
from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.db.vectors import Key, Matrix, Vectors
from rowvec.errors import DatabaseError

_KIND = "similar"
_FETCHED_ROWS = 20_000

# A row that was deleted between the check for it and the foreign key's own.
_FOREIGN_KEY_VIOLATION = "23503"
_ATTEMPTS = 3


class StoredPair(NamedTuple):
    """One pair. The marks are those of both rows when they were compared.

    `rank` 0 with no `other` says, in what is written, that the row has no others.
    """

    key: Key
    other: Key | None
    rank: int
    score: float
    mark: int
    other_mark: int


class EmbeddedRows(NamedTuple):
    """Rows with a vector; a `mark` changes with the text, and with what the definition says."""

    keys: list[Key]
    marks: list[int]
    vectors: Matrix | None


class SimilarRows:
    """Reads and writes the pairs of one definition; every error leaves as a DatabaseError."""

    def __init__(self, definition: Definition, vectors: Vectors, table: DerivedTable) -> None:
        self.table = table
        self._definition = definition
        self._vectors = vectors
        key = [identifier(column.name) for column in definition.key]
        other = [identifier(name) for name in _others(definition)]
        types = [expression(column.type) for column in definition.key]
        self._columns = len(key)
        self._parts: dict[str, sql.Composable] = {
            "table": table.name,
            "source": table.source,
            "relation": vectors.relation,
            "vector": vectors.vector,
            "key": comma([*key]),
            "other": comma([*other]),
            "key_text": _texts(key),
            "other_text": _texts(other),
            "of": identifier(f"{definition.name}_of"),
            "version": sql.Literal(definition.version),
            "staging": sql.Identifier("rowvec_similar_staging"),
            "regclass": sql.Literal(table.source.as_string().replace("%", "%%")),
            "found_key": _from_json("p.key", definition),
            "found_other": _from_json("p.other_key", definition),
            "staged": _numbered("k{} text", key) + sql.SQL(", ") + _numbered("o{} text", key),
            "staged_names": _numbered("k{}", key) + sql.SQL(", ") + _numbered("o{}", key),
            "staged_key": _cast("k", types),
            "staged_other": _cast("o", types),
        }

    @classmethod
    async def make(cls, session: Session, definition: Definition) -> SimilarRows:
        """The table, made where it was not there; 42P07 where its name is somebody else's."""
        key = comma([sql.Identifier(column.name) for column in definition.key])
        others = [sql.Identifier(name) for name in _others(definition)]
        types = [sql.SQL(column.type) for column in definition.key]  # Postgres itself printed it
        # UNIQUE is there for the index: a row that is deleted takes itself out of others' lists.
        columns = sql.SQL(
            "{declared}, rank int NOT NULL, score real NOT NULL, mark bigint NOT NULL,"
            " other_mark bigint NOT NULL, PRIMARY KEY ({key}, rank), UNIQUE ({other}, {key}),"
            " FOREIGN KEY ({other}) REFERENCES {source} ({key})"
            " ON UPDATE CASCADE ON DELETE CASCADE"
        ).format(
            declared=comma(
                [
                    sql.SQL("{} {} NOT NULL").format(*pair)
                    for pair in zip(others, types, strict=True)
                ]
            ),
            key=key,
            other=comma([*others]),
            source=sql.Identifier(definition.schema, definition.table),
        )
        await session.run(
            query("create_derived"),
            {"id": definition.id, "kind": _KIND, "columns": columns.as_string(), "has_key": True},
        )
        table = await DerivedTable.find(session, definition, _KIND)
        assert table is not None
        return cls(definition, await Vectors.of(session, definition), table)

    async def count(self, session: Session) -> int:
        """Rows that have a vector."""
        statement = "SELECT count(*) FROM {relation} WHERE {vector} IS NOT NULL"
        return int(await session.value(self._sql(statement)))

    async def embedded(
        self, session: Session, *, with_vectors: bool
    ) -> AsyncIterator[EmbeddedRows]:
        """All rows that have a vector, in batches; a transaction is open while they are read."""
        statement = sql.SQL(
            "SELECT s.rowvec_mark, {key_text}, {wanted} FROM {relation} JOIN"
            " (SELECT {key}, coalesce(pg_catalog.uuid_hash_extended({of}, {version}), 0)"
            " AS rowvec_mark FROM {source}) AS s"
            " USING ({key}) WHERE {vector} IS NOT NULL"
        ).format(**self._parts, wanted=self._vectors.as_bytes if with_vectors else sql.SQL("NULL"))
        n = self._columns
        async for found in self._batches(session, statement, self._vectors.batch_rows):
            vectors = self._vectors.matrix([row[-1] for row in found]) if with_vectors else None
            yield EmbeddedRows(
                [row[1 : n + 1] for row in found], [row[0] for row in found], vectors
            )

    async def stored(self, session: Session) -> AsyncIterator[list[StoredPair]]:
        """All pairs, in batches."""
        statement = self._sql(
            "SELECT {key_text}, {other_text}, rank, score, mark, other_mark FROM {table}"
        )
        n = self._columns
        async for found in self._batches(session, statement, _FETCHED_ROWS):
            yield [StoredPair(row[:n], row[n : 2 * n], *row[2 * n :]) for row in found]

    async def nearest(
        self, session: Session, keys: list[Key], k: int
    ) -> list[tuple[Key, Key, int, float]]:
        """The nearest others of the rows with these keys, by the index: keys, rank, distance."""
        names = [column.name for column in self._definition.key]
        as_json = [
            key[0] if len(names) == 1 else dict(zip(names, key, strict=True)) for key in keys
        ]
        found = await session.all(
            self._sql(
                "SELECT {found_key}, {found_other}, p.rank, p.distance FROM rowvec._similar_pairs("
                "rowvec._definition({regclass}::regclass, %s), %s, NULL, NULL, '{{}}', %s) AS p"
            ),
            (self._definition.name, k, Jsonb(as_json)),
        )
        n = self._columns
        return [(row[:n], row[n : 2 * n], row[-2], row[-1]) for row in found]

    async def replace(self, session: Session, pairs: Iterable[StoredPair]) -> None:
        """Puts these in the place of all that the rows with these keys had, in one transaction.

        Pairs with a row that is gone by now are left out.
        """
        nothing = (None,) * self._columns
        rows = [(*p.key, *(p.other or nothing), *p[2:]) for p in pairs]
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._replace(session, rows)
            except DatabaseError as exc:
                if exc.code != _FOREIGN_KEY_VIOLATION or attempt == _ATTEMPTS:
                    raise
            else:
                return

    async def _replace(self, session: Session, rows: list[tuple[Any, ...]]) -> None:
        async with session.transaction():
            await session.run(
                self._sql(
                    "CREATE TEMPORARY TABLE {staging} ({staged}, rank int, score real,"
                    " mark bigint, other_mark bigint) ON COMMIT DROP"
                )
            )
            copying = self._sql(
                "COPY {staging} ({staged_names}, rank, score, mark, other_mark) FROM STDIN"
            )
            with database_errors():
                async with (
                    session.connection.cursor() as cursor,
                    cursor.copy(copying, ()) as copy,
                ):
                    for row in rows:
                        await copy.write_row(row)
            await session.run(
                self._sql(
                    "DELETE FROM {table} WHERE ({key}) IN (SELECT {staged_key} FROM {staging})"
                )
            )
            await session.run(
                self._sql(
                    "INSERT INTO {table} ({key}, {other}, rank, score, mark, other_mark)"
                    " SELECT {staged_key}, {staged_other}, rank, score, mark, other_mark"
                    " FROM {staging} WHERE rank > 0"
                    " AND ({staged_key}) IN (SELECT {key} FROM {source})"
                    " AND ({staged_other}) IN (SELECT {key} FROM {source})"
                )
            )

    async def _batches(
        self, session: Session, statement: sql.Composed, rows: int
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        async with session.transaction():
            with database_errors():
                cursor = psycopg.AsyncServerCursor(session.connection, "rowvec_similar")
                async with cursor:
                    await cursor.execute(statement, (), binary=True)
                    while found := await cursor.fetchmany(rows):
                        yield found

    def _sql(self, template: str) -> sql.Composed:
        return sql.SQL(template).format(**self._parts)


def _others(definition: Definition) -> list[str]:
    """The columns that hold the other row's key: `other_` before the name, again where taken."""
    names = [column.name for column in definition.key]
    prefix = "other_"
    while any(prefix + name in names for name in names):
        prefix += "other_"
    return [prefix + name for name in names]


def _texts(names: list[sql.Identifier]) -> sql.Composable:
    return comma([sql.SQL("{}::text").format(name) for name in names])


def _from_json(column: str, definition: Definition) -> sql.Composable:
    """The columns of a key in jsonb, each as the text that it is as a value of its own type."""
    if len(definition.key) == 1:
        values: list[sql.Composable] = [sql.SQL("#>> ARRAY[]::text[]")]
    else:
        names = [sql.Literal(part.name.replace("%", "%%")) for part in definition.key]
        values = [sql.SQL("->> {}").format(name) for name in names]
    parts: list[sql.Composable] = [
        sql.SQL("({} {})::{}::text").format(sql.SQL(column), value, expression(part.type))
        for value, part in zip(values, definition.key, strict=True)
    ]
    return comma(parts)


def _numbered(template: str, of: list[Any]) -> sql.Composable:
    return comma([sql.SQL(template.format(i)) for i in range(len(of))])


def _cast(letter: str, types: list[sql.SQL]) -> sql.Composable:
    return comma([sql.SQL(f"{letter}{i}::") + type_ for i, type_ in enumerate(types)])
