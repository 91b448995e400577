"""The similarities job: equal to exact neighbours, committed as it goes, refreshed where needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from rowvec.config import Settings
from rowvec.errors import DatabaseError, InvalidRequest
from rowvec.search.similarities import SimilaritiesRequest, SimilaritiesResult, similarities
from support.commands import Rowvec
from support.indexes import stored
from support.postgres import Database

Store = Callable[..., SimilaritiesResult]

EXACT = """
    SELECT a.id, b.id, b.rank FROM items AS a CROSS JOIN LATERAL (
        SELECT o.id, row_number() OVER (ORDER BY o.embedding <=> a.embedding) AS rank
        FROM items AS o WHERE o.id <> a.id AND o.embedding IS NOT NULL
        ORDER BY o.embedding <=> a.embedding LIMIT {k}) AS b
    WHERE a.embedding IS NOT NULL ORDER BY a.id, b.rank
"""
STORED = "SELECT id, other_id, rank FROM items_similar ORDER BY id, rank"


class Quiet:
    """A progress that keeps the phases it heard of."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int, int]] = []

    def phase(self, name: str, done: int, total: int) -> None:
        self.phases.append((name, done, total))

    def say(self, message: str) -> None:
        """Nothing to keep."""


class Killed(BaseException):
    """What a test raises where a process would be killed."""


class Deadly(Quiet):
    """A progress that dies once a batch was committed."""

    def phase(self, name: str, done: int, total: int) -> None:
        super().phase(name, done, total)
        if name == "comparing rows":
            raise Killed


@pytest.fixture
def store(database: Database) -> Store:
    def run(source: str = "items", progress: Any = None, **request: Any) -> SimilaritiesResult:
        return asyncio.run(
            similarities(
                Settings.build(dsn=database.dsn),
                SimilaritiesRequest(source, **request),
                progress or Quiet(),
            )
        )

    return run


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """600 items with vectors of 8 dimensions, as the stand-in makes them."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE items (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1,600) g")
        connection.execute("SELECT rowvec.create_embedding('items', 'stand-in-small', 'body')")
        connection.execute("CALL rowvec.backfill('items')")
        yield connection


def is_exact(conn: psycopg.Connection, k: int = 10) -> bool:
    return conn.execute(STORED).fetchall() == conn.execute(EXACT.format(k=k)).fetchall()


def test_equal_to_exact_neighbours(conn: psycopg.Connection, store: Store) -> None:
    result = store()
    assert (result.rows, result.changed, result.compared, result.entered) == (600, 600, 600, 0)
    assert result.table == "items_similar"
    assert is_exact(conn)
    off = conn.execute(
        "SELECT max(abs(s.score - rowvec.cosine_similarity(a.embedding, b.embedding)))"
        " FROM items_similar s JOIN items a USING (id) JOIN items b ON b.id = s.other_id"
    ).fetchone()
    assert off is not None
    assert off[0] < 1e-5


def test_a_second_run_has_nothing_to_do(conn: psycopg.Connection, store: Store) -> None:
    store()
    before = conn.execute("SELECT id, rank, xmin FROM items_similar ORDER BY 1, 2").fetchall()
    assert store().compared == 0
    after = conn.execute("SELECT id, rank, xmin FROM items_similar ORDER BY 1, 2").fetchall()
    assert before == after


def test_refreshed_where_something_changed(conn: psycopg.Connection, store: Store) -> None:
    """Changed, new and deleted rows, and what they mean for the lists of all others."""
    store()
    untouched = conn.execute("SELECT id, xmin FROM items_similar WHERE rank = 1").fetchall()
    conn.execute("UPDATE items SET body = 'changed ' || id WHERE id <= 3")
    conn.execute("INSERT INTO items SELECT g, 'new ' || g FROM generate_series(601, 603) AS g")
    conn.execute("DELETE FROM items WHERE id IN (100, 200)")
    conn.execute("CALL rowvec.backfill('items')")
    result = store()
    assert result.changed == 6
    assert 6 < result.compared < 150
    assert result.entered > 0
    assert is_exact(conn)
    after = conn.execute("SELECT id, xmin FROM items_similar WHERE rank = 1").fetchall()
    assert len(set(untouched) & set(after)) > 400


def test_killed_and_gone_on_with(
    conn: psycopg.Connection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowvec.search.neighbours._MAX_BLOCK_ROWS", 100)
    with pytest.raises(Killed):
        store(progress=Deadly())
    assert conn.execute("SELECT count(DISTINCT id) FROM items_similar").fetchone() == (100,)
    progress = Quiet()
    assert store(progress=progress).compared == 500
    assert [done for name, done, _ in progress.phases if name == "comparing rows"] == [
        100, 200, 300, 400, 500,
    ]  # fmt: skip
    assert is_exact(conn)
    conn.execute("UPDATE items SET body = 'changed ' || id WHERE id % 3 = 0")
    conn.execute("CALL rowvec.backfill('items')")
    with pytest.raises(Killed):
        store(progress=Deadly())
    store()
    assert is_exact(conn)


@pytest.mark.parametrize("k", [3, 20])
def test_another_k(conn: psycopg.Connection, store: Store, k: int) -> None:
    store()
    assert store(k=k).compared == 600
    assert is_exact(conn, k)


def test_fewer_rows_than_k(conn: psycopg.Connection, store: Store) -> None:
    conn.execute("DELETE FROM items WHERE id > 3")
    store()
    assert conn.execute("SELECT count(*) FROM items_similar").fetchone() == (6,)
    conn.execute("DELETE FROM items WHERE id > 1")
    assert store().compared == 1
    assert conn.execute("SELECT count(*) FROM items_similar").fetchone() == (0,)


def test_rows_without_a_vector_are_left_out(conn: psycopg.Connection, store: Store) -> None:
    conn.execute("UPDATE items SET body = NULL WHERE id <= 50")
    conn.execute("CALL rowvec.backfill('items')")
    assert store().rows == 550
    assert is_exact(conn)


@pytest.mark.parametrize("metric", ["inner_product", "l2"])
def test_other_metrics(conn: psycopg.Connection, store: Store, metric: str) -> None:
    conn.execute("UPDATE rowvec.embedding SET metric = %s", (metric,))
    conn.execute("UPDATE items SET embedding = (SELECT (array_agg(x * (1 + id %% 3)))::vector"
                 " FROM unnest(embedding::real[]) AS x)", ())  # fmt: skip
    store()
    operator = {"inner_product": "<#>", "l2": "<->"}[metric]
    exact = conn.execute(EXACT.format(k=10).replace("<=>", operator)).fetchall()
    assert conn.execute(STORED).fetchall() == exact


def test_composite_and_awkward_keys(database: Database, store: Store) -> None:
    with database.connect() as conn:
        conn.execute(
            'CREATE TABLE "odd %s" ("A b" text, other_id int, "other_A b" uuid DEFAULT '
            'gen_random_uuid(), body text, PRIMARY KEY (other_id, "A b"))'
        )
        conn.execute(
            """INSERT INTO "odd %s" SELECT 'k"%s ' || g, g % 7, DEFAULT, 'text ' || g """
            "FROM generate_series(1, 50) AS g".replace("DEFAULT", "gen_random_uuid()")
        )
        conn.execute("""SELECT rowvec.create_embedding('"odd %s"', 'stand-in-small', 'body')""")
        conn.execute("""CALL rowvec.backfill('"odd %s"')""")
        assert store('"odd %s"', k=4).compared == 50
        found = conn.execute(
            'SELECT count(*) FROM "odd %s_similar" AS s JOIN "odd %s" AS o'
            ' ON (o.other_id, o."A b") = (s.other_other_id, s."other_A b")'
        ).fetchone()
        assert found == (200,)


@pytest.fixture
def too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 600 rows were more than memory takes."""
    monkeypatch.setattr("rowvec.search.similarities._MAX_EXACT_ROWS", 100)


