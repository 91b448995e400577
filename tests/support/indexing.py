"""A table whose vectors are there, and the jobs on its index, run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from rowvec.config import Settings
from rowvec.db.index_form import Setting
from rowvec.db.measured import Measured
from rowvec.index.build import build_index
from rowvec.index.kinds import KINDS
from rowvec.index.request import IndexRequest, IndexResult
from rowvec.index.tune import TuneRequest, TuneResult, tune
from rowvec.search.explain import Explained, ExplainRequest, explain_search
from support.postgres import Database


@dataclass
class Work:
    """One database; `said` is what the last job told its reporter."""

    dsn: str
    connection: psycopg.Connection
    said: list[str] = field(default_factory=list)

    def build(self, source: str, **request: Any) -> IndexResult:
        """`rowvec index`."""
        self.said.clear()
        return asyncio.run(build_index(self._settings, IndexRequest(source, **request), self))

    def tune(self, source: str, **request: Any) -> TuneResult:
        """`rowvec tune`."""
        self.said.clear()
        return asyncio.run(tune(self._settings, TuneRequest(source, **request), self))

    def explain(self, source: str, query: str = "a query", **request: Any) -> Explained:
        """`rowvec explain`."""
        return asyncio.run(explain_search(self._settings, ExplainRequest(source, query, **request)))

    def items(self, rows: int, dimensions: int = 8) -> None:
        """A table `items` of vectors in a few hundred clusters, like those of texts."""
        self.connection.execute(
            f"CREATE TABLE items (id int PRIMARY KEY, body text, embedding vector({dimensions}),"
            " embedding_of bigint)"
        )
        self.connection.execute("SELECT setseed(0.5)")
        self.connection.execute(
            "INSERT INTO items SELECT i, body, vector, hashtextextended(body, 0) FROM ("
            "SELECT i, 'text ' || i AS body, (SELECT array_agg("
            "sin((i %% 300) * 12.9898 + d * 78.233) + 0.1 * random())"
            " FROM generate_series(1, %s) AS d)::vector AS vector"
            " FROM generate_series(1, %s) AS i) AS made",
            (dimensions, rows),
        )
        self.connection.execute(
            "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
            " VALUES ('items', 'embedding', 'stand-in-small', 'body', %s)",
            (dimensions,),
        )
        self.connection.execute("ANALYZE items")

    def scatter(self) -> None:
        """Makes the vectors of `items` random: many lists have to be read to find neighbours."""
        self.connection.execute(
            "UPDATE items SET embedding = (SELECT array_agg(random() - 0.5)"
            " FROM generate_series(1, vector_dims(embedding)))::vector"
        )
        self.connection.execute("VACUUM ANALYZE items")

    def stored(self) -> dict[str, Any]:
        """What `search` reads."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute("SELECT * FROM rowvec.embedding").fetchone()
        assert found is not None
        return found

    def indexes(self) -> dict[str, str]:
        """Every valid index over vectors, by name: its operator class and definition."""
        found = self.connection.execute(
            "SELECT indexrelid::regclass::text, opcname || ' ' || pg_get_indexdef(indexrelid)"
            " FROM pg_index AS i JOIN pg_opclass AS o ON o.oid = i.indclass[0]"
            " JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam"
            " WHERE a.amname = ANY(%s) AND i.indisvalid",
            (list(KINDS),),
        ).fetchall()
        return dict(found)

    def plan_of(self, order: str) -> str:
        """The plan of ten items in that order, at the planner's own settings."""
        lines = self.connection.execute(
            f"EXPLAIN (COSTS OFF) SELECT id FROM items ORDER BY {order} LIMIT 10", ([1.0] * 8,)
        ).fetchall()
        return "\n".join(line for (line,) in lines)

    # What a reporter is told.

    def phase(self, name: str, done: int, total: int) -> None:
        """Nothing to keep."""

    def measured(self, one: Measured) -> None:
        """Nothing to keep."""

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        self.said.append(message)

    @property
    def _settings(self) -> Settings:
        return Settings.build(dsn=self.dsn)


def setting_of(measured: Measured | None) -> Setting:
    """What was measured with."""
    assert measured is not None
    assert measured.setting is not None
    return measured.setting


def value_of(measured: Measured | None) -> int:
    """The value of the index's parameter that was measured with."""
    value = setting_of(measured).value
    assert value is not None
    return value


@pytest.fixture
def work(database: Database) -> Iterator[Work]:
    with database.connect() as connection:
        yield Work(database.dsn, connection)
