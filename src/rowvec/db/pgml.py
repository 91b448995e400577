"""The schema pgml: PostgresML's functions over ours, made by `rowvec migrate --with pgml`."""

from __future__ import annotations

import psycopg
from psycopg import sql

from rowvec.db.queries import query
from rowvec.errors import DatabaseError

_RECORD = """
INSERT INTO rowvec.setting (name, value, description)
VALUES ('pgml', 'true', 'migrate keeps PostgresML''s functions in the schema pgml')
ON CONFLICT (name) DO NOTHING
"""


def is_wanted(conn: psycopg.Connection) -> bool:
    """Whether the schema pgml is there, and ours to keep up to date."""
    row = conn.execute(
        "SELECT to_regnamespace('pgml') IS NOT NULL AND EXISTS "
        "(SELECT FROM rowvec.setting WHERE name = 'pgml')"
    ).fetchone()
    return row is not None and bool(row[0])


def prepare(conn: psycopg.Connection) -> None:
    """Makes the schema pgml ours; its functions come with the next files that migrate applies.

    Tables in it are no obstacle: that is where PostgresML's users have theirs. Raises
    DatabaseError if PostgresML itself, or another owner, has functions there.
    """
    if is_wanted(conn):
        return
    strangers = [str(row[0]) for row in conn.execute(query("strangers_in_pgml"))]
    if strangers:
        raise DatabaseError(
            f"the schema pgml has functions that are not rowvec's: {', '.join(strangers)}",
            hint="install rowvec's pgml in a database without PostgresML, or use rowvec.embed here",
            code="42P06",
        )
    with conn.transaction():
        conn.execute("CREATE SCHEMA IF NOT EXISTS pgml")
        conn.execute("DELETE FROM rowvec.sql_object WHERE path LIKE 'pgml/%'")
        conn.execute(_RECORD)


def grant(conn: psycopg.Connection) -> None:
    """Lets into the schema who may embed; the files of its functions have their own grants."""
    conn.execute("GRANT USAGE ON SCHEMA pgml TO rowvec_user")


def drop_functions(conn: psycopg.Connection) -> None:
    """Removes our functions; the schema with the user's tables stays."""
    for (signature,) in conn.execute(query("functions_of_pgml")).fetchall():
        conn.execute(sql.SQL("DROP FUNCTION {}").format(sql.SQL(signature)))
