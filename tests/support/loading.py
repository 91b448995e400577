"""`rowvec load` on a database of the test's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from click.testing import CliRunner, Result

from rowvec.cli import main
from support.postgres import Database

Load = Callable[..., Result]

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@pytest.fixture
def load(database: Database) -> Load:
    """Runs `rowvec load` on the test's database; `fails` is what its error says."""

    def run(*arguments: object, stdin: str = "", fails: str = "", code: int = 1) -> Result:
        clean = {name: None for name in os.environ if name.startswith(("ROWVEC_", "PG"))}
        done = CliRunner(env=clean).invoke(
            main, ["load", *map(str, arguments), "--dsn", database.dsn], input=stdin
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == (code if fails else 0), done.output
        assert fails in " ".join(done.stderr.split())
        return done

    return run


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


@pytest.fixture
def types(conn: psycopg.Connection) -> Callable[[str], dict[str, str]]:
    """A table's columns with their types, in order."""
    return lambda table: dict(conn.execute(COLUMNS, (table,)).fetchall())
