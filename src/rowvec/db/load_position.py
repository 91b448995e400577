"""Where a load from an API ended too early, kept in the database for the next one."""

from __future__ import annotations

import psycopg
from psycopg.rows import tuple_row

from rowvec.db.connection import database_errors, fetch_typed, users_path
from rowvec.db.queries import typed


class LoadPosition:
    """The position of loads from `url` into `table`; none where the database has no place for it.

    A load alone does not need rowvec's schema. Every method raises DatabaseError.
    """

    def __init__(self, connection: psycopg.Connection, table: str, url: str) -> None:
        self._connection = connection
        self._named = {"table": table, "url": url}

    def get(self) -> str | None:
        """The page at which the last load ended too early."""
        if not self._is_kept():
            return None
        found = fetch_typed(self._connection, "load_position", self._named, tuple_row)
        return str(found[0][0]) if found else None

    def keep(self, rest: str) -> None:
        """The next load begins at this page."""
        self._run("remember_load_position", rest=rest)

    def forget(self) -> None:
        """The next load begins at the beginning."""
        self._run("forget_load_position")

    def _run(self, statement: str, **more: str) -> None:
        if self._is_kept():
            with users_path(self._connection), database_errors():
                self._connection.execute(typed(statement), self._named | more)

    def _is_kept(self) -> bool:
        ((kept,),) = fetch_typed(self._connection, "keeps_load_positions", None, tuple_row)
        return bool(kept)
