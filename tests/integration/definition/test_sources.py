"""Generated columns, policies of row-level security, and several databases on one worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from support.commands import Rowvec
from support.postgres import CreateDatabase, Database
from support.workers import Worker, point_at


@pytest.fixture
def backfill(rowvec: Rowvec) -> Callable[..., Any]:
    """Runs the command on a database and gives its summary, or the error that it ended with."""

    def run(database: Database, source: str) -> Any:
        done = rowvec("backfill", source, "--json", "--dsn", database.dsn)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    return run


def test_a_stored_generated_column_is_an_input(
    database: Database, connection: psycopg.Connection, backfill: Any
) -> None:
    connection.execute(
        "CREATE TABLE t (id int PRIMARY KEY, title text,"
        " loud text GENERATED ALWAYS AS (upper(title)) STORED)"
    )
    connection.execute("INSERT INTO t (id, title) VALUES (1, 'one'), (2, 'two')")
    connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'loud')")
    assert backfill(database, "t")["written"] == 2
    connection.execute("UPDATE t SET title = 'three' WHERE id = 1")
    assert backfill(database, "t")["written"] == 1
    assert connection.execute(
        "SELECT bool_and(embedding = rowvec.embed('stand-in-small', upper(title))) FROM t"
    ).fetchone() == (True,)


def test_a_policy_that_would_hide_rows_from_the_job_is_said(
    database: Database, connection: psycopg.Connection, backfill: Any
) -> None:
    """The owner is exempt from policies, unless they are forced on the owner too."""
    connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
    connection.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    connection.execute("CREATE ROLE plain_owner LOGIN")
    try:
        connection.execute("SELECT rowvec.create_embedding('t', 'stand-in-small', 'body')")
        connection.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY half ON t USING (id = 1)")
        connection.execute("ALTER TABLE t OWNER TO plain_owner")
        # Jobs act as the owner, whoever they log in as.
        assert "policy hides rows of public.t from its owner" in backfill(database, "t")
        assert connection.execute("SELECT count(embedding) FROM t").fetchone() == (0,)
        connection.execute("ALTER TABLE t NO FORCE ROW LEVEL SECURITY")
        assert backfill(database, "t")["written"] == 2
    finally:
        connection.execute("REASSIGN OWNED BY plain_owner TO postgres")
        connection.execute("DROP OWNED BY plain_owner")
        connection.execute("DROP ROLE plain_owner")


@pytest.mark.usefixtures("_template")
def test_several_databases_share_a_worker(
    create_database: CreateDatabase, worker: Worker, backfill: Any
) -> None:
    """The same names in each, other rows and other models: nothing is mixed up."""
    models = {"stand-in": 384, "stand-in-small": 8}
    for model, dimensions in models.items():
        database = create_database("rowvec_template")
        point_at(database, worker)
        with database.connect() as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, body text)")
            connection.execute("INSERT INTO t SELECT i, %s || i FROM generate_series(1, 20) AS i",
                               (model,))  # fmt: skip
            connection.execute("SELECT rowvec.create_embedding('t', %s, 'body')", (model,))
            assert backfill(database, "t")["written"] == 20
            assert connection.execute(
                "SELECT bool_and(vector_dims(embedding) = %s"
                " AND embedding = rowvec.embed(%s, body)) FROM t",
                (dimensions, model),
            ).fetchone() == (True,)
