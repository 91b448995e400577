"""docs/recipes/tune.md, command by command."""

from __future__ import annotations

import shlex
from pathlib import Path

import psycopg
import pytest

from support.commands import Rowvec
from support.places import blocks_of
from support.postgres import Database

# A dozen jobs, each of which measures.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def dsn(database: Database, rowvec: Rowvec) -> str:
    """The demo's table with other texts and the stand-in model."""
    found = database.dsn
    with database.connect() as connection:
        connection.execute(
            "CREATE TABLE python_api AS SELECT i AS id, 'zip_' || i AS name"
            " FROM generate_series(1, 300) AS i"
        )
        connection.execute("ALTER TABLE python_api ADD PRIMARY KEY (id)")
        connection.execute("SELECT rowvec.create_embedding('python_api', 'stand-in', 'name')")
    done = rowvec("backfill", "python_api", "--dsn", found)
    assert done.returncode == 0, done.stderr
    return found


def test_every_command_and_statement(dsn: str, rowvec: Rowvec, tmp_path: Path) -> None:
    (tmp_path / "queries.txt").write_text("compress a file\nsend a mail\n")
    said: dict[str, str] = {}
    for language, text in blocks_of("tune.md"):
        if language == "sql":
            with psycopg.connect(dsn, autocommit=True) as connection:
                for statement in text.split(";\n"):
                    if statement.strip():
                        assert len(connection.execute(statement.encode()).fetchall()) == 5
            continue
        for line in text.splitlines():
            arguments = [
                str(tmp_path / word) if word.endswith((".html", ".txt")) else word
                for word in shlex.split(line)[1:]
            ]
            done = rowvec(*arguments, "--dsn", dsn)
            assert done.returncode == 0, (line, done.stderr)
            said[line] = done.stdout + done.stderr
    assert "17 lists: the root of 300 rows" in said["rowvec index python_api --dry-run"]
    assert (tmp_path / "recall.html").read_text().startswith("<!doctype html>")
    assert "2 queries" in said["rowvec tune python_api --queries queries.txt --target-recall 0.9"]
    assert "ivfflat.probes" in said["rowvec tune python_api --apply role"].replace('"', "")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER RESET ALL")
