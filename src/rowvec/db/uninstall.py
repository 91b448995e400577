"""Takes rowvec out of a database: what goes, what stays, and the going itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import LiteralString

import psycopg
from psycopg import sql

from rowvec.db import pgml
from rowvec.db.connection import connect
from rowvec.db.queries import query
from rowvec.db.schema import SEARCH_PATH, revision
from rowvec.errors import DatabaseError, SchemaError

# Others may use these too, or a superuser own them: they are dropped if possible.
_SHARED: tuple[tuple[str, LiteralString], ...] = (
    ("extension dblink", "DROP EXTENSION IF EXISTS dblink"),
    ("schema rowvec_dblink", "DROP SCHEMA IF EXISTS rowvec_dblink"),
    ("role rowvec_caller", "DROP ROLE IF EXISTS rowvec_caller"),
    ("role rowvec_job", "DROP ROLE IF EXISTS rowvec_job"),
    ("role rowvec_user", "DROP ROLE IF EXISTS rowvec_user"),
)


_PGML = "PostgresML's functions in the schema pgml"


@dataclass
class Removal:
    """What an uninstall removes or removed, and what it leaves and why; one phrase each."""

    goes: list[str] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)


def plan(dsn: str, *, drop_columns: bool) -> Removal:
    """What `uninstall` would remove; raises SchemaError where rowvec is not installed."""
    with connect(dsn, application_name="rowvec uninstall") as conn:
        if revision(conn) is None:
            raise SchemaError("rowvec is not installed in this database")
        columns = [
            f"columns {name} and {name}_of of {source}" for source, name in _embeddings(conn)
        ]
        removal = Removal(goes=["schema rowvec: its functions and definitions, server entry"])
        if pgml.is_wanted(conn):
            removal.goes.append(_PGML)
        (removal.goes if drop_columns else removal.stays).extend(columns)
        removal.goes.extend(f"{name}, if nothing else needs it" for name, _ in _SHARED)
        removal.stays.append("extension vector")
        return removal


def uninstall(dsn: str, *, drop_columns: bool) -> Removal:
    """Removes rowvec from the database, all or nothing; the vectors stay unless `drop_columns`.

    Raises SchemaError where it is not installed, DatabaseError where something of somebody else
    uses it.
    """
    done = Removal()
    with (
        connect(dsn, application_name="rowvec uninstall") as conn,
        conn.transaction(),
    ):
        if revision(conn) is None:
            raise SchemaError("rowvec is not installed in this database")
        users = [str(row[0]) for row in conn.execute(query("users_of_rowvec"))]
        if users:
            raise DatabaseError(
                f"these use rowvec and would go with it: {', '.join(users)}",
                hint="drop or change them first",
                code="2BP01",
            )
        for source, name in _embeddings(conn):
            conn.execute(
                "SELECT rowvec.drop_embedding(%s::regclass, %s, %s)",
                (source, name, not drop_columns),
            )
            columns = f"columns {name} and {name}_of of {source}"
            (done.goes if drop_columns else done.stays).append(columns)
        if pgml.is_wanted(conn):
            pgml.drop_functions(conn)
            done.goes.append(_PGML)
            _drop_if_unused(conn, "schema pgml", "DROP SCHEMA pgml", done)
        conn.execute("DROP SCHEMA rowvec_jobs CASCADE")
        conn.execute("DROP SCHEMA rowvec_inputs CASCADE")
        conn.execute("DROP SCHEMA rowvec CASCADE")
        conn.execute("DROP SERVER IF EXISTS rowvec_worker CASCADE")
        done.goes.append("schema rowvec")
        _reset_search_path(conn)
        for name, statement in _SHARED:
            _drop_if_unused(conn, name, statement, done)
    return done


def _embeddings(conn: psycopg.Connection) -> list[tuple[str, str]]:
    rows = conn.execute("SELECT source::text, name FROM rowvec.embedding ORDER BY id").fetchall()
    return [(str(source), str(name)) for source, name in rows]


def _reset_search_path(conn: psycopg.Connection) -> None:
    """Takes back what `migrate` with search_path did, if it is still that."""
    row = conn.execute(
        "SELECT true FROM pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase "
        "WHERE d.datname = current_database() AND s.setrole = 0 AND %s = ANY (s.setconfig)",
        (f"search_path={SEARCH_PATH}",),
    ).fetchone()
    if row is not None:
        name = sql.Identifier(conn.info.dbname)
        conn.execute(sql.SQL("ALTER DATABASE {} RESET search_path").format(name))


def _drop_if_unused(
    conn: psycopg.Connection, name: str, statement: LiteralString, done: Removal
) -> None:
    try:
        with conn.transaction():
            conn.execute(statement)
    except (
        psycopg.errors.DependentObjectsStillExist,
        psycopg.errors.ObjectInUse,
        psycopg.errors.InsufficientPrivilege,
    ) as exc:
        done.stays.append(f"{name}: {exc.diag.message_primary}")
    else:
        done.goes.append(name)
