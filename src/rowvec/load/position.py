"""Where a load from an API ended too early, kept in the database for the next one."""

from __future__ import annotations

import psycopg

from rowvec.db.connection import database_errors
from rowvec.db.queries import typed
from rowvec.errors import SourceInterrupted
from rowvec.load.row_source import RowSource


def resume(connection: psycopg.Connection, table: str, source: RowSource) -> str | None:
    """Makes the source begin where an earlier load of it into this table ended; gives that page."""
    if source.begin_at is None or not _is_kept(connection):
        return None
    with database_errors():
        row = connection.execute(
            typed("load_position"), {"table": table, "url": source.name}
        ).fetchone()
    if row is None:
        return None
    rest: str = row[0]
    source.begin_at(rest)
    return rest


def remember(
    connection: psycopg.Connection,
    table: str,
    source: RowSource,
    interrupted: SourceInterrupted | None,
) -> None:
    """Keeps where the source ended too early, or forgets it when it came to its end."""
    if source.begin_at is None or not _is_kept(connection):
        return
    parameters = {"table": table, "url": source.name}
    with database_errors():
        if interrupted is None:
            connection.execute(typed("forget_load_position"), parameters)
        else:
            connection.execute(
                typed("remember_load_position"), {**parameters, "rest": interrupted.rest}
            )


def _is_kept(connection: psycopg.Connection) -> bool:
    """Whether the database has a place for it, which a load alone does not need."""
    with database_errors():
        row = connection.execute(typed("keeps_load_positions")).fetchone()
    assert row is not None
    return bool(row[0])
