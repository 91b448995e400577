"""A server that goes away while a connection is at work."""

from __future__ import annotations

import pytest

from rowvec.db.connection import connect
from rowvec.errors import DatabaseUnavailable
from support.postgres import Database


def ask_in_vain(database: Database) -> None:
    with connect(database.dsn) as connection:
        with database.connect() as admin:
            pid = connection.info.backend_pid
            admin.execute("SELECT pg_terminate_backend(%s, 60000)", (pid,))
        connection.execute("SELECT 1")


def test_a_connection_that_is_lost_in_its_block_is_an_error_of_ours(database: Database) -> None:
    """Else who waits for the database, as a sync does, would end with a traceback."""
    with pytest.raises(DatabaseUnavailable):
        ask_in_vain(database)
