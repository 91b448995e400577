"""A query against another database as rows: Postgres by psycopg, others by SQLAlchemy's drivers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import sqlalchemy
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from typing_extensions import override

from rowvec.db.connection import UNPIN, connect
from rowvec.db.queries import typed
from rowvec.errors import ConfigError, DatabaseError, DatabaseUnavailable
from rowvec.load.fields import PostgresText
from rowvec.load.row_source import RowSource
from rowvec.rows.columns import Column, Names
from rowvec.rows.reading import OnBad, Place, Row, Rows

# Rows that are fetched at once.
_ROWS_AT_ONCE = 1000

# Types above this number are of an extension or the database's own; the other one may lack them.
_FIRST_OWN_OID = 16384
_TAKEN_ALONG = ("vector", "halfvec", "sparsevec")


def from_sql(dsn: str, query: str) -> RowSource:
    """The rows of a query. Postgres says what types they have; of others, the values tell.

    `dsn` is one of libpq, or a URL of SQLAlchemy such as sqlite:///file.db or mysql+pymysql://...,
    its driver has to be installed. Raises ConfigError, DatabaseError.
    """
    return _of_postgres(dsn, query) if _is_postgres(dsn) else _of_another(dsn, query)


def _is_postgres(dsn: str) -> bool:
    if "://" in dsn:
        return dsn.startswith(("postgres://", "postgresql://"))
    try:
        conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as exc:
        raise ConfigError(
            "the DSN is neither one of libpq nor a URL",
            hint="for example postgresql://host/database or sqlite:///file.db",
        ) from exc
    return True


class _AsWritten(Loader):
    """Every value in Postgres's own words, which the other Postgres reads: nothing is rounded."""

    @override
    def load(self, data: Buffer) -> PostgresText:
        return PostgresText(bytes(data).decode())


def _of_postgres(dsn: str, query: str) -> RowSource:
    with ExitStack() as stack:
        connection = stack.enter_context(connect(dsn, application_name="rowvec load"))
        connection.execute(UNPIN)  # the query is the user's, and so is the session
        connection.execute("SET client_encoding TO 'UTF8'")
        connection.execute("SET default_transaction_read_only TO on")
        columns = _columns(connection, query)
        connected = stack.pop_all()
    place = Place("the query", unit="row")

    def rows(_on_bad: OnBad) -> Rows:
        with (
            connected,
            connection.transaction(),
            connection.cursor("rowvec_load") as cursor,
        ):
            cursor.itersize = _ROWS_AT_ONCE
            cursor.execute(query.encode())
            for column in cursor.description or ():
                cursor.adapters.register_loader(column.type_code, _AsWritten)
            keys = [column.key for column in columns]
            for place.number, row in enumerate(cursor, start=1):
                yield dict(zip(keys, row, strict=True))

    return RowSource(name=place.name, rows=rows, place=place, columns=columns)


def _columns(connection: psycopg.Connection, query: str) -> list[Column]:
    """The columns of a query, which is planned for that and not run.

    A type that only the other database has is taken as text.
    """
    names, columns = Names(), []
    with connection.transaction():
        with connection.cursor("rowvec_columns") as cursor:
            cursor.execute(query.encode())
            result = cursor.pgresult
            assert result is not None
            described = [
                (column.name, column.type_code, result.fmod(number))
                for number, column in enumerate(cursor.description or ())
            ]
        for number, (name, oid, modifier) in enumerate(described):
            row = connection.execute(
                typed("type_of"), {"oid": oid, "modifier": modifier}
            ).fetchone()
            assert row is not None
            bare, written = row
            is_known = oid < _FIRST_OWN_OID or bare in _TAKEN_ALONG
            # The schema of pgvector may be another here.
            type_ = written.rpartition(".")[2] if is_known else "text"
            columns.append(Column(f"{number}", names.name(name), type_, _same))
    return columns


def _same(value: object) -> Any:
    return value


def _of_another(dsn: str, query: str) -> RowSource:
    try:
        engine = sqlalchemy.create_engine(dsn)
    except (SQLAlchemyError, NoSuchModuleError, ImportError) as exc:
        raise ConfigError(
            f"no driver for {dsn.partition('://')[0]}: {exc}",
            hint="install the driver that the URL names, for example pip install pymysql",
        ) from exc
    place = Place("the query", unit="row")

    def rows(_on_bad: OnBad) -> Rows:
        try:
            with engine.connect() as connection:
                found = connection.execution_options(
                    stream_results=True, yield_per=_ROWS_AT_ONCE
                ).exec_driver_sql(query)
                yield from _numbered(found, place)
        except SQLAlchemyError as exc:
            original = getattr(exc, "orig", None) or exc
            kind = DatabaseUnavailable if "connect" in str(original) else DatabaseError
            raise kind(f"the other database refused: {original}") from exc
        finally:
            engine.dispose()

    return RowSource(name=place.name, rows=rows, place=place)


def _numbered(found: Any, place: Place) -> Iterator[Row]:
    for place.number, row in enumerate(found.mappings(), start=1):
        yield dict(row)
