"""The embedding of a table that is being loaded, declared in the same step."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from rowvec.db.connection import database_errors
from rowvec.db.queries import typed
from rowvec.db.schema import require_head


@dataclass(frozen=True)
class Embedding:
    """What is embedded by which model: an SQL expression over the columns of a row."""

    model: str
    input: str


def check(connection: psycopg.Connection, embedding: Embedding) -> None:
    """Returns where the model can be had; else raises before anything is loaded."""
    require_head(connection)
    with database_errors():
        connection.execute("SELECT rowvec.embed(%s, 'rowvec')", (embedding.model,))


def declare(connection: psycopg.Connection, table: str, embedding: Embedding) -> None:
    """Declares it, unless the table has one of that name that is the same; raises DatabaseError."""
    with database_errors():
        connection.execute(
            typed("declare_embedding"),
            {"source": table, "model": embedding.model, "input": embedding.input},
        )
