"""The rows of clusters with their texts: the most central ones, and a sample of each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from rowvec.db.compose import comma, expression, identifier
from rowvec.db.connection import database_errors
from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable
from rowvec.db.queries import query
from rowvec.db.session import Session

_FETCHED_ROWS = 500


@dataclass(frozen=True)
class CentralRow:
    """A row near the centroid of its cluster; `key` as JSON has it, `distance` is the cosine's."""

    cluster: int
    key: Any
    distance: float
    text: str


class ClusterRows:
    """Reads `<source>_cluster` together with the source's texts."""

    def __init__(self, definition: Definition, clusters: DerivedTable) -> None:
        self._id = definition.id
        columns = [identifier(name) for name in clusters.key]
        self._parts = {
            "clusters": clusters.name,
            "key": comma(list(columns)),
            "key_text": sql.SQL("row({})::text").format(comma(list(columns))),
            "key_json": expression(definition.key_json),
            # From the source alone: a column of it may be called as one of ours.
            "texts": sql.SQL('(SELECT {}, ({})::text AS "rowvec text" FROM {}) AS s').format(
                comma(list(columns)), expression(definition.input), clusters.source
            ),
        }

    async def central(self, session: Session, rows: int, characters: int) -> list[CentralRow]:
        """So many rows of each cluster, the nearest to its centroid first, their texts cut."""
        found = await session.dicts(
            self._sql(
                "SELECT q.cluster, {key_json} AS key, q.distance,"
                " coalesce(left(\"rowvec text\", %(characters)s), '') AS text"
                " FROM {texts} JOIN ("
                "  SELECT c.*, row_number() OVER ("
                "   PARTITION BY c.cluster ORDER BY c.distance, {key}) AS nth"
                "  FROM {clusters} AS c) AS q USING ({key})"
                " WHERE q.nth <= %(rows)s ORDER BY q.cluster, q.nth"
            ),
            {"rows": rows, "characters": characters},
        )
        return [CentralRow(**row) for row in found]

    async def sample(
        self, session: Session, rows: int, characters: int
    ) -> AsyncIterator[tuple[int, str]]:
        """Cluster and text of so many rows of each cluster: random ones, the same each time."""
        statement = self._sql(
            'SELECT q.cluster, left("rowvec text", %(characters)s) FROM {texts} JOIN ('
            "  SELECT c.*, row_number() OVER ("
            "   PARTITION BY c.cluster ORDER BY hashtextextended({key_text}, 0)) AS nth"
            "  FROM {clusters} AS c) AS q USING ({key})"
            ' WHERE q.nth <= %(rows)s AND "rowvec text" IS NOT NULL'
        )
        async with session.transaction():
            with database_errors():
                cursor = psycopg.AsyncServerCursor(session.connection, "rowvec_sample")
                async with cursor:
                    await cursor.execute(statement, {"rows": rows, "characters": characters})
                    while found := await cursor.fetchmany(_FETCHED_ROWS):
                        for cluster, text in found:
                            yield cluster, text

    async def stop_words(self, session: Session, words: list[str]) -> set[str]:
        """Those of the words that say nothing in the language of the embedding's text search."""
        found = await session.all(query("stop_words"), {"id": self._id, "words": words})
        return {word for (word,) in found}

    def _sql(self, template: str) -> sql.Composed:
        return sql.SQL(template).format(**self._parts)
