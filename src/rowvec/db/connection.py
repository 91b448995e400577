"""Where the database is, how to connect to it, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import RowFactory
from pydantic import SecretStr

from rowvec.config import Settings, libpq_environment_is_set
from rowvec.db.queries import query, typed
from rowvec.db.said import said
from rowvec.errors import (
    DatabaseConflict,
    DatabaseError,
    DatabaseUnavailable,
    input_named_in,
)

R = TypeVar("R")

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

# Of what is sent and read, whatever the database and libpq's variables say: Python has all letters,
# and psycopg would give bytes where the encoding is SQL_ASCII.
ENCODING = "utf8"

# The database that `rowvec up` makes in its cluster.
EMBEDDED_DATABASE = "rowvec"


# The role without rights of its own that jobs log in as there.
RUNNER = "rowvec_runner"


def embedded_dsn(settings: Settings, user: str = "postgres") -> str:
    """The URI of the database of `rowvec up`; its socket knows the system user, no password."""
    return f"postgresql://{user}@/{EMBEDDED_DATABASE}?host={quote(str(settings.data / 'run'))}"


def resolve_dsn(settings: Settings) -> str:
    """The DSN of the setting, else libpq's own variables, else the cluster of `rowvec up`.

    An empty string leaves everything to libpq (PG* variables, service files, its defaults).
    """
    if settings.dsn:
        return settings.dsn
    return embedded_dsn(settings) if _is_embedded(settings) else ""


def _is_embedded(settings: Settings) -> bool:
    return (
        not settings.dsn
        and not libpq_environment_is_set()
        and (settings.data / "postgres").is_dir()
    )


def job_dsn(settings: Settings) -> str:
    """The DSN of a job: as `resolve_dsn`, with `rowvec up` that of the role that has no rights."""
    return embedded_dsn(settings, RUNNER) if _is_embedded(settings) else resolve_dsn(settings)


def owner_dsn(settings: Settings) -> str:
    """The DSN for what only owners of tables may do; that of the jobs where there is no other."""
    return settings.owner_dsn or resolve_dsn(settings)


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
    """Psycopg's error as ours: one line, the hint of Postgres, its SQLSTATE; no word of a row."""
    message, hint = said(exc)
    error = _class_of(exc)(
        message, hint=hint, code=exc.sqlstate, constraint=exc.diag.constraint_name
    )
    error.input_number = input_named_in(exc.diag.message_detail)
    return error


def _class_of(exc: psycopg.Error) -> type[DatabaseError]:
    if exc.sqlstate in _CONFLICTS:
        return DatabaseConflict
    if exc.sqlstate is not None:
        return DatabaseUnavailable if exc.sqlstate.startswith(_UNAVAILABLE) else DatabaseError
    # libpq gives no SQLSTATE if the connection broke or the server did not answer.
    lost = isinstance(exc, psycopg.OperationalError)
    return DatabaseUnavailable if lost else DatabaseError


@contextmanager
def connect(dsn: str, *, application_name: str = "rowvec") -> Iterator[psycopg.Connection]:
    """An autocommit connection, pinned; raises DatabaseError, for what its block meets too."""
    with (
        database_errors(),
        psycopg.connect(
            dsn, autocommit=True, application_name=application_name, client_encoding=ENCODING
        ) as connection,
    ):
        connection.execute(PIN)
        yield connection


@contextmanager
def users_path(connection: psycopg.Connection) -> Iterator[None]:
    """Within the block names mean what they mean in a session that the user opens.

    What is ours in a statement is qualified there: others may have made whatever else is found.
    """
    with database_errors():
        before = connection.execute("SHOW search_path").fetchone()
        connection.execute(UNPIN)
    try:
        yield
    finally:
        # A transaction that failed takes its settings back by itself.
        if connection.info.transaction_status in USABLE:
            connection.execute("SELECT pg_catalog.set_config('search_path', %s, false)", before)


def fetch(
    connection: psycopg.Connection,
    name: str,
    parameters: Mapping[str, object] | None,
    as_row: RowFactory[R],
) -> list[R]:
    """The rows of the statement sql/queries/<name>.sql; raises DatabaseError."""
    with database_errors(), connection.cursor(row_factory=as_row) as cursor:
        return cursor.execute(query(name), parameters).fetchall()


def fetch_typed(
    connection: psycopg.Connection,
    name: str,
    parameters: Mapping[str, object] | None,
    as_row: RowFactory[R],
) -> list[R]:
    """The rows of the statement sql/typed/<name>.sql, in the user's path; raises DatabaseError."""
    with (
        users_path(connection),
        database_errors(),
        connection.cursor(row_factory=as_row) as cursor,
    ):
        return cursor.execute(typed(name), parameters).fetchall()
