"""How the pages reach the database: one read-only connection per request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowvec.db.connection import connect, database_errors
from rowvec.db.page_rows import PageRows
from rowvec.db.viewer import refuse_more_than_read
from rowvec.errors import DatabaseUnavailable

APPLICATION = "rowvec ui"
_TURN_SECONDS = 10
_REQUESTS = 4

_NEEDS_A_ROLE = (
    "make a role for the page, `rowvec viewer NAME`, and give it: `rowvec ui --role NAME`"
)


class Database:
    """The database of the pages, for a few requests at once.

    The role that logs in limits what a visitor can do: it may only read. There are two more lines
    of defence: the transactions are READ ONLY, and every request has a connection of its own with
    one transaction that is rolled back, so no setting, lock, notification or prepared statement
    reaches the next request.
    """

    def __init__(self, dsn: str, *, statement_seconds: float) -> None:
        self._dsn = _read_only(dsn, statement_seconds)
        self._turns = BoundedSemaphore(_REQUESTS)

    def check(self) -> None:
        """Raises ConfigError where the role could do more than read, DatabaseError."""
        with connect(self._dsn, application_name=APPLICATION) as connection:
            refuse_more_than_read(connection, connection.info.user, hint=_NEEDS_A_ROLE)

    @contextmanager
    def turn(self) -> Iterator[str]:
        """The DSN, while one of the few requests may use it; raises DatabaseUnavailable."""
        if not self._turns.acquire(timeout=_TURN_SECONDS):
            raise DatabaseUnavailable(
                "other requests of this page keep the database busy", hint="try again"
            )
        try:
            yield self._dsn
        finally:
            self._turns.release()

    @contextmanager
    def reading(self) -> Iterator[PageRows]:
        """One request's view of the database; raises DatabaseError, from the block too."""
        with (
            self.turn() as dsn,
            connect(dsn, application_name=APPLICATION) as connection,
            connection.transaction(force_rollback=True),
        ):
            yield PageRows(connection)


def _read_only(dsn: str, statement_seconds: float) -> str:
    """The DSN with settings of every session behind those that it has itself."""
    with database_errors():
        settings = str(conninfo_to_dict(dsn).get("options") or "")
        limit = round(statement_seconds * 1000)
        settings += f" -c default_transaction_read_only=on -c statement_timeout={limit}ms"
        return make_conninfo(dsn, options=settings.strip())
