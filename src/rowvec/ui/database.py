"""What the pages know of the database: a read-only connection a request, and the embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any

import numpy as np
import orjson
import psycopg
from numpy.typing import NDArray
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from rowvec.db.connection import connect, database_errors, users_path
from rowvec.db.queries import query, typed
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

    What bounds a visitor is the role that logs in: it may do no more than read. READ ONLY is a
    second line, and so is that every request has a connection of its own, whose one transaction is
    rolled back: no setting, lock, notification or prepared statement reaches the next request.
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
    def reading(self) -> Iterator[Reading]:
        """One request's view of the database; raises DatabaseError, from the block too."""
        with (
            self.turn() as dsn,
            connect(dsn, application_name=APPLICATION) as connection,
            database_errors(),
            connection.transaction(force_rollback=True),
        ):
            yield Reading(connection)


class Reading:
    """The statements of one request, in its one transaction."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def embeddings(self) -> list[dict[str, Any]]:
        """Every embedding with its progress, as rowvec.status has it; raises DatabaseError."""
        return self._shown("ui_embeddings")

    def embedding(self, number: int) -> dict[str, Any] | None:
        """The definition with this id, None where there is none; raises DatabaseError."""
        found = self._shown("ui_embedding", {"id": number})
        return found[0] if found else None

    def failures(self, number: int, limit: int) -> list[dict[str, Any]]:
        """Rows that the model refused, the latest first; raises DatabaseError."""
        return self._dicts("ui_failures", {"id": number, "limit": limit})

    def measurements(self, number: int) -> list[dict[str, Any]]:
        """Recall and latency of the index, the fastest setting first; raises DatabaseError."""
        return self._dicts("ui_measurements", {"id": number})

    def setting(self, name: str) -> Any:
        """The value of a setting of the database; raises DatabaseError."""
        (found,) = self._dicts("setting", {"name": name})
        return found["value"]

    def has_derived(self, number: int, kind: str) -> bool:
        """Whether a table of this kind was made from the embedding; raises DatabaseError."""
        (found,) = self._dicts("ui_has_derived", {"id": number, "kind": kind})
        return bool(found["found"])

    def input_of(self, number: int, key: str) -> str | None:
        """What a row, named by its key as JSON, gives the model; raises DatabaseError."""
        (found,) = self._dicts("ui_input", {"id": number, "key": key})
        text: str | None = found["input"]
        return text

    def models(self) -> list[dict[str, Any]]:
        """What the worker serves; raises DatabaseError where it cannot be reached."""
        return self._dicts("ui_models")

    def embed(self, model: str, texts: list[str]) -> NDArray[np.float32]:
        """A vector a text, one request; raises DatabaseError."""
        found = self._dicts("ui_embed", {"model": model, "texts": texts})
        return np.array([orjson.loads(row["embedding"]) for row in found], np.float32)

    def _shown(self, name: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """With tables named as a session of this role writes them."""
        with (
            database_errors(),
            users_path(self.connection),
            self.connection.cursor(row_factory=dict_row) as cursor,
        ):
            return cursor.execute(typed(name), parameters).fetchall()

    def _dicts(self, name: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with database_errors(), self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query(name), parameters).fetchall()


def _read_only(dsn: str, statement_seconds: float) -> str:
    """The DSN with settings of every session behind those that it has itself."""
    with database_errors():
        settings = str(conninfo_to_dict(dsn).get("options") or "")
        limit = round(statement_seconds * 1000)
        settings += f" -c default_transaction_read_only=on -c statement_timeout={limit}ms"
        return make_conninfo(dsn, options=settings.strip())
