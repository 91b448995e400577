"""Databases that are not UTF8, and users whose libpq says another encoding."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from rowvec.db.schema import migrate
from rowvec.embedded.postgres import PostgresCluster
from support.commands import run_in_process
from support.postgres import Database
from support.workers import Worker, point_at


@pytest.fixture(params=["LATIN1", "EUC_JP", "SQL_ASCII"])
def foreign(
    request: pytest.FixtureRequest, cluster: PostgresCluster, worker: Worker
) -> Iterator[Database]:
    """A migrated database in another encoding, with a worker."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(
            f"CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C' ENCODING '{request.param}'"
            .encode()
        )  # fmt: skip
        database = Database(name, cluster)
        migrate(database.dsn)
        point_at(database, worker)
        yield database
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def run(database: Database, *arguments: object, stdin: str = "", code: int = 0) -> str:
    done = run_in_process(*arguments, "--dsn", database.dsn, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_commands_work(foreign: Database) -> None:
    """An é is in all of these encodings, an emoji in none but those that keep any byte."""
    run(foreign, "load", "notes", "-", stdin='{"body": "caf\\u00e9"}\n{"body": "tea"}')
    with foreign.connect() as connection:
        connection.execute("SELECT rowvec.create_embedding('notes', 'stand-in', 'body')")
    run(foreign, "backfill", "notes")
    assert "café" in run(foreign, "search", "notes", "café")
    with foreign.connect() as connection:
        (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("",)
    if "SQL_ASCII" in str(encoding):  # whose own texts psycopg gives as bytes
        assert "tea" in run(foreign, "search", "notes", "🍵 tea")
    else:
        said = run(foreign, "search", "notes", "🍵 tea", code=1)
        assert "the encoding of the database has not all of these characters" in said
    run(foreign, "status")
    run(foreign, "verify", "notes")


def test_a_text_that_the_database_has_no_letters_for_is_one_row(foreign: Database) -> None:
    with foreign.connect() as connection:
        connection.execute("CREATE TABLE pages (id int PRIMARY KEY, page json)")
        connection.execute(
            """INSERT INTO pages SELECT i, CASE i WHEN 3 THEN '{"t": "\\ud83c\\udf75"}'::json
            ELSE '{"t": "tea"}' END FROM generate_series(1, 5) AS i"""
        )
        connection.execute("SELECT rowvec.create_embedding('pages', 'stand-in', $$page ->> 't'$$)")
        run(foreign, "backfill", "pages")
        done = connection.execute("SELECT array_agg(id ORDER BY id) FROM pages"
                                  " WHERE embedding IS NOT NULL").fetchone()  # fmt: skip
        assert done is not None
        assert set(done[0]) >= {1, 2, 4, 5}


@pytest.mark.parametrize("encoding", ["LATIN1", "SJIS", "SQL_ASCII"])
def test_whatever_libpq_is_told(
    database: Database, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    run(database, "load", "notes", "-", stdin='{"body": "caf\\u00e9 \\ud83c\\udf75"}')
    with database.connect() as connection:
        connection.execute("SELECT rowvec.create_embedding('notes', 'stand-in', 'body')")
    run(database, "backfill", "notes")
    assert "café 🍵" in run(database, "search", "notes", "🍵")
