"""Searches as the command line runs them: one SQL call, its rows, and the SQL for psql."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg.rows import class_row

from rowvec.db.connection import fetch_typed
from rowvec.db.for_psql import call, nearest_to_image


@dataclass(frozen=True)
class Found:
    """One row that was found, the best first; `key` and `row` as JSON has them.

    `distance` is None of a row without a vector, which only its words can find.
    """

    key: object
    distance: float | None
    rank: int
    row: dict[str, Any]


@dataclass(frozen=True)
class Search:
    """Rows like a text. `filter` is SQL over the row, its $1, $2 ... the `filter_args`.

    `method` is vector, text or hybrid; `rerank` names a cross-encoder for the best of them.
    """

    source: str
    query: str
    k: int = 10
    filter: str | None = None
    filter_args: tuple[str, ...] = ()
    embedding: str | None = None
    method: str | None = None
    rerank: str | None = None

    def run(self, connection: psycopg.Connection) -> list[Found]:
        """The nearest rows; raises DatabaseError."""
        return _run(connection, "search", vars(self) | {"filter_args": self._filter_args})

    def as_sql(self) -> str:
        """The same as a statement for psql."""
        return call(
            "search",
            self.source,
            self.query,
            k=self.k,
            filter=self.filter,
            embedding=self.embedding,
            method=self.method,
            rerank=self.rerank,
            filter_args=self._filter_args,
        )

    @property
    def _filter_args(self) -> str | None:
        return orjson.dumps(self.filter_args).decode() if self.filter_args else None


@dataclass(frozen=True)
class Similar:
    """Rows like another row, which is not among them. `key` is JSON."""

    source: str
    key: str
    k: int = 10
    embedding: str | None = None

    def run(self, connection: psycopg.Connection) -> list[Found]:
        """The nearest rows; raises DatabaseError."""
        return _run(connection, "similar", vars(self))

    def as_sql(self) -> str:
        """The same as a statement for psql."""
        return call("similar", self.source, self.key, k=self.k, embedding=self.embedding)


@dataclass(frozen=True)
class SimilarImage:
    """Rows like an image. `image` is a file's bytes, `name` what messages call it."""

    source: str
    image: bytes
    name: str
    k: int = 10
    embedding: str | None = None

    def run(self, connection: psycopg.Connection) -> list[Found]:
        """The nearest rows; raises DatabaseError."""
        return _run(connection, "similar_image", vars(self))

    def as_sql(self) -> str:
        """The same as a statement for psql."""
        return nearest_to_image(self.source, self.name, self.k)


def json_key(text: str) -> str:
    """A key as typed, as JSON: an object stays one, anything else is the one value of the key."""
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        is_object = False
    return text if is_object else orjson.dumps(text).decode()


def _run(connection: psycopg.Connection, name: str, parameters: dict[str, object]) -> list[Found]:
    return fetch_typed(connection, name, parameters, class_row(Found))
