"""Nearest neighbours by plain SQL, from the index with a setting or exactly, to be measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from rowvec.db.index_form import IndexForm, Setting
from rowvec.db.session import Session
from rowvec.db.vector_table import VectorTable

# Sampled whole pages are enough beyond this; below it every row is a candidate.
_ROWS_OF_FULL_SAMPLE = 100_000
# Measured on sentence vectors, against rows that were left out of the index.
_SHARE = 0.3


@dataclass(frozen=True)
class Query:
    """A vector to find neighbours of; `place` is the row that it was taken from, if it was."""

    vector: NDArray[np.float32]
    place: tuple[int, str] | None = None


class Neighbours:
    """Asks one session. A row that a query was taken from is never its own neighbour."""

    def __init__(self, session: Session, table: VectorTable, form: IndexForm) -> None:
        self._session = session
        self._table = table
        self._form = form
        # A prepared statement would keep the plan of the setting that it was first run with.
        session.connection.prepare_threshold = None

    async def sample(self, queries: int, of: int) -> list[Query]:
        """Queries made from rows at random; `of` is how many vectors there are.

        For ivfflat the rows themselves: each is in a list like any other. A graph is another
        matter: a row was linked to its neighbours when it was added, and finds them where a new
        text does not. For hnsw a query is therefore a row with a share of another, so much of it
        that it was as hard to find neighbours for as texts that the index had not seen
        (docs/architecture.md).
        """
        if self._form.kind == "ivfflat":
            return await self._rows(queries, of)
        rows = await self._rows(2 * queries, of)
        half = (len(rows) + 1) // 2
        # Of a single row both halves are that row.
        return [
            Query((one.vector + _SHARE * (other.vector - one.vector)).astype(np.float32))
            for one, other in zip(rows[:half], rows[half:] or rows, strict=False)
        ]

    async def _rows(self, rows: int, of: int) -> list[Query]:
        # Four times what is needed: pages hold rows without vectors too.
        share = 100.0 if of <= _ROWS_OF_FULL_SAMPLE else min(100.0, 400.0 * rows / of)
        found = await self._session.all(
            self._sql(
                "SELECT tableoid, ctid::text, {column} FROM {table} TABLESAMPLE SYSTEM (%s)"
                " WHERE {column} IS NOT NULL ORDER BY random() LIMIT %s"
            ),
            (share, rows),
        )
        return [Query(vector.to_numpy(), (oid, place)) for oid, place, vector in found]

    async def use_index(self, setting: Setting) -> None:
        """Neighbours come from the index from now on, with this setting."""
        await self._session.run(
            "SELECT set_config('enable_seqscan', 'off', false),"
            " set_config('enable_sort', 'off', false),"
            " set_config('enable_indexscan', 'on', false)"
        )
        for name, value in settings_of(setting).items():
            await self._session.run("SELECT set_config(%s, %s, false)", (name, value))

    async def use_no_index(self) -> None:
        """Neighbours are exact from now on."""
        await self._session.run(
            "SELECT set_config('enable_seqscan', 'on', false),"
            " set_config('enable_sort', 'on', false),"
            " set_config('enable_indexscan', 'off', false),"
            " set_config('enable_bitmapscan', 'off', false)"
        )

    async def exact(self, query: Query, k: int) -> NDArray[np.float64]:
        """Distances of the k nearest, nearest first."""
        statement = self._sql(
            "SELECT {exact} FROM {table} WHERE {apart} ORDER BY {exact} LIMIT %(k)s",
            apart=_apart(query),
        )
        return await self._distances(statement, query, {"k": k})

    async def found(self, query: Query, k: int, setting: Setting) -> NDArray[np.float64]:
        """Distances of the k that the index finds; what it cannot tell apart is ranked again."""
        if setting.rescore is None:
            statement = self._sql(
                "SELECT {exact} FROM {table} WHERE {apart} ORDER BY {nearness} LIMIT %(k)s",
                apart=_apart(query),
            )
        else:
            statement = self._sql(
                "SELECT distance FROM (SELECT {exact} AS distance FROM {table} WHERE {apart}"
                " ORDER BY {nearness} LIMIT %(candidates)s) AS c ORDER BY distance LIMIT %(k)s",
                apart=_apart(query),
            )
        candidates = max(k, setting.rescore or 0)
        return await self._distances(statement, query, {"k": k, "candidates": candidates})

    async def _distances(
        self, statement: sql.Composed, query: Query, parameters: dict[str, object]
    ) -> NDArray[np.float64]:
        found = await self._session.all(statement, {"vector": query.vector, **parameters})
        return np.array([distance for (distance,) in found], np.float64)

    def _sql(self, template: str, **more: sql.Composable) -> sql.Composed:
        vector = sql.SQL("%(vector)s")
        return sql.SQL(template).format(
            table=self._table.name,
            column=sql.Identifier(self._table.column.replace("%", "%%")),
            exact=self._form.exact(vector),
            nearness=self._form.nearness(vector),
            **more,
        )


def settings_of(setting: Setting) -> dict[str, str]:
    """Pgvector's parameters for a setting."""
    given = {"ivfflat.probes": setting.probes, "hnsw.ef_search": setting.ef_search}
    return {name: str(value) for name, value in given.items() if value is not None}


def _apart(query: Query) -> sql.Composable:
    if query.place is None:
        return sql.SQL("true")
    table, place = query.place
    # Both tell a row: partitions number theirs alike.
    return sql.SQL("NOT (tableoid = {} AND ctid = {}::tid)").format(
        sql.Literal(table), sql.Literal(place)
    )
