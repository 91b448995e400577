"""The points of a map as they are shown: place, key, text and what colours them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from rowvec.db.compose import comma
from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable
from rowvec.db.owner import Reader
from rowvec.db.vectors import VectorColumn

_FETCHED_ROWS = 1_000


@dataclass(frozen=True)
class PointRow:
    """One row of the map. `colors` in the order in which they were asked for."""

    x: float
    y: float
    key: object
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
        vectors: VectorColumn,
        points: DerivedTable,
        columns: Sequence[str],
        clusters: tuple[DerivedTable, DerivedTable] | None,
    ) -> None:
        key = [sql.Identifier(name) for name in points.key]
        colors = [sql.Identifier("rows", f"color {i}") for i in range(len(columns))]
        joined: sql.Composable = sql.SQL("")
        if clusters is not None:
            colors.append(sql.Identifier("labels", "rowvec label"))
            joined = sql.SQL(
                " LEFT JOIN (SELECT {key}, e.cluster || ' ' || e.name AS \"rowvec label\""
                " FROM {clusters} AS c JOIN {centroids} AS e ON e.cluster = c.cluster) AS labels"
                " USING ({names})"
            ).format(
                key=comma([sql.Identifier("c", name) for name in points.key]),
                clusters=clusters[0].name,
                centroids=clusters[1].name,
                names=comma(key),
            )
        read: list[sql.Composable] = [
            sql.SQL("{} AS {}").format(sql.Identifier(name), sql.Identifier(f"color {i}"))
            for i, name in enumerate(columns)
        ]
        self._parts = {
            "key": comma(key),
            "key_json": sql.SQL(definition.key_json),
            "points": points.name,
            "colors": sql.SQL("ARRAY[{}]::text[]").format(
                comma([sql.SQL("({})::text").format(color) for color in colors])
            ),
            "joined": joined,
            # From the source alone: a column of it may be called as one of ours.
            "rows": sql.SQL('(SELECT {}, ({})::text AS "rowvec text" FROM {}) AS rows').format(
                comma([*key, *read]), sql.SQL(definition.input), points.source
            ),
            "vectors": sql.SQL('(SELECT {}, {} AS "rowvec vector" FROM {} AS v) AS vectors').format(
                comma(key), vectors.as_bytes, vectors.relation
            ),
        }

    async def read(
        self, reader: Reader, limit: int, characters: int
    ) -> AsyncIterator[list[PointRow]]:
        """Rows in batches, at most a number: if there are more, random ones, the same each time."""
        statement = sql.SQL(
            'SELECT p.x, p.y, {key_json}, left("rowvec text", {characters}), "rowvec vector",'
            " {colors}"
            " FROM (SELECT * FROM {points} AS q"
            "  ORDER BY hashtextextended(row(q.*)::text, 0) LIMIT {limit}) AS p"
            " JOIN {rows} USING ({key}) JOIN {vectors} USING ({key}){joined}"
        ).format(**self._parts, limit=sql.Literal(limit), characters=sql.Literal(characters))
        columns = "x real, y real, key jsonb, text text, vector bytea, colors text[]"
        async for found in reader.batches(columns, statement, _FETCHED_ROWS):
            yield [
                PointRow(x, y, key, text or "", vector, tuple(colors))
                for x, y, key, text, vector, colors in found
            ]
