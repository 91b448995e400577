"""The rows of clusters with their texts: the most central ones, and a sample of each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from psycopg import sql

from rowvec.db.compose import comma
from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable
from rowvec.db.owner import AsOwner
from rowvec.db.queries import query

_FETCHED_ROWS = 500


@dataclass(frozen=True)
class CentralRow:
    """A row near the centroid of its cluster; `key` as JSON has it, `distance` is the cosine's."""

    cluster: int
    key: object
    distance: float
    text: str


class ClusterRows:
    """Reads `<source>_cluster` together with the source's texts, as the owner of the source."""

    def __init__(self, reader: AsOwner, definition: Definition, clusters: DerivedTable) -> None:
        self._reader = reader
        self._id = definition.id
        columns = comma([sql.Identifier(name) for name in clusters.key])
        self._parts = {
            "clusters": clusters.name,
            "key": columns,
            "key_json": sql.SQL(definition.key_json),
            # From the source alone: a column of it may be called as one of ours.
            "texts": sql.SQL('(SELECT {}, ({})::text AS "rowvec text" FROM {}) AS s').format(
                columns, sql.SQL(definition.input), clusters.source
            ),
        }

    async def central(self, rows: int, characters: int) -> list[CentralRow]:
        """So many rows of each cluster, the nearest to its centroid first, their texts cut."""
        found = await self._reader.all(
            "cluster int, key jsonb, distance real, text text",
            self._sql(
                "SELECT q.cluster, {key_json} AS key, q.distance,"
                " coalesce(left(\"rowvec text\", {characters}), '') AS text"
                " FROM {texts} JOIN ("
                "  SELECT c.*, row_number() OVER ("
                "   PARTITION BY c.cluster ORDER BY c.distance, {key}) AS nth"
                "  FROM {clusters} AS c) AS q USING ({key})"
                " WHERE q.nth <= {rows} ORDER BY q.cluster, q.nth",
                rows=rows,
                characters=characters,
            ),
        )
        return [CentralRow(*row) for row in found]

    async def sample(self, rows: int, characters: int) -> AsyncIterator[tuple[int, str]]:
        """Cluster and text of some rows of each cluster: random ones, the same each time."""
        statement = self._sql(
            'SELECT q.cluster, left("rowvec text", {characters}) FROM {texts} JOIN ('
            "  SELECT c.*, row_number() OVER ("
            "   PARTITION BY c.cluster ORDER BY hashtextextended(row({key})::text, 0)) AS nth"
            "  FROM {clusters} AS c) AS q USING ({key})"
            ' WHERE q.nth <= {rows} AND "rowvec text" IS NOT NULL',
            rows=rows,
            characters=characters,
        )
        batches = self._reader.batches("cluster int, text text", statement, _FETCHED_ROWS)
        async for found in batches:
            for cluster, text in found:
                yield cluster, text

    async def stop_words(self, words: list[str]) -> set[str]:
        """Those of the words that say nothing in the language of the embedding's text search."""
        found = await self._reader.session.all(
            query("stop_words"), {"id": self._id, "words": words}
        )
        return {word for (word,) in found}

    def _sql(self, template: str, **numbers: int) -> sql.Composed:
        literals = {name: sql.Literal(number) for name, number in numbers.items()}
        return sql.SQL(template).format(**self._parts, **literals)
