"""The backfill job against a real Postgres and a real worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.errors import DatabaseError, DefinitionChanged, DimensionMismatch, WorkerUnreachable
from rowvec.pipeline.backfill import Request, backfill
from rowvec.pipeline.report import Summary


@dataclass
class Said:
    """A reporter that keeps what it is told."""

    sentences: list[str] = field(default_factory=list)
    total: int | None = None

    def begin(self, total: int) -> None:
        self.total = total

    def advance(self, summary: Summary) -> None:
        """Nothing to keep."""

    def say(self, message: str) -> None:
        self.sentences.append(message)


Fill = Callable[..., Summary]


@pytest.fixture
def fill(database: Any) -> Fill:
    """Runs a backfill of this process to its end."""

    def run(
        source: str,
        *,
        embedding: str | None = None,
        limit: int | None = None,
        reporter: Said | None = None,
        **settings: Any,
    ) -> Summary:
        built = Settings.build(dsn=database.dsn, **settings)
        return asyncio.run(
            backfill(
                built,
                Request(source, embedding, limit),
                worker=worker_conninfo(built),
                reporter=reporter or Said(),
                stop=asyncio.Event(),
            )
        )

    return run


@pytest.fixture
def in_background() -> Iterator[Callable[..., Future[Summary]]]:
    """Runs something in a thread; the test asks for its result."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit


@pytest.fixture
def connection(database: Any) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def reviews(connection: psycopg.Connection, rows: int, model: str = "stand-in-small") -> None:
    """A table of so many texts that no other test has, as the worker remembers; its embedding."""
    connection.execute("CREATE TABLE reviews (id bigint PRIMARY KEY, body text)")
    connection.execute(
        "INSERT INTO reviews"
        " SELECT i, i || ' ' || current_database() FROM generate_series(1, %s) AS i",
        (rows,),
    )
    connection.execute("SELECT rowvec.create_embedding('reviews', %s, 'body')", (model,))


def one(connection: psycopg.Connection, statement: str, *parameters: Any) -> Any:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def computed(connection: psycopg.Connection, model: str) -> int:
    """Texts that the worker has computed with a model since it started."""
    return int(one(connection, "SELECT texts FROM rowvec.models() WHERE name = %s", model))


def is_embedding(connection: psycopg.Connection) -> bool:
    """Whether a backfill has read what it may and asks Postgres nothing until vectors come."""
    return bool(
        one(
            connection,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rowvec backfill'"
            " AND datname = current_database() AND state = 'idle'"
            " AND clock_timestamp() - state_change > interval '300 ms'"
            " AND EXISTS (SELECT FROM rowvec.shard)",
        )
    )


KEYS = {
    "negative and gappy bigint": ("id bigint", "SELECT (i - 150) * 7919, 'text ' || i"),
    "text": ("id text", "SELECT 'Ünï''\"\\ %s ' || md5(i::text), 'text ' || i"),
    "varchar in another collation": (
        'id varchar(40) COLLATE "C"',
        "SELECT left(md5(i::text), 20), 'text ' || i",
    ),
    "char": ("id char(8)", "SELECT i::text, 'text ' || i"),
    "uuid": ("id uuid", "SELECT md5(i::text)::uuid, 'text ' || i"),
    "numeric": ("id numeric(12, 3)", "SELECT i / 7.0, 'text ' || i"),
    "float": ("id float8", "SELECT i / 7.0, 'text ' || i"),
    "timestamptz": (
        "id timestamptz",
        "SELECT '2024-10-27'::date + i * '7.7 min'::interval, 'text ' || i",
    ),
    "bytea": ("id bytea", "SELECT decode(md5(i::text), 'hex'), 'text ' || i"),
}


@pytest.mark.parametrize("key", KEYS)
def test_every_row_is_filled_once_whatever_its_key(
    connection: psycopg.Connection, fill: Fill, key: str
) -> None:
    column, select = KEYS[key]
    connection.execute(f"CREATE TABLE t ({column} PRIMARY KEY, body text)")
    connection.execute(f"INSERT INTO t {select} FROM generate_series(1, 300) AS i")
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    summary = fill("t", commit_rows=7)
    assert (summary.written, summary.pending, summary.changed) == (300, 0, 0)
    assert one(
        connection, "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)) FROM t"
    )
    assert one(connection, "SELECT bool_and(embedding_of = hashtextextended(body, 0)) FROM t")


