"""The embedding of a table that is being loaded, declared in the same step."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import tuple_row

from rowvec.db.connection import fetch, fetch_typed
from rowvec.db.schema import require_head


@dataclass(frozen=True)
class Embedding:
    """What is embedded by which model: an SQL expression over the columns of a row."""

    model: str
    input: str


def check(connection: psycopg.Connection, embedding: Embedding) -> None:
    """Returns where the model can be had; else raises before anything is loaded."""
    require_head(connection)
    fetch(connection, "try_model", {"model": embedding.model}, tuple_row)


def declare(connection: psycopg.Connection, table: str, embedding: Embedding) -> None:
    """Declares it, unless the table has one of that name that is the same; raises DatabaseError."""
    parameters = {"source": table, "model": embedding.model, "input": embedding.input}
    fetch_typed(connection, "declare_embedding", parameters, tuple_row)
