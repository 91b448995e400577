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
    "chunks": "SELECT * FROM rowvec.search('pages', 'row 3', filter => 'id > 1')",
    "words of chunks": "SELECT * FROM rowvec.search('pages', 'row 3', method => 'hybrid')",
    "truncated chunks": "SELECT * FROM rowvec.truncated('pages')",
    "chunks by hand": "DELETE FROM pages_embedding WHERE id < 4",
    "all chunks by hand": "TRUNCATE pages_embedding",
    "adopted": """SELECT * FROM rowvec.search('old', 'row', options => '{"current": true}')""",
    "verify what is adopted": "SELECT * FROM rowvec.verify('old')",
    "call for what is adopted": "CALL rowvec.backfill('old')",
}

# Of operators and functions that take anything: others fit such arguments better.
TEXT = "$$id || ' ' || coalesce(title, '') || ' ' || coalesce(body, '')$$"
# Vectors in a column, chunks of an input that may raise an error, and vectors adopted on trust.
TABLES = f"""
CREATE TABLE notes (id int PRIMARY KEY, title varchar, body text);
INSERT INTO notes SELECT i, 'title ' || i, 'row ' || i FROM generate_series(1, 20) AS i;
CREATE TABLE pages AS SELECT id, title, to_json(body)::varchar AS body FROM notes;
CREATE TABLE old AS SELECT *, rowvec.embed('stand-in', body)::vector(384) AS embedding FROM notes;
ALTER TABLE pages ADD PRIMARY KEY (id);
ALTER TABLE old ADD PRIMARY KEY (id);
SELECT rowvec.create_embedding('notes', 'stand-in', {TEXT}, filter => 'id <> 7');
SELECT rowvec.create_embedding('pages', 'stand-in',
    $$id || ' ' || title || ' ' || (body::json #>> '{{}}')$$, filter => 'id <> 7',
    destination => 'table');
SELECT rowvec.create_embedding('old', 'stand-in', {TEXT}, filter => 'id <> 7', adopt => 'trust')
"""


@pytest.fixture
def hostile(database: Database) -> Iterator[Hostile]:
    """What it made is there before rowvec's own functions run, and after the definition."""
    name = f"hostile_{uuid.uuid4().hex[:8]}"
    with database.connect() as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN".encode())
        admin.execute(TABLES.encode())
        with database.connect(name) as own:
            made = Hostile(admin, own, name)
            made.prepare()
            count = made.makes(itertools.chain(functions(), operators(), others()))
            assert count > 3000
            yield made
        admin.execute(f"DROP OWNED BY {name} CASCADE".encode())
        admin.execute(f"DROP ROLE {name}".encode())


def by_backfill(database: Database, table: str) -> None:
    settings = Settings.build(dsn=database.dsn, commit_rows=8)
    asyncio.run(
        backfill(
            settings, BackfillRequest(table), worker=worker_conninfo(settings),
            reporter=LogReporter(), stop=asyncio.Event(),
        )
    )  # fmt: skip


@pytest.mark.timeout(600)
def test_no_name_of_ours_means_somebody_elses(hostile: Hostile, database: Database) -> None:
    """As a superuser, whose path begins with "$user" and public, as everybody's does."""
    for table in ("notes", "pages", "old"):
        by_backfill(database, table)
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
        for table in ("notes", "old"):
            conn.execute(f"UPDATE {table} SET body = NULL WHERE id = 3".encode())
        for way, statement in WAYS.items():
            conn.execute(statement.encode())
            assert hostile.caught() == [], way
    by_backfill(database, "pages")
    assert hostile.caught() == []