def test_composite_key(connection: psycopg.Connection, fill: Fill) -> None:
    connection.execute("CREATE TYPE kind AS ENUM ('b', 'a')")
    connection.execute(
        "CREATE TABLE t (day date, k kind, n int, body text, PRIMARY KEY (k, day, n))"
    )
    connection.execute(
        "INSERT INTO t SELECT '2024-01-01'::date + i %% 5, (ARRAY['a', 'b'])[1 + i %% 2]::kind, i,"
        " 'text ' || i FROM generate_series(1, 300) AS i",
        (),
    )
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    assert fill("t", commit_rows=7).written == 300
    assert one(
        connection, "SELECT bool_and(embedding = rowvec.embed('stand-in-small', body)) FROM t"
    )


def test_hostile_names(connection: psycopg.Connection, fill: Fill) -> None:
    names = {"s": 'S "%s"', "t": 't"; DROP TABLE x --', "k": "order%", "x": "f", "e": 'e "%d"'}
    quoted = {short: sql.Identifier(name) for short, name in names.items()}

    def run(statement: str, *parameters: Any) -> Any:
        return connection.execute(sql.SQL(statement).format(**quoted), parameters or None)

    run("CREATE SCHEMA {s}")
    run('CREATE TABLE {s}.{t} ({k} int, "select" int, {x} text, PRIMARY KEY ({k}, "select"))')
    run("INSERT INTO {s}.{t} SELECT i, -i, '100% ' || i FROM generate_series(1, 50) AS i")
    source = sql.SQL("{s}.{t}").format(**quoted).as_string(connection)
    connection.execute(
        "SELECT rowvec.create_embedding(%s, 'stand-in-small', %s, name => %s)",
        (source, "'5% {} ' || f", names["e"]),
    )
    assert fill(source, embedding=names["e"], commit_rows=7).written == 50
    filled = "SELECT bool_and({e} = rowvec.embed('stand-in-small', '5% {{}} ' || f)) FROM {s}.{t}"
    assert run(filled).fetchone() == (True,)


def test_partitioned_source(connection: psycopg.Connection, fill: Fill) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text) PARTITION BY RANGE (id)")
    connection.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)")
    connection.execute("CREATE TABLE t2 PARTITION OF t DEFAULT")
    connection.execute("INSERT INTO t SELECT i, 'text ' || i FROM generate_series(1, 200) AS i")
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    assert fill("t", commit_rows=16).written == 200
    indexed = connection.execute(
        "SELECT tablename FROM pg_indexes WHERE indexname LIKE '%pending' ORDER BY 1"
    ).fetchall()
    assert indexed == [("t1",), ("t2",)]


def test_null_is_never_embedded_and_clears_the_vector(
    connection: psycopg.Connection, fill: Fill
) -> None:
    reviews(connection, 3)
    connection.execute("UPDATE reviews SET body = NULL WHERE id = 2")
    assert fill("reviews").written == 2
    connection.execute("UPDATE reviews SET body = NULL WHERE id = 3")
    summary = fill("reviews")
    assert (summary.written, summary.cleared) == (0, 1)
    left = (
        "SELECT array_agg(id) FROM reviews WHERE embedding IS NOT NULL OR embedding_of IS NOT NULL"
    )
    assert one(connection, left) == [1]


def test_only_rows_of_the_filter_take_part(connection: psycopg.Connection, fill: Fill) -> None:
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text, is_public boolean)")
    connection.execute("INSERT INTO t VALUES (1, 'a', true), (2, 'b', false)")
    connection.execute(
        "SELECT rowvec.create_embedding('t', 'stand-in-small', 'body', filter => 'is_public')"
    )
    assert fill("t").written == 1
    assert one(connection, "SELECT array_agg(id) FROM t WHERE embedding IS NOT NULL") == [1]


def test_rows_that_change_meanwhile_are_left_to_the_next_pass(
    connection: psycopg.Connection, fill: Fill, in_background: Any, eventually: Any
) -> None:
    """No transaction is open while the worker computes, and the guard refuses what is stale."""
    reviews(connection, 150, "slow")
    run = in_background(fill, "reviews", commit_rows=40)
    eventually(lambda: is_embedding(connection))
    open_since = (
        "SELECT max(xact_start) FROM pg_stat_activity WHERE application_name = 'rowvec backfill'"
    )
    assert one(connection, open_since) is None
    connection.execute("UPDATE reviews SET body = 'changed' WHERE id = 1")
    connection.execute("UPDATE reviews SET body = NULL WHERE id = 2")
    connection.execute("DELETE FROM reviews WHERE id = 3")
    connection.execute("UPDATE reviews SET id = 1000 WHERE id = 4")
    summary = run.result()
    assert summary.changed == 4
    assert summary.written == 146 + 2  # the next pass fills the changed row and the moved one
    assert summary.pending == 0
    assert one(
        connection, "SELECT embedding = rowvec.embed('slow', 'changed') FROM reviews WHERE id = 1"
    )
    assert one(connection, "SELECT count(embedding) FROM reviews") == 148


