"""What somebody sees whom a policy binds is computed from the rows that the policy shows."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from rowvec.ui import map_page
from support.commands import run_in_process
from support.postgres import Database

ROWS, SHOWN = 60, 20


@dataclass
class Bound:
    """A reader of `notes` who sees every third row, and the owner."""

    name: str
    reader: psycopg.Connection
    owner: psycopg.Connection

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        return self.reader.execute(statement.encode()).fetchall()


@pytest.fixture
def bound(database: Database) -> Iterator[Bound]:
    name = f"bound_{uuid.uuid4().hex[:8]}"
    with database.connect() as owner:
        owner.execute(
            "CREATE TABLE notes (id int PRIMARY KEY, body text);"
            f"INSERT INTO notes SELECT i, 'note ' || i || ' of a zebra'"
            f" FROM generate_series(1, {ROWS}) AS i;"
            f"CREATE ROLE {name} LOGIN IN ROLE rowvec_user; GRANT SELECT ON notes TO {name};"
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY third ON notes USING (id % 3 = 0)".encode()
        )
        with database.connect(name) as reader:
            yield Bound(name, reader, owner)
        owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def declare(bound: Bound, destination: str = "column") -> None:
    bound.owner.execute(
        "SELECT rowvec.create_embedding('notes', 'stand-in-small', 'body', destination => %s)",
        (destination,),
    )


def fill(database: Database) -> None:
    job(database, "backfill", "notes")


def job(database: Database, *arguments: str) -> None:
    done = run_in_process(*arguments, "--dsn", database.dsn)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("view", ["status", "progress"])
def test_counts(bound: Bound, view: str) -> None:
    declare(bound)
    for table, more in (("failure", "'22000', 'x'"), ("truncation", "9, 8")):
        columns = "sqlstate, message" if table == "failure" else "tokens, max_tokens"
        bound.owner.execute(
            f"INSERT INTO rowvec.{table} (embedding_id, key, input_hash, {columns})"
            f" SELECT e.id, to_jsonb(i), 1, {more} FROM rowvec.embedding AS e,"
            " generate_series(1, 12) AS i".encode()
        )
    columns = f"SELECT rows, pending, failed, truncated FROM rowvec.{view}"
    assert bound.ask(columns) == [(SHOWN, SHOWN, 4, 4)]
    assert bound.owner.execute(columns.encode()).fetchall() == [(ROWS, ROWS, 12, 12)]
    assert bound.ask("SELECT key FROM rowvec.failed_row ORDER BY key") == [(3,), (6,), (9,), (12,)]


def test_errors_are_for_those_who_may_read_the_table(bound: Bound) -> None:
    declare(bound)
    bound.owner.execute(
        "INSERT INTO rowvec.job (embedding_id, kind, host, pid, last_error, last_error_at)"
        " SELECT id, 'sync', 'here', 1, 'something', now() FROM rowvec.embedding;"
        "INSERT INTO rowvec.failure (embedding_id, key, sqlstate, message)"
        " SELECT id, '3', '22000', 'x' FROM rowvec.embedding"
    )
    assert bound.ask("SELECT last_error FROM rowvec.progress") == [("something",)]
    bound.owner.execute(f"REVOKE SELECT ON notes FROM {bound.name}".encode())
    assert bound.ask("SELECT last_error, failed FROM rowvec.progress") == [(None, None)]
    assert bound.ask("SELECT * FROM rowvec.failed_row") == []


@pytest.mark.parametrize("method", ["vector", "text", "hybrid"])
@pytest.mark.parametrize("destination", ["column", "table"])
def test_a_search_finds_as_many_as_are_shown(
    bound: Bound, database: Database, destination: str, method: str
) -> None:
    declare(bound, destination)
    fill(database)
    if destination == "table":
        bound.owner.execute(f"GRANT SELECT ON notes_embedding TO {bound.name}".encode())
    found = bound.ask(
        "SELECT key FROM rowvec.search('notes', 'a zebra', 15,"
        f""" options => '{{"method": "{method}", "candidates": 15}}')"""
    )
    assert len(found) == 15
    assert all(key % 3 == 0 for (key,) in found)


@pytest.mark.parametrize("destination", ["column", "table"])
def test_similar_rows_are_those_that_are_shown(
    bound: Bound, database: Database, destination: str
) -> None:
    declare(bound, destination)
    fill(database)
    if destination == "table":
        bound.owner.execute(f"GRANT SELECT ON notes_embedding TO {bound.name}".encode())
    found = bound.ask("SELECT key FROM rowvec.similar('notes', '3'::jsonb, 15)")
    assert len(found) == 15
    assert all(key % 3 == 0 for (key,) in found)


def test_pairs_are_of_rows_that_are_shown(bound: Bound, database: Database) -> None:
    declare(bound)
    fill(database)
    found = bound.ask("SELECT key, other_key FROM rowvec.similar_pairs('notes', 5)")
    assert len(found) == SHOWN * 5
    assert all(key % 3 == 0 and other % 3 == 0 for key, other in found)


def test_the_page_draws_the_points_of_rows_that_are_shown(bound: Bound, database: Database) -> None:
    declare(bound)
    fill(database)
    job(database, "map", "notes")
    job(database, "cluster", "notes", "3")
    bound.owner.execute(
        f"GRANT SELECT ON notes_map, notes_cluster, notes_centroid TO {bound.name}".encode()
    )
    dsn = database.cluster.dsn(database.name, bound.name)
    found = asyncio.run(map_page.read(dsn, {"table": "notes", "name": "embedding", "rows": None}))
    assert {row.key for row in found} == set(range(3, ROWS + 1, 3))
