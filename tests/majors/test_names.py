"""What others make in a schema on the path is never taken for Postgres's own, whoever runs us."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Iterator

import pytest

from rowvec.ask.passages import Question
from rowvec.backfill.report import LogReporter
from rowvec.backfill.run import BackfillRequest, backfill
from rowvec.config import Settings
from rowvec.db.connection import connect
from rowvec.db.exported_rows import exported
from rowvec.db.schema import migrate
from rowvec.db.worker_address import worker_conninfo
from rowvec.search.searches import Search, Similar
from support.hostile import Hostile, functions, operators, others
from support.postgres import Database

WAYS = {
    "vector": "SELECT * FROM rowvec.search('notes', 'row 3', k => 3)",
    "filter": "SELECT * FROM rowvec.search('notes', 'row 3', filter => 'id > $1',"
    " filter_args => '[2]')",
    "hybrid": "SELECT * FROM rowvec.search('notes', 'row 3', method => 'hybrid')",
    "text": "SELECT * FROM rowvec.search('notes', 'row', method => 'text')",
    "current": """SELECT * FROM rowvec.search('notes', 'row', options => '{"current": true}')""",
    "rows": "SELECT * FROM rowvec.search_rows(NULL::notes, 'row 3')",
    "nearest": "SELECT * FROM rowvec.nearest('notes', rowvec.embed_query('notes', 'row 3'))",
    "similar": "SELECT * FROM rowvec.similar('notes', '3', filter => 'id > 1')",
    "pairs": "SELECT * FROM rowvec.similar_pairs('notes', k => 2)",
    "context": "SELECT rowvec.context('notes', '3 title 3 row 3')",
    "rows of a query": "SELECT * FROM rowvec.embed_rows('stand-in', 'SELECT 1, ''a''')",
    "status": "SELECT * FROM rowvec.status",
    "progress": "SELECT * FROM rowvec.progress",
    "truncated": "SELECT * FROM rowvec.truncated('notes')",
    "verify": "SELECT * FROM rowvec.verify('notes')",
    "retry": "SELECT rowvec.retry('notes')",
    "text search": "SELECT rowvec.set_text_search('notes')",
    "alter": "SELECT rowvec.alter_embedding('notes', on_truncate => 'error')",
    "call": "CALL rowvec.backfill('notes')",
}


@pytest.fixture
def hostile(database: Database) -> Iterator[Hostile]:
    """What it made is there before rowvec's own functions run, and after the definition."""
    name = f"hostile_{uuid.uuid4().hex[:8]}"
    with database.connect() as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN".encode())
        admin.execute("CREATE TABLE notes (id int PRIMARY KEY, title varchar, body text)")
        admin.execute(
            "INSERT INTO notes SELECT i, 'title ' || i, 'row ' || i"
            " FROM generate_series(1, 20) AS i"
        )
        # Of operators and functions that take anything: others fit such arguments better.
        admin.execute(
            "SELECT rowvec.create_embedding('notes', 'stand-in',"
            " $$id || ' ' || coalesce(title, '') || ' ' || coalesce(body, '')$$,"
            " filter => 'id <> 7')"
        )
        with database.connect(name) as own:
            made = Hostile(admin, own, name)
            made.prepare()
            count = made.makes(itertools.chain(functions(), operators(), others()))
            assert count > 3000
            yield made
        admin.execute(f"DROP OWNED BY {name} CASCADE".encode())
        admin.execute(f"DROP ROLE {name}".encode())


def by_backfill(database: Database) -> None:
    settings = Settings.build(dsn=database.dsn, commit_rows=8)
    asyncio.run(
        backfill(
            settings, BackfillRequest("notes"), worker=worker_conninfo(settings),
            reporter=LogReporter(), stop=asyncio.Event(),
        )
    )  # fmt: skip


def test_no_name_of_ours_means_somebody_elses(hostile: Hostile, database: Database) -> None:
    """As a superuser, whose path begins with "$user" and public, as everybody's does."""
    by_backfill(database)
    with connect(database.dsn) as conn:
        for ask in (
            Search("notes", "row 3", filter="id > $1", filter_args=("2",), method="hybrid"),
            Similar("notes", "3"),
        ):
            assert ask.run(conn), ask
        assert Question("notes", "3 title 3 row 3").passages(conn)
        with exported(conn, "notes", None) as rows:
            assert rows.count == 19
        assert hostile.caught() == []
    migrate(database.dsn)
    with database.connect() as conn:
        conn.execute("UPDATE notes SET body = NULL WHERE id = 3")
        for way, statement in WAYS.items():
            conn.execute(statement.encode())
            assert hostile.caught() == [], way
    assert hostile.caught() == []
