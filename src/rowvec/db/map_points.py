"""The points of a map as they are shown: place, key, text and what colours them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from rowvec.db.compose import comma, expression, identifier
from rowvec.db.connection import database_errors
from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable
from rowvec.db.session import Session
from rowvec.db.vectors import Vectors

_FETCHED_ROWS = 1_000


@dataclass(frozen=True)
class PointRow:
    """One row of the map. `colors` in the order in which they were asked for."""

    x: float
    y: float
    key: Any
    text: str
    vector: bytes
    colors: tuple[Any, ...]


class MapPoints:
    """Reads `<source>_map` together with the source, and with its clusters where there are any.

    `columns` are names of columns of the source.
    """

    def __init__(
        self,
        definition: Definition,
        vectors: Vectors,
        points: DerivedTable,
        columns: Sequence[str],
        clusters: tuple[DerivedTable, DerivedTable] | None,
    ) -> None:
        key: list[sql.Composable] = [identifier(name) for name in points.key]
        colors: list[sql.Composable] = [
            identifier("rows", f"color {i}") for i in range(len(columns))
        ]
        joined: sql.Composable = sql.SQL("")
        if clusters is not None:
            colors.append(identifier("labels", "rowvec label"))
            joined = sql.SQL(
                " LEFT JOIN (SELECT {key}, e.cluster || ' ' || e.name AS \"rowvec label\""
                " FROM {clusters} AS c JOIN {centroids} AS e ON e.cluster = c.cluster) AS labels"
                " USING ({names})"
            ).format(
                key=comma([identifier("c", name) for name in points.key]),
                clusters=clusters[0].name,
                centroids=clusters[1].name,
                names=comma(key),
            )
        read: list[sql.Composable] = [
            sql.SQL("{} AS {}").format(identifier(name), identifier(f"color {i}"))
            for i, name in enumerate(columns)
        ]
        self._parts = {
            "key": comma(key),
            "points": points.name,
            "colors": sql.SQL("ARRAY[{}]::text[]").format(
                comma([sql.SQL("({})::text").format(color) for color in colors])
            ),
            "joined": joined,
            # From the source alone: a column of it may be called as one of ours.
            "rows": sql.SQL('(SELECT {}, ({})::text AS "rowvec text" FROM {}) AS rows').format(
                comma([*key, *read]) if read else comma(key),
                expression(definition.input),
                points.source,
            ),
            "vectors": sql.SQL('(SELECT {}, {} AS "rowvec vector" FROM {}) AS vectors').format(
                comma(key), vectors.as_bytes, vectors.relation
            ),
        }

    async def read(
        self, session: Session, limit: int, characters: int
    ) -> AsyncIterator[list[PointRow]]:
        """Rows in batches, at most a number: if there are more, random ones, the same each time."""
        statement = sql.SQL(
            'SELECT p.x, p.y, to_jsonb(k.*), left("rowvec text", %(characters)s), "rowvec vector",'
            " {colors}"
            " FROM (SELECT * FROM {points} AS q"
            "  ORDER BY hashtextextended(row(q.*)::text, 0) LIMIT %(limit)s) AS p"
            " JOIN {rows} USING ({key}) JOIN {vectors} USING ({key}){joined}"
            " CROSS JOIN LATERAL (SELECT {key}) AS k"
        ).format(**self._parts)
        async with session.transaction():
            with database_errors():
                cursor = psycopg.AsyncServerCursor(session.connection, "rowvec_points")
                async with cursor:
                    await cursor.execute(
                        statement, {"limit": limit, "characters": characters}, binary=True
                    )
                    while found := await cursor.fetchmany(_FETCHED_ROWS):
                        yield [
                            PointRow(x, y, _bare(key), text or "", vector, tuple(colors))
                            for x, y, key, text, vector, colors in found
                        ]


def _bare(key: dict[str, Any]) -> Any:
    """The key as SQL functions give it: the bare value of one column, an object of several."""
    return next(iter(key.values())) if len(key) == 1 else key