def test_a_definition_that_changes_stops_the_run(
    connection: psycopg.Connection, fill: Fill, in_background: Any, eventually: Any
) -> None:
    reviews(connection, 150, "slow")
    run = in_background(fill, "reviews", commit_rows=40)
    eventually(lambda: is_embedding(connection))
    connection.execute("UPDATE rowvec.embedding SET version = version + 1")
    with pytest.raises(DefinitionChanged, match=r"reviews\.embedding was changed"):
        run.result()
    assert one(connection, "SELECT count(embedding) FROM reviews") == 0


@pytest.fixture
def own_worker(database: Any, worker: Any, start_worker: Any, point_at: Any) -> Any:
    """A worker of this test's database alone; without a cache, which would hide double work."""
    own = start_worker(worker.models_file.read_text(), "--cache-bytes", "0")
    point_at(database, own)
    return own


@pytest.mark.usefixtures("own_worker")
def test_two_at_once_do_no_row_twice(
    connection: psycopg.Connection, fill: Fill, in_background: Any
) -> None:
    reviews(connection, 400, "slow")
    before = computed(connection, "slow")
    runs = [in_background(fill, "reviews", commit_rows=5) for _ in range(2)]
    written = [run.result().written for run in runs]
    assert sum(written) == 400
    assert min(written) > 0
    # Each run asks for one text more, to learn the dimensions.
    assert 400 < computed(connection, "slow") - before <= 402
    assert one(connection, "SELECT count(embedding) FROM reviews") == 400
    assert one(connection, "SELECT count(*) FROM rowvec.shard") == 0


def test_refused_rows_are_set_aside_and_come_back_when_their_text_changes(
    connection: psycopg.Connection, fill: Fill
) -> None:
    reviews(connection, 40, "refusing")
    connection.execute("UPDATE reviews SET body = 'refuse me ' || id WHERE id IN (1, 17, 40)")
    summary = fill("reviews", commit_rows=16)
    assert (summary.written, summary.failed, summary.pending) == (37, 3, 0)
    assert [row.key for row in summary.failures] == ["1", "17", "40"]
    recorded = connection.execute(
        "SELECT key, sqlstate, attempts, message FROM rowvec.failure ORDER BY key"
    ).fetchall()
    assert [row[:3] for row in recorded] == [(1, "22023", 1), (17, "22023", 1), (40, "22023", 1)]
    assert not any("refuse me" in row[3] for row in recorded)

    again = fill("reviews")
    assert (again.written, again.failed) == (0, 0)

    connection.execute("UPDATE reviews SET body = 'well' WHERE id = 17")
    assert fill("reviews").written == 1
    assert one(connection, "SELECT array_agg(key ORDER BY key) FROM rowvec.failure") == [1, 40]


def test_resumes_where_the_limit_stopped_it(connection: psycopg.Connection, fill: Fill) -> None:
    reviews(connection, 100)
    first = fill("reviews", limit=33, commit_rows=10)
    assert (first.written, first.pending, first.stopped) == (33, 67, False)
    assert one(connection, "SELECT max(id) FROM reviews WHERE embedding IS NOT NULL") == 33
    # Behind the point to which the first run came: the second pass of the second run finds it.
    connection.execute("UPDATE reviews SET body = 'new' WHERE id = 5")
    second = fill("reviews", commit_rows=10)
    assert (second.written, second.pending) == (68, 0)


def test_commits_as_many_rows_as_it_is_told(connection: psycopg.Connection, fill: Fill) -> None:
    reviews(connection, 100)
    fill("reviews", commit_rows=30)
    sizes = connection.execute(
        "SELECT count(*) FROM reviews GROUP BY xmin::text ORDER BY min(id)"
    ).fetchall()
    assert sizes == [(30,), (30,), (30,), (10,)]


def test_truncated_texts_are_counted(connection: psycopg.Connection, fill: Fill) -> None:
    reviews(connection, 3)
    connection.execute("UPDATE reviews SET body = repeat('many words ', 100) WHERE id = 2")
    assert fill("reviews").truncated == 1


