"""A load from an API that ended too early goes on where it ended."""

from __future__ import annotations

import psycopg

from rowvec.db.load_position import LoadPosition
from rowvec.errors import SourceInterrupted
from rowvec.load.row_source import RowSource


def resume(connection: psycopg.Connection, table: str, source: RowSource) -> str | None:
    """Makes the source begin where an earlier load of it into this table ended; gives that page."""
    if source.begin_at is None:
        return None
    rest = LoadPosition(connection, table, source.name).get()
    if rest is not None:
        source.begin_at(rest)
    return rest


def remember(
    connection: psycopg.Connection,
    table: str,
    source: RowSource,
    interrupted: SourceInterrupted | None,
) -> None:
    """Keeps where the source ended too early, or forgets it when it came to its end."""
    if source.begin_at is None:
        return
    position = LoadPosition(connection, table, source.name)
    if interrupted is None:
        position.forget()
    else:
        position.keep(interrupted.rest)
