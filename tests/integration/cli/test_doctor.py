"""`rowvec doctor`: one thing is broken at a time, and its line says what to run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rowvec.doctor.database import tls
from support.commands import run_in_process
from support.postgres import CreateDatabase, Database
from support.workers import StartWorker, point_at


def examine(database: Database, *, code: int = 0) -> dict[str, dict[str, Any]]:
    """The last finding of each subject."""
    done = run_in_process("doctor", "--dsn", database.dsn, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return {one["subject"]: one for one in json.loads(done.stdout)}


def declare(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
        connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")


def test_where_all_is_well_every_line_is_ok(database: Database) -> None:
    declare(database)
    with database.connect() as connection:
        connection.execute("CALL rowvec.backfill('t')")
    found = examine(database)
    assert {one["verdict"] for one in found.values()} == {"ok"}, found
    looked_at = {"versions", "installed", "disk", "postgres", "database", "pgvector", "dblink",
                 "schema", "role", "worker", "tls", "models", "t.embedding"}  # fmt: skip
    assert looked_at <= found.keys()
    assert found["t.embedding"]["says"] == "2 rows, 0 pending"
    lines = run_in_process("doctor", "--dsn", database.dsn).stdout.splitlines()
    assert lines[-1].endswith(" 0 warnings, 0 wrong")
    assert all(line.startswith("ok ") for line in lines[:-1])


def test_an_empty_database_wants_migrate(empty_database: Database) -> None:
    found = examine(empty_database, code=1)
    for subject in ("pgvector", "dblink", "schema"):
        assert (found[subject]["verdict"], found[subject]["run"]) == ("wrong", "rowvec migrate")
    assert run_in_process("migrate", "--dsn", empty_database.dsn).returncode == 0
    found = examine(empty_database, code=1)
    assert found["schema"]["verdict"] == "ok"
    assert found["worker"]["verdict"] == "wrong"
    assert "rowvec server set" in found["worker"]["run"]


def test_a_database_that_is_not_there() -> None:
    done = run_in_process("doctor", "--dsn", "host=127.0.0.1 port=1 password=s3cret dbname=x")
    assert done.returncode == 1
    assert "wrong    database: " in done.stdout
    assert "run: give --dsn or set ROWVEC_DSN" in done.stdout
    assert "s3cret" not in done.stdout


def test_a_worker_that_is_away(migrated_database: Database, start_worker: StartWorker) -> None:
    worker = start_worker()
    point_at(migrated_database, worker)
    worker.process.terminate()
    worker.process.wait()
    found = examine(migrated_database, code=1)
    assert found["worker"]["verdict"] == "wrong"
    assert "rowvec worker starts one" in found["worker"]["run"]


def test_pending_rows_that_nobody_fills(database: Database) -> None:
    declare(database)
    assert examine(database)["t.embedding"] == {
        "subject": "t.embedding",
        "verdict": "warning",
        "says": "2 rows are pending and no job runs",
        "run": "rowvec backfill t, or rowvec sync",
    }


def test_rows_that_were_refused(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
        connection.execute("INSERT INTO t VALUES (1, 'refuse me'), (2, 'two')")
        connection.execute("SELECT rowvec.create_embedding('t', 'refusing', 'body')")
        connection.execute("CALL rowvec.backfill('t')")
        failed = connection.execute("SELECT count(*) FROM rowvec.failure").fetchone()
    assert failed is not None
    found = examine(database)["t.embedding"]
    assert found["verdict"] == "warning"
    assert found["says"] == f"{failed[0]} rows were refused"


def test_a_model_that_the_worker_does_not_list(database: Database) -> None:
    declare(database)
    with database.connect() as connection:
        connection.execute("UPDATE rowvec.embedding SET model = 'gone'")
    found = examine(database, code=1)["models"]
    assert found["says"] == "the worker does not list gone, which t.embedding needs"
    assert found["run"] == "rowvec models add gone"


def test_pgvector_out_of_reach_of_queries_by_hand(create_database: CreateDatabase) -> None:
    """The line to run is the cure: afterwards the finding is ok."""
    database = create_database()
    with database.connect() as connection:
        connection.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions")
    found = examine(database, code=1)["pgvector"]
    assert found["verdict"] == "warning"
    with database.connect() as connection:
        connection.execute(found["run"])
    assert examine(database, code=1)["pgvector"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("options", "verdict"),
    [
        ({"host": "/run/rowvec"}, "ok"),
        ({"host": "127.0.0.1"}, "ok"),
        ({"host": "worker.example.com", "sslmode": "verify-full"}, "ok"),
        ({"host": "worker.example.com", "sslmode": "require"}, "warning"),
        ({"host": "localhost,worker.example.com"}, "warning"),
    ],
)
def test_tls_is_needed_beyond_the_machine(options: dict[str, str], verdict: str) -> None:
    assert tls(options).verdict == verdict