@pytest.fixture
def run(fill: Fill, in_background: Any) -> Callable[..., tuple[Future[Summary], Said]]:
    """Starts a backfill in a thread, with what it says."""

    def start(source: str, **given: Any) -> tuple[Future[Summary], Said]:
        reporter = Said()
        return in_background(fill, source, reporter=reporter, **given), reporter

    return start


def test_waits_for_a_worker_that_is_down(
    own_worker: Any, connection: psycopg.Connection, run: Any, eventually: Any, start_worker: Any
) -> None:
    reviews(connection, 20)
    own_worker.process.terminate()
    own_worker.process.wait()
    running, reporter = run("reviews")
    eventually(lambda: any("trying again" in said for said in reporter.sentences))
    start_worker(socket_folder=own_worker.folder)
    assert running.result().written == 20
    assert "answered again, going on" in reporter.sentences


def test_gives_up_on_a_worker_that_stays_away(
    own_worker: Any, connection: psycopg.Connection, fill: Fill
) -> None:
    reviews(connection, 20)
    own_worker.process.kill()
    own_worker.process.wait()
    with pytest.raises(WorkerUnreachable):
        fill("reviews", worker_wait_seconds=0.2)
    assert one(connection, "SELECT count(*) FROM rowvec.failure") == 0


def test_a_lost_connection_to_postgres_is_opened_again(
    connection: psycopg.Connection, run: Any, eventually: Any
) -> None:
    reviews(connection, 200, "slow")
    running, reporter = run("reviews", commit_rows=10)
    eventually(lambda: one(connection, "SELECT count(embedding) > 20 FROM reviews"))
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'rowvec backfill' AND datname = current_database()"
    )
    assert running.result().pending == 0
    assert reporter.sentences
    assert one(connection, "SELECT bool_and(embedding = rowvec.embed('slow', body)) FROM reviews")


def test_other_dimensions_are_refused_before_any_write(
    connection: psycopg.Connection, fill: Fill
) -> None:
    reviews(connection, 5)
    connection.execute("UPDATE rowvec.embedding SET model = 'stand-in'")
    with pytest.raises(DimensionMismatch, match="384 dimensions, the column has 8"):
        fill("reviews")
    assert one(connection, "SELECT count(embedding) FROM reviews") == 0


def test_an_invalid_index_of_a_killed_run_is_built_anew(
    connection: psycopg.Connection, fill: Fill
) -> None:
    reviews(connection, 5)
    connection.execute("CREATE INDEX reviews_embedding_pending ON reviews (id)")
    invalid = "indexrelid = 'reviews_embedding_pending'::regclass"
    connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE {invalid}")
    assert fill("reviews").written == 5
    state = f"SELECT indisvalid AND indpred IS NOT NULL FROM pg_index WHERE {invalid}"
    assert one(connection, state)


def test_pending_rows_are_found_by_the_index(connection: psycopg.Connection, fill: Fill) -> None:
    reviews(connection, 5000)
    fill("reviews", commit_rows=1000)
    connection.execute("UPDATE reviews SET body = 'new' WHERE id %% 2000 = 0", ())
    pending = one(connection, "SELECT rowvec._pending(id) FROM rowvec.embedding")
    plan = connection.execute(
        f"EXPLAIN SELECT id FROM reviews WHERE {pending} AND id > 10 ORDER BY id LIMIT 256"
    ).fetchall()
    assert "reviews_embedding_pending" in "".join(line for (line,) in plan)


def test_a_row_that_others_lock_is_left_pending(
    database: Any, connection: psycopg.Connection, fill: Fill
) -> None:
    reviews(connection, 4)
    fill("reviews", limit=1)
    with database.connect() as other, other.transaction():
        other.execute("SELECT FROM reviews WHERE id = 3 FOR UPDATE")
        summary = fill("reviews")
    assert (summary.written, summary.changed, summary.pending) == (2, 0, 1)
    assert fill("reviews").written == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing", 'relation "nothing" does not exist'),
        ("bare", "bare has no embedding"),
    ],
)
def test_says_in_a_sentence_what_is_missing(
    connection: psycopg.Connection, fill: Fill, source: str, message: str
) -> None:
    connection.execute("CREATE TABLE bare (id int PRIMARY KEY)")
    with pytest.raises(DatabaseError, match=message):
        fill(source)
