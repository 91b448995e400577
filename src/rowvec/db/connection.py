"""Where the database is, how to connect to it, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from pydantic import SecretStr

from rowvec.config import Settings, libpq_environment_is_set
from rowvec.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    input_named_in,
)

# serialization_failure, deadlock_detected, lock_not_available
_CONFLICTS = frozenset({"40001", "40P01", "55P03"})
# Classes of connections, resources and shutdown, and read_only_sql_transaction (a standby).
_UNAVAILABLE = ("08", "53", "57P", "25006")

# Names mean Postgres's own, and nothing that others made in `public` or left in the session. The
# statement itself has no name in it that could mean something else.
PIN: LiteralString = "SET search_path = pg_catalog, pg_temp"

# What the role, the database or the DSN says.
UNPIN: LiteralString = "RESET search_path"
USABLE = (TransactionStatus.IDLE, TransactionStatus.INTRANS)

# The database that `rowvec up` makes in its cluster.
EMBEDDED_DATABASE = "rowvec"


def embedded_dsn(settings: Settings) -> str:
    """The URI of the database of `rowvec up`; its socket knows the system user, no password."""
    return f"postgresql://postgres@/{EMBEDDED_DATABASE}?host={quote(str(settings.data / 'run'))}"


def resolve_dsn(settings: Settings) -> str:
    """The DSN of the setting, else libpq's own variables, else the cluster of `rowvec up`.

    An empty string leaves everything to libpq (PG* variables, service files, its defaults).
    """
    if settings.dsn:
        return settings.dsn
    if not libpq_environment_is_set() and (settings.data / "postgres").is_dir():
        return embedded_dsn(settings)
    return ""


def as_user(dsn: str, user: str, password: SecretStr | None) -> str:
    """The DSN for another user; a password in it is the first one's, and stays behind."""
    with database_errors():
        parts: dict[str, Any] = conninfo_to_dict(dsn)
    parts["password"] = None if password is None else password.get_secret_value()
    return make_conninfo(**(parts | {"user": user}))


def without_password(dsn: str) -> str:
    """The DSN as it may be shown."""
    try:
        parts: dict[str, Any] = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "(no DSN that libpq can read)"
    parts.pop("password", None)
    return make_conninfo(**parts)


@contextmanager
def database_errors() -> Iterator[None]:
    """Turns psycopg's errors into DatabaseError with their SQLSTATE, message and hint."""
    try:
        yield
    except psycopg.Error as exc:
        raise translate(exc) from exc


def translate(exc: psycopg.Error) -> DatabaseError:
    """Psycopg's error as ours: one line, the hint or detail of Postgres, its SQLSTATE."""
    message = exc.diag.message_primary or " ".join(str(exc).split()) or type(exc).__name__
    number = input_named_in(exc.diag.message_detail)
    detail = exc.diag.message_detail if number is None else None
    error = _class_of(exc)(message, hint=exc.diag.message_hint or detail, code=exc.sqlstate)
    error.input_number = number
    return error


def _class_of(exc: psycopg.Error) -> type[DatabaseError]:
    if exc.sqlstate in _CONFLICTS:
        return DatabaseConflict
    if exc.sqlstate is not None:
        return DatabaseUnavailable if exc.sqlstate.startswith(_UNAVAILABLE) else DatabaseError
    # libpq gives no SQLSTATE where the line broke or nobody answered.
    lost = isinstance(exc, psycopg.OperationalError)
    return DatabaseUnavailable if lost else DatabaseError


def connect(dsn: str, *, application_name: str = "rowvec") -> psycopg.Connection:
    """An autocommit connection, pinned; raises DatabaseError that says what libpq said."""
    with database_errors():
        connection = psycopg.connect(dsn, autocommit=True, application_name=application_name)
        connection.execute(PIN)
    return connection


@contextmanager
def users_path(connection: psycopg.Connection) -> Iterator[None]:
    """Within the block names mean what they mean in a session that the user opens.

    What is ours in a statement is qualified there: others may have made whatever else is found.
    """
    before = connection.execute("SHOW search_path").fetchone()
    connection.execute(UNPIN)
    try:
        yield
    finally:
        # A transaction that failed takes its settings back by itself.
        if connection.info.transaction_status in USABLE:
            connection.execute("SELECT pg_catalog.set_config('search_path', %s, false)", before)
