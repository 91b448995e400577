"""The table of `rowvec demo`, with its embedding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from rowvec.db.connection import database_errors
from rowvec.db.queries import sql_file

TABLE = "python_api"

_COPY = sql.SQL("COPY {} (name, signature, doc) FROM STDIN").format(sql.Identifier(TABLE))


def is_loaded(conn: psycopg.Connection) -> bool:
    """Makes the table where it is missing; whether it has rows."""
    with database_errors():
        conn.execute(sql_file("demo/table.sql"))
        row = conn.execute(
            sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(TABLE))
        ).fetchone()
        assert row is not None
        return bool(row[0])


def fill(conn: psycopg.Connection, rows: Iterable[tuple[str, str, str]]) -> None:
    """Fills the table with names, signatures and docstrings, all or nothing."""
    with database_errors(), conn.transaction(), conn.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row(row)


def declare(conn: psycopg.Connection) -> bool:
    """Creates the embedding; False if it was there."""
    if _has_row(
        conn,
        "SELECT FROM rowvec.embedding WHERE source OPERATOR(pg_catalog.=) %s::pg_catalog.regclass",
    ):
        return False
    with database_errors():
        conn.execute(sql_file("demo/embedding.sql"))
    return True


def pending(conn: psycopg.Connection) -> int:
    """How many rows have yet to be embedded."""
    with database_errors():
        row = conn.execute(
            "SELECT pending FROM rowvec.status"
            " WHERE source OPERATOR(pg_catalog.=) %s::pg_catalog.regclass",
            (TABLE,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def is_indexed(conn: psycopg.Connection) -> bool:
    """Whether the embedding has a usable index with a measured setting."""
    return _has_row(
        conn,
        "SELECT FROM rowvec.embedding AS e JOIN pg_catalog.pg_index AS i"
        " ON i.indrelid OPERATOR(pg_catalog.=) e.source AND i.indisvalid"
        " JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid"
        " AND c.relname OPERATOR(pg_catalog.=) e.index_name"
        " WHERE e.source OPERATOR(pg_catalog.=) %s::pg_catalog.regclass AND e.setting IS NOT NULL",
    )


def warm_up(conn: psycopg.Connection) -> None:
    """Returns when the model can answer."""
    with database_errors():
        conn.execute("SELECT rowvec.embed_query(%s, '')", (TABLE,))


def ask(conn: psycopg.Connection, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the columns and the rows of a search."""
    with database_errors(), conn.cursor() as cursor:
        cursor.execute(statement.encode())
        return [column.name for column in cursor.description or ()], cursor.fetchall()


def _has_row(conn: psycopg.Connection, statement: LiteralString) -> bool:
    with database_errors():
        return conn.execute(statement, (TABLE,)).fetchone() is not None
