"""`rowvec load` on the database of the test."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import psycopg
import pytest

from support.commands import Completed, Run

Load = Callable[..., Completed]
Types = Callable[[str], dict[str, str]]

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@pytest.fixture
def load(run: Run) -> Load:
    """Runs `rowvec load`; `fails` is what its error says."""
    return partial(run, "load")


@pytest.fixture
def types(connection: psycopg.Connection) -> Types:
    """A table's columns with their types, in order."""
    return lambda table: dict(connection.execute(COLUMNS, (table,)).fetchall())
