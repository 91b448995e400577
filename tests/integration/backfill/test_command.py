"""`rowvec backfill`, `index`, `search` and `similar` as a person or a program calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from support.commands import Rowvec
from support.postgres import Database


@pytest.fixture
def run(database: Database, rowvec: Rowvec) -> Callable[..., Any]:
    """The installed command on the test's database."""
    return lambda *arguments: rowvec(*arguments, "--dsn", database.dsn)


def reviews(connection: psycopg.Connection, model: str = "stand-in-small") -> None:
    connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text, stars int)")
    connection.execute(
        "INSERT INTO reviews SELECT i, 'text ' || i, i % 5 FROM generate_series(1, 100) AS i"
    )
    connection.execute("SELECT rowvec.create_embedding('reviews', %s, 'body')", (model,))


def test_from_backfill_to_search(connection: psycopg.Connection, run: Callable[..., Any]) -> None:
    reviews(connection)
    done = run("backfill", "reviews", "--commit-rows", "30")
    assert done.returncode == 0, done.stderr
    assert "Done: 100 rows embedded" in done.stderr
    assert done.stdout == ""

    indexed = run("index", "reviews")
    assert indexed.returncode == 0, indexed.stderr
    assert "recall@10" in indexed.stdout
    assert "`search` uses probes" in indexed.stderr

    found = run("search", "reviews", "text 42", "-k", "1", "--json", "--sql")
    assert json.loads(found.stdout)["key"] == 42
    assert json.loads(found.stdout)["row"] == {"id": 42, "body": "text 42", "stars": 2}
    statement = found.stderr.splitlines()[-1]
    row = connection.execute(statement).fetchone()
    assert row is not None
    assert row[0] == 42

    some = ("--filter", "stars = $1::int AND body <> $2", "--arg", "2", "--arg", "text 42")
    filtered = run("search", "reviews", "text 42", "--json", *some)
    rows = [json.loads(line)["row"] for line in filtered.stdout.splitlines()]
    assert rows
    assert all(r["stars"] == 2 and r["id"] != 42 for r in rows)

    table = run("similar", "reviews", "--key", "42", "-k", "3")
    assert table.returncode == 0, table.stderr
    assert "body: text" in table.stdout
    assert "text 42" not in table.stdout
    by_text = run("similar", "reviews", "--text", "text 42", "-k", "1", "--json")
    assert json.loads(by_text.stdout)["key"] == 42


def test_summary_for_programs(connection: psycopg.Connection, run: Callable[..., Any]) -> None:
    reviews(connection, "refusing")
    connection.execute("UPDATE reviews SET body = 'refuse me' WHERE id = 7")
    done = run("backfill", "reviews", "--json", "--limit", "10")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["written"], summary["failed"], summary["pending"]) == (9, 1, 90)
    assert summary["failures"][0]["key"] == "7"
    assert "refuse me" not in done.stdout + done.stderr


def test_failures_are_shown_to_a_person(
    connection: psycopg.Connection, run: Callable[..., Any]
) -> None:
    reviews(connection, "refusing")
    connection.execute("UPDATE reviews SET body = 'refuse me' WHERE id = 7")
    done = run("backfill", "reviews")
    assert done.returncode == 0
    assert "1 row refused and set aside, see rowvec.failure" in done.stderr
    assert "22023" in done.stdout


def test_similar_with_a_composite_key(
    connection: psycopg.Connection, run: Callable[..., Any]
) -> None:
    connection.execute("CREATE TABLE t (a text, b int, body text, PRIMARY KEY (a, b))")
    connection.execute("INSERT INTO t VALUES ('x', 1, 'one'), ('x', 2, 'two')")
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
    assert run("backfill", "t").returncode == 0
    found = run("similar", "t", "--key", '{"a": "x", "b": 1}', "--json")
    assert json.loads(found.stdout)["key"] == {"a": "x", "b": 2}


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("backfill", "nothing"), 'relation "nothing" does not exist', 1),
        (("backfill", "bare"), "bare has no embedding", 1),
        (("index", "nothing"), 'relation "nothing" does not exist', 1),
        (("search", "bare", "words"), "bare has no embedding", 1),
        (("backfill", "bare", "--limit", "0"), "Invalid value", 2),
        (("backfill", "bare", "--commit-rows", "0"), "--commit-rows", 2),
        (("similar", "bare"), "give one of --key, --text and --image", 2),
    ],
)
def test_errors_are_one_sentence(
    connection: psycopg.Connection,
    run: Callable[..., Any],
    arguments: tuple[str, ...],
    message: str,
    code: int,
) -> None:
    connection.execute("CREATE TABLE bare (id int PRIMARY KEY)")
    done = run(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_worker_that_is_down(connection: psycopg.Connection, run: Callable[..., Any]) -> None:
    reviews(connection)
    nobody = "host=/nowhere port=5466 user=rowvec password=x"
    done = run("backfill", "reviews", "--worker", nobody, "--worker-wait-seconds", "0")
    assert done.returncode == 1
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr


def test_without_rowvec_in_the_database(empty_database: Database, rowvec: Rowvec) -> None:
    for command in (("backfill", "t"), ("index", "t"), ("search", "t", "words")):
        done = rowvec(*command, "--dsn", empty_database.dsn)
        assert done.returncode == 3
        assert "run `rowvec migrate`" in done.stderr


def test_the_password_is_for_who_may_be_the_caller(
    database: Database, connection: psycopg.Connection, rowvec: Rowvec
) -> None:
    reviews(connection)
    user = f"u_{database.name}"
    connection.execute(f"CREATE ROLE {user} LOGIN")
    try:
        connection.execute(f"GRANT USAGE ON SCHEMA rowvec TO {user}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA rowvec TO {user}")
        done = rowvec("backfill", "reviews", "--dsn", database.cluster.dsn(database.name, user))
        assert done.returncode == 2
        assert "does not tell this user the worker's password" in done.stderr
    finally:
        connection.execute(f"DROP OWNED BY {user}")
        connection.execute(f"DROP ROLE {user}")


def test_jobs_run_as_modules(database: Database, connection: psycopg.Connection) -> None:
    """For schedulers: settings from the environment, JSON on stdout."""
    reviews(connection)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}
    for job, key in (("backfill", "written"), ("index", "rows")):
        done = subprocess.run(
            [sys.executable, "-m", f"rowvec.jobs.{job}", "reviews"],
            env={**environment, "ROWVEC_DSN": database.dsn},
            capture_output=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout)[key] == 100
