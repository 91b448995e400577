"""The table `<source>_similar`: each row's nearest others, and what they were found from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from rowvec.db.compose import comma
from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable, staged, staging
from rowvec.db.owner import AsOwner
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


async def try_lock(session: Session, definition: Definition) -> bool:
    """Whether this session alone stores the similar rows of the embedding, until it ends."""
    return bool(await session.value(query("try_lock_similar"), {"id": definition.id}))


class SimilarRows:
    """Reads and writes the pairs of one definition; every error leaves as a DatabaseError."""

    def __init__(
        self,
        owner: AsOwner,
        definition: Definition,
        vectors: Vectors,
        table: DerivedTable,
        conditions: Mapping[str, sql.SQL],
    ) -> None:
        self.table = table
        self._owner = owner
        self._definition = definition
        self._vectors = vectors
        key = [sql.Identifier(column.name) for column in definition.key]
        other = [sql.Identifier(name) for name in _others(definition)]
        self._columns = len(key)
        self._texts = ", ".join(
            [f"k{n} text" for n in range(len(key))] + [f"o{n} text" for n in range(len(key))]
        )
        types = [column.type for column in definition.key]
        self._staged = {
            **dict(zip((f"k{n}" for n in range(len(key))), types, strict=True)),
            **dict(zip((f"o{n}" for n in range(len(key))), types, strict=True)),
            "rank": "int",
            "score": "real",
            "mark": "bigint",
            "other_mark": "bigint",
        }
        self._parts: dict[str, sql.Composable] = {
            **conditions,
            "table": table.name,
            "source": table.source,
            "key": comma(key),
            "other": comma(other),
            "key_text": _texts(key),
            "other_text": _texts(other),
            "of": sql.Identifier(f"{definition.name}_of"),
            "version": sql.Literal(definition.version),
            "found_key": _from_json("p.key", definition),
            "found_other": _from_json("p.other_key", definition),
            "staged": staged(self._staged),
            "staged_key": comma([sql.Identifier(f"k{n}") for n in range(len(key))]),
            "staged_other": comma([sql.Identifier(f"o{n}") for n in range(len(key))]),
        }

    @classmethod
    async def make(cls, session: Session, definition: Definition) -> SimilarRows:
        """The table, made if it does not exist; 42P07 if a table that is not ours has its name."""
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
        owner = await AsOwner.of(session, definition)
        conditions = {
            name: await owner.key_condition(
                "=", [f"staged.{letter}{n}" for n in range(len(definition.key))]
            )
            for name, letter in (("is_key", "k"), ("is_other", "o"))
        }
        return cls(owner, definition, await Vectors.of(owner, definition), table, conditions)

    async def count(self) -> int:
        """Rows that have a vector."""
        return await self._vectors.count()

    async def embedded(self, *, with_vectors: bool) -> AsyncIterator[EmbeddedRows]:
        """All rows that have a vector, in batches."""
        column = self._vectors.column
        marked = self._sql(
            " JOIN (SELECT {key}, coalesce({of}, 0) OPERATOR(pg_catalog.#) {version} AS rowvec_mark"
            " FROM {source}) AS m USING ({key})"
        )
        selected = sql.SQL("m.rowvec_mark, {}").format(
            column.as_bytes if with_vectors else sql.SQL("NULL::bytea")
        )
        n = self._columns
        pages = self._vectors.pages(selected, "mark bigint, vector bytea", joined=marked)
        async for found in pages:
            vectors = column.matrix([row[-1] for row in found]) if with_vectors else None
            yield EmbeddedRows([row[:n] for row in found], [row[n] for row in found], vectors)

    async def stored(self) -> AsyncIterator[list[StoredPair]]:
        """All pairs, in batches."""
        statement = self._sql(
            "SELECT {key_text}, {other_text}, rank, score, mark, other_mark FROM {table}"
        )
        n = self._columns
        columns = f"{self._texts}, rank int, score real, mark bigint, other_mark bigint"
        async for found in self._owner.batches(columns, statement, _FETCHED_ROWS):
            yield [StoredPair(row[:n], row[n : 2 * n], *row[2 * n :]) for row in found]

    async def nearest(self, keys: list[Key], k: int) -> list[tuple[Key, Key, int, float]]:
        """The nearest others of the rows with these keys, by the index: keys, rank, distance."""
        names = [column.name for column in self._definition.key]
        as_json = [
            key[0] if len(names) == 1 else dict(zip(names, key, strict=True)) for key in keys
        ]
        session = self._owner.session
        (found,) = await session.dicts(
            query("similar_statement"), {"id": self._definition.id, "k": k, "keys": Jsonb(as_json)}
        )
        statement = sql.SQL(
            "SELECT {found_key}, {found_other}, p.rank, p.distance"
            " FROM ({statement}) AS p(key, distance, rank, other_key)"
        ).format(**self._parts, statement=sql.SQL(found["statement"]))
        async with session.transaction():
            await session.run("SELECT rowvec._exchange_settings(%s)", (found["settings"],))
            rows = await self._owner.all(f"{self._texts}, rank int, distance float8", statement)
        n = self._columns
        return [(row[:n], row[n : 2 * n], row[-2], row[-1]) for row in rows]

    async def replace(self, pairs: Iterable[StoredPair]) -> None:
        """Replaces all entries of the rows with these keys by these, in one transaction.

        Pairs with a row that is gone by now are left out.
        """
        nothing = (None,) * self._columns
        rows = [(*p.key, *(p.other or nothing), *p[2:]) for p in pairs]
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._replace(rows)
            except DatabaseError as exc:
                if exc.code != _FOREIGN_KEY_VIOLATION or attempt == _ATTEMPTS:
                    raise
            else:
                return

    async def _replace(self, rows: list[tuple[Any, ...]]) -> None:
        async with self._owner.session.transaction():
            async with staging(self._owner, list(self._staged.values())) as copy:
                for row in rows:
                    await copy.write_row(row)
            await self._owner.run(
                self._sql("DELETE FROM {table} WHERE EXISTS (SELECT FROM {staged} WHERE {is_key})")
            )
            await self._owner.run(
                self._sql(
                    "INSERT INTO {table} ({key}, {other}, rank, score, mark, other_mark)"
                    " SELECT {staged_key}, {staged_other}, rank, score, mark, other_mark"
                    " FROM {staged} WHERE rank > 0"
                    " AND EXISTS (SELECT FROM {source} WHERE {is_key})"
                    " AND EXISTS (SELECT FROM {source} WHERE {is_other})"
                )
            )

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
        values = [sql.SQL("->> {}").format(sql.Literal(part.name)) for part in definition.key]
    parts = [
        sql.SQL("({} {})::{}::text").format(sql.SQL(column), value, sql.SQL(part.type))
        for value, part in zip(values, definition.key, strict=True)
    ]
    return comma(parts)
