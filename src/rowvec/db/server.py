"""The database's entry of its worker: the foreign server `rowvec_worker` and its one mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rowvec.db.connection import database_errors
from rowvec.db.queries import query
from rowvec.errors import SchemaError


def worker_options(conn: psycopg.Connection) -> dict[str, str]:
    """The libpq options under which the database finds its worker; no password."""
    return _entry(conn)[0]


def ping(conn: psycopg.Connection) -> None:
    """Calls the worker from the database; raises DatabaseError where it does not get through."""
    with database_errors():
        conn.execute("SELECT rowvec._ask('ping')")


@dataclass(frozen=True)
class Change:
    """What `set_worker` did. `quiet` unless Postgres may have logged the password."""

    made: bool
    quiet: bool = True


# Whatever would write a statement down; each is a superuser's to set, or granted.
_LOUD = (
    ("log_statement", "none"),
    ("log_duration", "off"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("log_transaction_sample_rate", "0"),
    ("log_min_error_statement", "panic"),
    ("pg_stat_statements.track_utility", "off"),
)


def set_worker(
    conn: psycopg.Connection, options: Mapping[str, str], password: SecretStr | None = None
) -> Change:
    """Sets these options and keeps the others.

    Sessions that are connected notice when they next have to connect. Without `password` the one
    that is there stays. A password is part of a statement: Postgres is asked not to write it down,
    where this user may ask that.
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
            return Change(bool(changes))
        quiet = _hush(conn)
        # Made again: a role that may set a mapping's options may not always see them.
        conn.execute(sql.SQL("DROP USER MAPPING IF EXISTS FOR rowvec_caller SERVER rowvec_worker"))
        conn.execute(
            sql.SQL(
                "CREATE USER MAPPING FOR rowvec_caller SERVER rowvec_worker "
                "OPTIONS (user {user}, password {password})"
            ).format(**{name: sql.Literal(value) for name, value in _mapping(password).items()})
        )
        return Change(made=True, quiet=quiet)


def _hush(conn: psycopg.Connection) -> bool:
    """Keeps this transaction's statements out of Postgres's log; whether that is so now."""
    quiet = True
    for name, value in _LOUD:
        row = conn.execute("SELECT current_setting(%s, true)", (name,)).fetchone()
        if row is None or row[0] is None or row[0] == value:
            continue
        try:
            with conn.transaction():
                conn.execute("SELECT set_config(%s, %s, true)", (name, value))
        except psycopg.errors.InsufficientPrivilege:
            # What errors write down is no matter where none is made.
            quiet = quiet and name in ("log_min_error_statement", "log_duration")
    return quiet


def _mapping(password: SecretStr) -> dict[str, str]:
    """Who the database is to its worker."""
    return {"user": "rowvec", "password": password.get_secret_value()}


def _entry(conn: psycopg.Connection) -> tuple[dict[str, str], dict[str, str] | None]:
    """Options of the server, and of the mapping where this user may see them."""
    with database_errors():
        row = conn.execute(query("worker_address")).fetchone()
    if row is None:
        raise SchemaError("rowvec is not installed in this database", hint="run `rowvec migrate`")
    return row[0] or {}, row[1]
