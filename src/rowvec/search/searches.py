"""Searches as the command line runs them: one SQL call, its rows, and the SQL for psql."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg.rows import class_row

from rowvec.db.connection import database_errors, users_path
from rowvec.db.queries import typed


@dataclass(frozen=True)
class Found:
    """One row that was found, the best first; `key` and `row` as JSON has them.

    `distance` is None of a row without a vector, which only its words can find.
    """

    key: Any
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
        arguments = orjson.dumps(self.filter_args).decode() if self.filter_args else None
        parameters = vars(self) | {"filter_args": arguments}
        return _run(connection, "search", parameters)

    def as_sql(self) -> str:
        """The same as a statement for psql."""
        named: dict[str, Any] = {
            "filter": self.filter,
            "embedding": self.embedding,
            "method": self.method,
            "rerank": self.rerank,
        }
        if self.filter_args:
            named["filter_args"] = orjson.dumps(self.filter_args).decode()
        return _statement("search", self.source, self.query, self.k, named)


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
        return _statement("similar", self.source, self.key, self.k, {"embedding": self.embedding})


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
        """The same as a statement for psql, which cannot read a file into a parameter by itself."""
        source = sql.Literal(self.source).as_string().strip()
        return (
            f"SELECT * FROM rowvec.nearest({source}, rowvec.embed_image("  # noqa: S608
            f"'the model', pg_read_binary_file('{self.name}')), k => {self.k});"
        )


def json_key(text: str) -> str:
    """A key as typed, as JSON: an object stays one, anything else is the one value of the key."""
    try:
        is_object = isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        is_object = False
    return text if is_object else orjson.dumps(text).decode()


def _run(connection: psycopg.Connection, name: str, parameters: dict[str, Any]) -> list[Found]:
    with (
        database_errors(),
        users_path(connection),
        connection.cursor(row_factory=class_row(Found)) as cursor,
    ):
        return cursor.execute(typed(name), parameters).fetchall()


def _statement(function: str, source: str, what: str, k: int, named: dict[str, Any]) -> str:
    given = {name: value for name, value in named.items() if value is not None}
    # as_string puts a space before a literal that needs E'...'.
    arguments = [sql.Literal(value).as_string().strip() for value in (source, what, k)]
    arguments[-1] = f"k => {arguments[-1]}"
    arguments += [f"{n} => {sql.Literal(v).as_string().strip()}" for n, v in given.items()]
    return f"SELECT * FROM rowvec.{function}({', '.join(arguments)});"  # noqa: S608 - only printed
