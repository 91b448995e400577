"""Nearest neighbours by plain SQL, from the index with a setting or exactly, to be measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from rowvec.db.definition import Definition
from rowvec.db.index_form import IndexForm, Setting
from rowvec.db.session import Session
from rowvec.db.vector_table import VectorTable

# Sampled whole pages are enough beyond this; below it every row is a candidate.
_ROWS_OF_FULL_SAMPLE = 100_000


@dataclass(frozen=True)
class Query:
    """A vector to find neighbours of; `place` is the row that it was taken from, if it was."""

    vector: NDArray[np.float32]
    place: tuple[int, str] | None = None


class NearestRows:
    """Asks one session. A row that a query was taken from is never its own neighbour."""

    def __init__(self, session: Session, table: VectorTable, form: IndexForm) -> None:
        self._session = session
        self._table = table
        self._form = form
        # A prepared statement would keep the plan of the setting that it was first run with.
        session.connection.prepare_threshold = None

    async def query(self, definition: Definition, text: str) -> Query:
        """A text as `search` embeds it."""
        vector = await self._session.value(
            "SELECT rowvec._embed_query(e, %s) FROM rowvec.embedding AS e WHERE e.id = %s",
            (text, definition.id),
        )
        return Query(np.asarray(vector.to_numpy()))

    async def beside(self, rows: list[Query], setting: Setting) -> list[Query]:
        """A vector beside each row, as far from it as the nearest other row that is found."""
        await self.use_index(setting)
        directions = np.random.default_rng(0)
        by_angle = self._form.metric != "l2"
        return [
            Query(
                beside(row.vector, await self._nearest(row, setting), directions, by_angle=by_angle)
            )
            for row in rows
        ]

    async def _nearest(self, row: Query, setting: Setting) -> NDArray[np.float32]:
        """The vector of the nearest other row; the row's own where there is no other."""
        statement = self._sql(
            "SELECT v FROM (SELECT {column} AS v, {exact} AS distance FROM {table} WHERE {apart}"
            " ORDER BY {nearness} LIMIT %(candidates)s) AS c ORDER BY distance LIMIT 1",
            apart=_apart(row),
        )
        parameters = {"vector": row.vector, "candidates": setting.value}
        found = await self._session.all(statement, parameters)
        vector: NDArray[np.float32] = found[0][0].to_numpy() if found else row.vector
        return vector

    async def rows(self, rows: int, of: int) -> list[Query]:
        """Rows at random; `of` is how many have a vector."""
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
        for name, value in self._form.parameters(setting).items():
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


def beside(
    row: NDArray[np.float32],
    nearest: NDArray[np.float32],
    directions: np.random.Generator,
    *,
    by_angle: bool,
) -> NDArray[np.float32]:
    """A vector as far from `row` as `nearest` is, in a direction at random.

    With `by_angle` at the same angle and of the row's length, else at the same Euclidean distance.
    """
    direction = directions.standard_normal(len(row))
    length = np.linalg.norm(row)
    if not by_angle or not length or not np.linalg.norm(nearest):
        step = direction * np.linalg.norm(nearest - row) / np.linalg.norm(direction)
        return np.asarray(row + step, np.float32)
    along = row / length
    across = direction - (direction @ along) * along
    across /= np.linalg.norm(across) or 1.0
    cosine = min(1.0, float(along @ nearest / np.linalg.norm(nearest)))
    turned = cosine * along + np.sqrt(1 - cosine**2) * across
    return np.asarray(length * turned, np.float32)


def _apart(query: Query) -> sql.Composable:
    if query.place is None:
        return sql.SQL("true")
    table, place = query.place
    # Both tell a row: partitions number theirs alike.
    return sql.SQL("NOT (tableoid = {} AND ctid = {}::tid)").format(
        sql.Literal(table), sql.Literal(place)
    )
