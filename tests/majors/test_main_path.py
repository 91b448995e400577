"""The main path on every major of Postgres: the names of its tests are the rows of a matrix."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowvec.db.schema import migrate
from support.commands import run_in_process
from support.hashes import row_hash
from support.places import ROWVEC, clean_environment
from support.postgres import Database, refused
from support.waiting import WAIT_SECONDS, eventually
from support.workers import Worker, point_at

ROWS = 60

DESTINATIONS = pytest.mark.parametrize("destination", ["column", "table"])

Job = Callable[..., Any]


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """Sixty reviews: a third have five stars, three are of a zebra, the first is a long one."""
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE reviews (id int PRIMARY KEY, stars int NOT NULL, body text)"
        )
        connection.execute(
            "INSERT INTO reviews SELECT i, CASE i %% 3 WHEN 0 THEN 5 ELSE 1 END,"
            " 'review ' || i || CASE WHEN i = 1 THEN repeat(' and so on', 20)"
            " WHEN i %% 20 = 0 THEN ' of a zebra' ELSE '' END"
            " FROM generate_series(1, %s) AS i",
            (ROWS,),
        )
        yield connection


@pytest.fixture
def job(database: Database) -> Job:
    """Runs a command on the database and gives what it printed for programs."""

    def run(*arguments: str, user: str = "postgres") -> Any:
        dsn = database.cluster.dsn(database.name, user)
        done = run_in_process(*arguments, "--json", "--dsn", dsn)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return lines[0] if len(lines) == 1 else lines

    return run


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters or None).fetchone()
    assert row is not None
    return row[0]


def column(conn: psycopg.Connection, statement: str, *parameters: object) -> list[Any]:
    return [row[0] for row in conn.execute(statement, parameters or None)]


def declare(
    conn: psycopg.Connection, destination: str = "column", model: str = "stand-in-small"
) -> None:
    conn.execute(
        "SELECT rowvec.create_embedding('reviews', %s, 'body', destination => %s)",
        (model, destination),
    )


def filled(conn: psycopg.Connection, destination: str = "column") -> int:
    """Rows that have the vector of their text, or of each of its chunks."""
    if destination == "column":
        return int(
            one(
                conn,
                f"SELECT count(*) FROM reviews WHERE embedding_of = {row_hash(conn, 'reviews')}"
                " AND embedding = rowvec.embed('stand-in-small', body)",
            )
        )
    return int(
        one(
            conn,
            "SELECT count(*) FROM (SELECT FROM reviews_embedding AS c JOIN reviews AS r USING (id)"
            " GROUP BY r.id, r.body HAVING min(start_char) = 0 AND max(end_char) = length(body)"
            " AND bool_and(substr(body, start_char + 1, end_char - start_char) = chunk"
            " AND c.embedding = rowvec.embed('stand-in-small', chunk))) AS whole",
        )
    )


def test_server(conn: psycopg.Connection, request: pytest.FixtureRequest) -> None:
    """What it is said to be, and its pgvector calculates."""
    major = conn.info.server_version // 10_000
    assert request.node.callspec.id == f"postgres{major}"
    assert one(conn, "SELECT '[1,2]'::vector <-> '[4,6]'::vector") == 5
    versions = conn.execute("SELECT extname, extversion FROM pg_extension ORDER BY 1").fetchall()
    print(f"Postgres {conn.info.parameter_status('server_version')}", *versions)


def test_migrate(database: Database) -> None:
    """Again there is nothing to do."""
    again = migrate(database.dsn)
    assert (again.before, again.applied) == (again.after, [])
    assert not again.bootstrapped


@DESTINATIONS
def test_create_embedding(conn: psycopg.Connection, destination: str) -> None:
    declare(conn, destination)
    assert conn.execute("SELECT rows, pending, failed FROM rowvec.status").fetchone() == (
        ROWS, ROWS, 0,
    )  # fmt: skip


@DESTINATIONS
def test_backfill_by_the_job(conn: psycopg.Connection, job: Job, destination: str) -> None:
    declare(conn, destination)
    assert job("backfill", "reviews")["written"] == ROWS
    assert filled(conn, destination) == ROWS
    conn.execute("UPDATE reviews SET body = 'another' WHERE id IN (2, 3)")
    assert job("backfill", "reviews")["written"] == 2
    assert filled(conn, destination) == ROWS


def test_backfill_by_call(conn: psycopg.Connection) -> None:
    declare(conn)
    conn.execute("CALL rowvec.backfill('reviews', commit_rows => 25)")
    assert filled(conn) == ROWS
    assert one(conn, "SELECT pending FROM rowvec.status") == 0


def test_a_call_cuts_no_chunks(conn: psycopg.Connection) -> None:
    declare(conn, "table")
    with refused("0A000", "cuts none into chunks", "rowvec backfill reviews"):
        conn.execute("CALL rowvec.backfill('reviews')")


@DESTINATIONS
def test_sync(
    conn: psycopg.Connection, database: Database, tmp_path: Path, destination: str
) -> None:
    """Rows that are there, come and change; it ends when it is told to."""
    declare(conn, destination)
    with (tmp_path / "sync.log").open("wb") as log:
        sync = subprocess.Popen(
            [ROWVEC, "sync", "--dsn", database.dsn], env=clean_environment(),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        eventually(lambda: filled(conn, destination) == ROWS)
        conn.execute("INSERT INTO reviews VALUES (1000, 5, 'one more')")
        conn.execute("UPDATE reviews SET body = 'another' WHERE id = 2")
        eventually(lambda: filled(conn, destination) == ROWS + 1)
    finally:
        sync.terminate()
        assert sync.wait(WAIT_SECONDS) == 0, (tmp_path / "sync.log").read_text()


@pytest.fixture
def found(conn: psycopg.Connection, job: Job) -> psycopg.Connection:
    """The same reviews, embedded."""
    declare(conn)
    job("backfill", "reviews")
    return conn


def test_search_with_filter(found: psycopg.Connection) -> None:
    keys = "SELECT key FROM rowvec.search('reviews', 'review 7', k => 5"
    assert one(found, f"{keys})") == 7
    rows = column(found, f"{keys}, filter => 'stars >= $1', filter_args => '[4]')")
    assert len(rows) == 5
    assert all(key % 3 == 0 for key in rows)


def test_search_by_words_and_vectors(found: psycopg.Connection) -> None:
    method = "SELECT key FROM rowvec.search('reviews', 'zebra', k => 3, method => %s) ORDER BY 1"
    assert column(found, method, "text") == [20, 40, 60]
    assert column(found, method, "hybrid") == [20, 40, 60]


def test_similar(found: psycopg.Connection) -> None:
    """The row itself is not among them, one of the same text is the first."""
    found.execute("UPDATE reviews SET body = 'review 7' WHERE id = 9")
    found.execute("CALL rowvec.backfill('reviews')")
    assert column(found, "SELECT key FROM rowvec.similar('reviews', '7', k => 3)")[0] == 9
    pairs = found.execute(
        "SELECT key, other_key FROM rowvec.similar_pairs('reviews', 1)"
    ).fetchall()
    assert (7, 9) in pairs
    assert len(pairs) == ROWS


def test_similarities_are_stored(found: psycopg.Connection, job: Job) -> None:
    job("similarities", "reviews", "-k", "2")
    assert one(found, "SELECT relation::text FROM rowvec.derived") == "reviews_similar"
    assert one(found, "SELECT count(*) FROM reviews_similar") == 2 * ROWS


@pytest.mark.parametrize("kind", ["ivfflat", "hnsw"])
def test_index(found: psycopg.Connection, job: Job, kind: str) -> None:
    """Built, measured, used by a search, and tuned again."""
    built = job("index", "reviews", "--kind", kind)
    assert (built["kind"], built["recall"]) == (kind, 1)
    assert one(
        found,
        "SELECT amname FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam"
        " JOIN rowvec.embedding AS e ON c.relname = e.index_name",
    ) == kind  # fmt: skip
    assert one(found, "SELECT key FROM rowvec.search('reviews', 'review 7', k => 1)") == 7


def test_tune(found: psycopg.Connection, job: Job) -> None:
    job("index", "reviews")
    found.execute("UPDATE rowvec.embedding SET recall = NULL")
    assert job("tune", "reviews")["best"]["recall"] == 1
    assert one(found, "SELECT recall FROM rowvec.embedding") == 1


@pytest.mark.usefixtures("found")
def test_explain(job: Job) -> None:
    index = job("index", "reviews")["index"]
    some = ("--filter", "stars = $1::int", "--arg", "1")
    assert job("explain", "reviews", "review 7", *some)["index"] == index


@DESTINATIONS
def test_failures(conn: psycopg.Connection, job: Job, destination: str) -> None:
    """A row that the model refuses is set aside, is tried again, and is filled when it can be."""
    declare(conn, destination, model="refusing")
    conn.execute("UPDATE reviews SET body = 'refuse me' WHERE id IN (7, 8)")
    done = job("backfill", "reviews")
    assert (done["written"], done["failed"]) == (ROWS - 2, 2)
    failures = "SELECT key, sqlstate, attempts FROM rowvec.failure ORDER BY key"
    assert conn.execute(failures).fetchall() == [(7, "22023", 1), (8, "22023", 1)]
    job("retry", "reviews")
    conn.execute("UPDATE reviews SET body = 'accept me' WHERE id = 7")
    done = job("backfill", "reviews")
    assert (done["written"], done["failed"]) == (1, 1)
    assert column(conn, "SELECT key FROM rowvec.failure") == [8]


def test_dump_and_restore(
    found: psycopg.Connection, database: Database, worker: Worker, tmp_path: Path
) -> None:
    """By the programs of this major; what was pending is pending, all else goes on."""
    conn = found
    conn.execute("UPDATE reviews SET body = 'later' WHERE id = 3")
    cluster, file = database.cluster, tmp_path / "dump"
    copy = Database(f"{database.name}_copy", cluster)
    programs = cluster.binary("pg_dump").parent
    libraries = {"LD_LIBRARY_PATH": str(programs.with_name("lib"))}
    subprocess.run(
        [programs / "pg_dump", "-Fc", "-f", file, "-d", database.dsn], env=libraries, check=True
    )
    name = sql.Identifier(copy.name)
    conn.execute(sql.SQL("CREATE DATABASE {}").format(name))
    try:
        subprocess.run(
            [programs / "pg_restore", "--exit-on-error", "-d", copy.dsn, file],
            env=libraries, check=True,
        )  # fmt: skip
        assert migrate(copy.dsn).applied == []
        point_at(copy, worker)
        with copy.connect() as restored:
            assert one(restored, "SELECT pending FROM rowvec.status") == 1
            restored.execute("CALL rowvec.backfill('reviews')")
            assert filled(restored) == ROWS
            assert one(restored, "SELECT key FROM rowvec.search('reviews', 'later', k => 1)") == 3
    finally:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def app(found: psycopg.Connection) -> Iterator[str]:
    """A role that may read the reviews and has `rowvec_user`, no more."""
    name = "rowvec_test_app"
    found.execute(f"CREATE ROLE {name} LOGIN")
    found.execute(f"GRANT rowvec_user TO {name}")
    found.execute(f"GRANT SELECT ON reviews TO {name}")
    yield name
    found.execute(f"DROP OWNED BY {name}")
    found.execute(f"DROP ROLE {name}")


def test_a_user_embeds_and_searches(database: Database, app: str) -> None:
    with database.connect(app) as conn:
        assert one(conn, "SELECT vector_dims(rowvec.embed('stand-in-small', 'a text'))") == 8
        assert one(conn, "SELECT key FROM rowvec.search('reviews', 'review 7', k => 1)") == 7
        assert len(column(conn, "SELECT key FROM rowvec.similar('reviews', '7', k => 3)")) == 3
        assert one(conn, "SELECT pending FROM rowvec.status") == 0
        with refused("42501"):
            conn.execute("CALL rowvec.backfill('reviews')")
        with refused("42501"):
            conn.execute("SELECT value FROM rowvec.secret")


def test_a_user_runs_a_command(job: Job, worker: Worker, app: str) -> None:
    command = ("embed", "--model", "stand-in-small", "--worker", worker.conninfo, "a text")
    assert len(job(*command, user=app)["embedding"]) == 8