@pytest.mark.usefixtures("too_many")
def test_beyond_memory_the_index_is_asked(conn: psycopg.Connection, store: Store) -> None:
    """With an ef_search beyond all rows its answers are exact."""
    with pytest.raises(InvalidRequest, match="600 rows are too many"):
        store()
    conn.execute("CREATE INDEX ON items USING hnsw (embedding vector_cosine_ops)")
    conn.execute(f"UPDATE rowvec.embedding SET {stored('hnsw', 1000)}")
    result = store()
    assert (result.is_exact, result.compared) == (False, 600)
    assert is_exact(conn)
    conn.execute("INSERT INTO items SELECT g, 'new ' || g FROM generate_series(601, 603) AS g")
    conn.execute("DELETE FROM items WHERE id = 100")
    conn.execute("CALL rowvec.backfill('items')")
    result = store()
    assert result.changed == 3
    assert result.entered > 0
    assert result.compared < 100
    assert store().compared == 0


@pytest.mark.usefixtures("too_many")
def test_keys_of_other_types_by_the_index(database: Database, store: Store) -> None:
    with database.connect() as conn:
        conn.execute(
            'CREATE TABLE items (at timestamptz, "the %s" numeric(5, 2), body text,'
            ' PRIMARY KEY (at, "the %s"))'
        )
        conn.execute(
            "INSERT INTO items SELECT '2024-01-01 00:00+02'::timestamptz + g * interval '1 hour',"
            " g / 3.0, 'item ' || g FROM generate_series(1, 150) AS g"
        )
        conn.execute("SELECT rowvec.create_embedding('items', 'stand-in-small', 'body')")
        conn.execute("CALL rowvec.backfill('items')")
        conn.execute(f"UPDATE rowvec.embedding SET {stored('hnsw', 1000)}")
        assert store(k=5).compared == 150
        assert conn.execute("SELECT count(*) FROM items_similar").fetchone() == (750,)


def test_nothing_to_compare(conn: psycopg.Connection, store: Store) -> None:
    conn.execute("UPDATE items SET body = NULL")
    conn.execute("CALL rowvec.backfill('items')")
    with pytest.raises(InvalidRequest, match="no row of items has a vector"):
        store()


def test_a_table_of_that_name_is_left_alone(conn: psycopg.Connection, store: Store) -> None:
    conn.execute("CREATE TABLE items_similar (id int)")
    with pytest.raises(DatabaseError, match="not one that rowvec made"):
        store()


def test_one_at_a_time(conn: psycopg.Connection, store: Store) -> None:
    conn.execute(
        "SELECT pg_advisory_lock(hashtextextended('rowvec.similar:' || id, 0))"
        " FROM rowvec.embedding"
    )
    with pytest.raises(DatabaseError, match="another `rowvec similarities`"):
        store()


def test_the_command(conn: psycopg.Connection, database: Database, rowvec: Rowvec) -> None:
    done = rowvec("similarities", "items", "-k", "3", "--json", "--dsn", database.dsn)
    assert done.returncode == 0, done.stderr
    assert '"compared":600' in done.stdout
    assert is_exact(conn, 3)
