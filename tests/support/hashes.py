"""What stands beside the vectors of an embedding."""

from __future__ import annotations

from typing import Any

import psycopg


def row_hash(connection: psycopg.Connection[Any], table: str, name: str = "embedding") -> str:
    """The SQL of the hash beside a vector that was made of a row; NULL where it has no text."""
    found = connection.execute(
        "SELECT rowvec._row_hash(e) FROM rowvec.embedding AS e"
        " WHERE e.source = %s::regclass AND e.name = %s",
        (table, name),
    ).fetchone()
    assert found is not None
    return str(found[0])


def mark_filled(connection: psycopg.Connection[Any], table: str, name: str = "embedding") -> None:
    """Says of all vectors that are there that they were made of their rows."""
    of = row_hash(connection, table, name)
    connection.execute(f"UPDATE {table} SET {name}_of = {of}".encode())
