"""The database's entry of its worker: the foreign server `rowvec_worker` and its one mapping."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rowvec.db.connection import database_errors
from rowvec.db.queries import query
from rowvec.errors import SchemaError


def worker_options(conn: psycopg.Connection) -> dict[str, str]:
    """The libpq options under which the database finds its worker; no password."""
    return _entry(conn)[0]


def set_worker(
    conn: psycopg.Connection, options: Mapping[str, str], password: SecretStr | None = None
) -> bool:
    """Sets these options and keeps the others; True if anything changed.

    Sessions that are connected notice when they next have to connect. Without `password` the one
    that is there stays.
    """
    with database_errors(), conn.transaction():
        server, mapping = _entry(conn)
        changes = [
            sql.SQL("{} {} {}").format(
                sql.SQL("SET" if name in server else "ADD"),
                sql.Identifier(name),
                sql.Literal(value),
            )
            for name, value in options.items()
            if server.get(name) != value
        ]
        if changes:
            conn.execute(
                sql.SQL("ALTER SERVER rowvec_worker OPTIONS ({})").format(
                    sql.SQL(", ").join(changes)
                )
            )
        if password is None or mapping == _mapping(password):
            return bool(changes)
        # Made anew: who may set a mapping's options may not always see whether there are any.
        conn.execute(sql.SQL("DROP USER MAPPING IF EXISTS FOR rowvec_caller SERVER rowvec_worker"))
        conn.execute(
            sql.SQL(
                "CREATE USER MAPPING FOR rowvec_caller SERVER rowvec_worker "
                "OPTIONS (user {user}, password {password})"
            ).format(**{name: sql.Literal(value) for name, value in _mapping(password).items()})
        )
        return True


def _mapping(password: SecretStr) -> dict[str, str]:
    """Who the database is to its worker."""
    return {"user": "rowvec", "password": password.get_secret_value()}


def _entry(conn: psycopg.Connection) -> tuple[dict[str, str], dict[str, str] | None]:
    """Options of the server, and of the mapping where this user may see them."""
    with database_errors():
        row = conn.execute(query("worker_entry")).fetchone()
    if row is None:
        raise SchemaError("rowvec is not installed in this database", hint="run `rowvec migrate`")
    return row[0] or {}, row[1]
