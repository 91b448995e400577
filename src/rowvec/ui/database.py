"""What the pages know of the database: read-only connections, and the embeddings that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import orjson
import psycopg
from numpy.typing import NDArray
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from rowvec.db.connection import database_errors
from rowvec.db.queries import query
from rowvec.errors import DatabaseUnavailable

APPLICATION = "rowvec ui"
_STATEMENT_SECONDS = 30
_CONNECT_SECONDS = 10
_CONNECTIONS = 4


class Database:
    """A few connections that can write nothing, as `role` where one is given.

    Every transaction on them is READ ONLY, so neither a filter that a visitor types nor a function
    that it calls can change a row. What may be read is what the role may read.
    """

    def __init__(self, dsn: str, role: str | None) -> None:
        self.dsn = _read_only(dsn, role)
        self._pool = ConnectionPool(
            self.dsn,
            min_size=0,
            max_size=_CONNECTIONS,
            open=False,
            timeout=_CONNECT_SECONDS,
            kwargs={"autocommit": True, "application_name": APPLICATION},
            check=ConnectionPool.check_connection,
        )

    def __enter__(self) -> Self:
        """Opens the pool; raises DatabaseError where the database or the role cannot be had."""
        self._pool.open()
        try:
            with self.connection():
                pass
        except BaseException:
            self._pool.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.close()

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection for the block; raises DatabaseError, from the block too."""
        try:
            with database_errors(), self._pool.connection() as connection:
                yield connection
        except PoolTimeout as exc:
            raise DatabaseUnavailable(
                "the database cannot be reached", hint="see the log of `rowvec ui` for the reason"
            ) from exc

    def embeddings(self) -> list[dict[str, Any]]:
        """Every embedding with its progress, as rowvec.status has it; raises DatabaseError."""
        return self._dicts("ui_embeddings")

    def embedding(self, number: int) -> dict[str, Any] | None:
        """The definition with this id, None where there is none; raises DatabaseError."""
        found = self._dicts("ui_embedding", {"id": number})
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

    def _dicts(self, name: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        with self.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query(name), parameters).fetchall()


def _read_only(dsn: str, role: str | None) -> str:
    """The DSN with settings of every session behind those that it has itself."""
    with database_errors():
        settings = str(conninfo_to_dict(dsn).get("options") or "")
        settings += (
            f" -c default_transaction_read_only=on -c statement_timeout={_STATEMENT_SECONDS}s"
        )
        if role is not None:
            escaped = re.sub(r"([\\\s])", r"\\\1", role)
            settings += f" -c role={escaped}"
        return make_conninfo(dsn, options=settings.strip())
