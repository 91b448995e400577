"""The demo's data and questions: Python's standard library as a table, three searches over it.

All of the library is taken: about 5,000 entries take less than a minute on two cores.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

from rowvec.db.connection import database_errors
from rowvec.db.queries import sql_file, sql_files
from rowvec.load.python_api import ApiEntry, python_api, standard_library

TABLE = "python_api"

_COPY = sql.SQL("COPY {} (name, signature, doc) FROM STDIN").format(sql.Identifier(TABLE))


def entries(modules: Iterable[str] = ()) -> list[ApiEntry]:
    """The standard library's functions and classes, of some top-level modules only where given."""
    wanted = set(modules)
    return [
        entry
        for entry in python_api(standard_library())
        if not wanted or entry.name.split(".")[0] in wanted
    ]


def is_loaded(conn: psycopg.Connection) -> bool:
    """Makes the table where it is missing; whether it has rows."""
    with database_errors():
        conn.execute(sql_file("demo/table.sql"))
        row = conn.execute(
            sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(TABLE))
        ).fetchone()
        assert row is not None
        return bool(row[0])


def load(conn: psycopg.Connection, modules: Iterable[str] = ()) -> int:
    """Fills the table, all or nothing; gives the number of rows."""
    rows = entries(modules)
    with database_errors(), conn.transaction(), conn.cursor() as cursor:
        with cursor.copy(_COPY) as copy:
            for row in rows:
                copy.write_row(row)
        return len(rows)


def declare(conn: psycopg.Connection) -> str | None:
    """Creates the embedding and gives the SQL that did it; None if it was there."""
    with database_errors():
        there = conn.execute(
            "SELECT FROM rowvec.embedding WHERE source = %s::regclass", (TABLE,)
        ).fetchone()
        if there is not None:
            return None
        statement = sql_file("demo/embedding.sql")
        conn.execute(statement)
        return shown(statement)


def pending(conn: psycopg.Connection) -> int:
    """How many rows have yet to be embedded."""
    with database_errors():
        row = conn.execute(
            "SELECT pending FROM rowvec.status WHERE source = %s::regclass", (TABLE,)
        ).fetchone()
    assert row is not None
    return int(row[0])


def is_indexed(conn: psycopg.Connection) -> bool:
    """Whether the embedding has a usable index whose setting was measured."""
    with database_errors():
        return (
            conn.execute(
                "SELECT FROM rowvec.embedding AS e "
                "JOIN pg_index AS i ON i.indrelid = e.source AND i.indisvalid "
                "JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relname = e.index_name "
                "WHERE e.source = %s::regclass AND e.setting IS NOT NULL",
                (TABLE,),
            ).fetchone()
            is not None
        )


def warm_up(conn: psycopg.Connection) -> None:
    """Returns when the model can answer."""
    with database_errors():
        conn.execute("SELECT rowvec.embed_query(%s, '')", (TABLE,))


def searches() -> list[str]:
    """The statements of the three searches, as they are shown and run."""
    return [shown(text) for text in sql_files("demo/searches").values()]


def to_try() -> list[str]:
    """Statements for a person to paste into psql."""
    return [shown(text) for text in sql_files("demo/try").values()]


def ask(conn: psycopg.Connection, statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the columns and the rows of a search."""
    with database_errors(), conn.cursor() as cursor:
        cursor.execute(statement.encode())
        return [column.name for column in cursor.description or ()], cursor.fetchall()


def shown(text: str) -> str:
    """A file's statement without the comment that says who runs it."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("--"))
