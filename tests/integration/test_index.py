"""The index job: built, measured, stored, used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from rowvec.config import Settings
from rowvec.errors import DatabaseError, InvalidRequest, NotSupported
from rowvec.search.build import IndexRequest, IndexResult, build_index
from rowvec.search.recall import Measured

BuildIndex = Callable[..., IndexResult]


@dataclass
class Said:
    """A reporter that keeps what it is told."""

    sentences: list[str] = field(default_factory=list)
    settings: list[int | None] = field(default_factory=list)

    def phase(self, name: str, done: int, total: int) -> None:
        """Nothing to keep."""

    def measured(self, one: Measured) -> None:
        self.settings.append(one.probes)

    def say(self, message: str) -> None:
        self.sentences.append(message)


@pytest.fixture
def build(database: Any) -> BuildIndex:
    """Runs the job in this process."""

    def run(source: str, reporter: Said | None = None, **request: Any) -> IndexResult:
        settings = Settings.build(dsn=database.dsn)
        return asyncio.run(
            build_index(settings, IndexRequest(source, **request), reporter or Said())
        )

    return run


@pytest.fixture
def connection(database: Any) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def items(connection: psycopg.Connection, rows: int, dimensions: int = 8) -> None:
    """A table whose vectors are there already, in a few hundred clusters like those of texts."""
    connection.execute(
        f"CREATE TABLE items (id int PRIMARY KEY, body text, embedding vector({dimensions}),"
        " embedding_of bigint)"
    )
    connection.execute("SELECT setseed(0.5)")
    connection.execute(
        "INSERT INTO items SELECT i, 'text ' || i, (SELECT array_agg("
        " sin((i % 300) * 12.9898 + d * 78.233) + 0.1 * random()) FROM generate_series(1, %s) AS d)"
        "::vector FROM generate_series(1, %s) AS i".replace("i % 300", "i %% 300"),
        (dimensions, rows),
    )
    connection.execute(
        "INSERT INTO rowvec.embedding (source, name, model, input, dimensions)"
        " VALUES ('items', 'embedding', 'stand-in-small', 'body', %s)",
        (dimensions,),
    )


def stored(connection: psycopg.Connection) -> tuple[Any, ...] | None:
    return connection.execute(
        "SELECT index_name, index_kind, index_lists, probes FROM rowvec.embedding"
    ).fetchone()


def test_builds_measures_and_stores(connection: psycopg.Connection, build: BuildIndex) -> None:
    items(connection, 3000)
    result = build("items")
    assert (result.rows, result.lists, result.was_built) == (3000, 55, True)
    assert result.recall >= result.target_recall == 0.95
    assert result.measured[0].probes is None
    # The first setting that is good enough ends the measurement.
    assert all(m.recall < 0.95 for m in result.measured[1:-1])
    assert result.measured[-1].probes == result.probes
    assert stored(connection) == ("items_embedding_idx", "ivfflat", 55, result.probes)
    options = connection.execute(
        "SELECT reloptions FROM pg_class WHERE relname = 'items_embedding_idx'"
    ).fetchone()
    assert options == (["lists=55"],)


def test_few_rows_still_get_ten_lists(connection: psycopg.Connection, build: BuildIndex) -> None:
    items(connection, 20)
    assert build("items").lists == 10


def test_an_index_that_stands_is_only_measured_again(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 500)
    build("items")
    node = "SELECT relfilenode FROM pg_class WHERE relname = 'items_embedding_idx'"
    before = connection.execute(node).fetchone()
    reporter = Said()
    again = build("items", reporter, target_recall=1.0)
    assert not again.was_built
    assert again.recall == 1.0
    assert connection.execute(node).fetchone() == before
    rebuilt = build("items", reporter, rebuild=True, lists=30)
    assert (rebuilt.was_built, rebuilt.lists) == (True, 30)
    assert connection.execute(node).fetchone() != before
    assert reporter.sentences == ["items_embedding_idx is dropped and built anew"]


def test_an_invalid_leftover_is_reported_dropped_and_built_anew(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 100)
    build("items")
    invalid = "indexrelid = 'items_embedding_idx'::regclass"
    connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE {invalid}")
    reporter = Said()
    assert build("items", reporter).was_built
    assert "INVALID" in reporter.sentences[0]
    state = connection.execute(f"SELECT indisvalid FROM pg_index WHERE {invalid}").fetchone()
    assert state == (True,)


def test_target_recall_is_the_databases_own(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 500)
    connection.execute("UPDATE rowvec.setting SET value = '1.0' WHERE name = 'target_recall'")
    assert build("items").recall == 1.0


def test_equal_vectors_are_equally_good_neighbours(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    """Fifty rows of one text: which ten of them are found says nothing about the index."""
    items(connection, 200)
    connection.execute(
        "UPDATE items SET embedding = array_fill(1, ARRAY[8])::vector WHERE id <= 100"
    )
    connection.execute("DELETE FROM items WHERE id > 100")
    result = build("items")
    assert (result.probes, result.recall) == (1, 1.0)


def test_nothing_to_index(connection: psycopg.Connection, build: BuildIndex) -> None:
    items(connection, 0)
    with pytest.raises(InvalidRequest, match="no row of items has a vector"):
        build("items")


def test_too_many_dimensions(connection: psycopg.Connection, build: BuildIndex) -> None:
    items(connection, 3, dimensions=2001)
    with pytest.raises(NotSupported, match=r"2,000 dimensions, items\.embedding has 2,001"):
        build("items")


def test_partitioned_source_is_refused(connection: psycopg.Connection, build: BuildIndex) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text) PARTITION BY HASH (id)")
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    with pytest.raises(NotSupported, match="t is partitioned"):
        build("t")


def test_another_kind_of_index_is_not_touched(
    connection: psycopg.Connection, build: BuildIndex
) -> None:
    items(connection, 100)
    connection.execute(
        "CREATE INDEX items_embedding_idx ON items USING hnsw (embedding vector_cosine_ops)"
    )
    with pytest.raises(NotSupported, match="of the kind hnsw"):
        build("items")


def test_missing_table(build: BuildIndex) -> None:
    with pytest.raises(DatabaseError, match='relation "nothing" does not exist'):
        build("nothing")
