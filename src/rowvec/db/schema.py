"""Brings a database to what this release needs: prerequisites, revisions, functions.

`migrate` may run twice at once and any number of times; a run with nothing to do changes nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import PurePosixPath

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from rowvec.db import pgml
from rowvec.db.connection import ENCODING, PIN, connect, database_errors
from rowvec.db.queries import query, sql_file, sql_files
from rowvec.errors import DatabaseError, SchemaError

# What `migrate` makes of a database's search_path where it is asked to: rowvec last.
SEARCH_PATH = '"$user", public, rowvec'

_GRANTS = "grants.sql"

_LOCK = "rowvec.migrate"
_LOCK_POLL_SECONDS = 0.1

# The first major with parallel workers that can run a subtransaction of PL/pgSQL.
_PARALLEL_SUBTRANSACTIONS = 170000


@dataclass
class Migration:
    """What `migrate` did: revisions before and after, and the files it applied."""

    before: str | None
    after: str
    applied: list[str] = field(default_factory=list)
    bootstrapped: bool = False


def bootstrap_sql(owner: str) -> str:
    """The script that a superuser runs once so that `owner` can run `migrate`."""
    with database_errors():
        literal = sql.Literal(owner).as_string()
    check = sql_file("foreign_objects.sql")
    return sql_file("bootstrap.sql").replace("@foreign_objects@", check).replace("@owner@", literal)


def ensure_database(conn: psycopg.Connection, name: str) -> None:
    """Creates the database where the cluster has none of that name."""
    with database_errors():
        known = conn.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if known is None:
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def migrate(dsn: str, *, search_path: bool = False, with_pgml: bool = False) -> Migration:
    """Brings the database to this release's revision and functions, and repairs what is not ours.

    `search_path` also puts the schema on the database's search_path, `with_pgml` also installs
    PostgresML's functions, which every later run keeps up to date. Raises DatabaseError that names
    what a superuser has to do first, or what bears a name of ours and is somebody else's,
    SchemaError if the database is newer than the release.
    """
    with connect(dsn, application_name="rowvec migrate") as conn, _lock(conn):
        conn.execute(PIN)
        _refuse_foreign(conn)
        bootstrapped = _ensure_prerequisites(conn)
        schemas = _extension_schemas(conn)
        before = revision(conn)
        conn.execute("CREATE SCHEMA IF NOT EXISTS rowvec")
        # Again, now that nobody else can make it any more.
        _refuse_foreign(conn)
        _upgrade(dsn)
        after = revision(conn)
        assert after is not None
        if with_pgml:
            pgml.prepare(conn)
        applied = _apply_files(conn, schemas)
        with conn.transaction():
            conn.execute(query("prepare_all_jobs"))
        if search_path:
            _set_search_path(conn)
        return Migration(before, after, applied, bootstrapped)


def revision(conn: psycopg.Connection) -> str | None:
    """The revision the database is at, None where rowvec is not installed."""
    with database_errors():
        row = conn.execute(
            "SELECT pg_catalog.to_regclass('rowvec.alembic_version') IS NOT NULL"
        ).fetchone()
        if row is None or not row[0]:
            return None
        found = conn.execute("SELECT version_num FROM rowvec.alembic_version").fetchone()
    return None if found is None else str(found[0])


def head() -> str:
    """The revision that this release needs."""
    needed = ScriptDirectory.from_config(_alembic_config()).get_current_head()
    assert needed is not None
    return needed


def require_head(conn: psycopg.Connection) -> None:
    """Raises SchemaError unless the database is at this release's revision."""
    needed, there = head(), revision(conn)
    if there is None:
        raise SchemaError("rowvec is not installed in this database", hint="run `rowvec migrate`")
    if there != needed:
        raise SchemaError(
            f"revision {needed} is needed, the database has {there}",
            hint="run `rowvec migrate`" if there < needed else "upgrade rowvec here",
        )


@contextmanager
def connect_migrated(dsn: str, application_name: str = "rowvec") -> Iterator[psycopg.Connection]:
    """A connection to a database at this release's revision; raises DatabaseError, SchemaError."""
    with connect(dsn, application_name=application_name) as conn:
        require_head(conn)
        yield conn


def render(text: str, schemas: dict[str, str], server_version: int) -> str:
    """A file of sql/ for one database: extension schemas put in, marks that it can keep."""
    for extension, schema in schemas.items():
        text = text.replace(f"@extschema:{extension}@", schema)
    if server_version < _PARALLEL_SUBTRANSACTIONS:
        text = text.replace("PARALLEL RESTRICTED", "PARALLEL UNSAFE")
    return text


@contextmanager
def _lock(conn: psycopg.Connection) -> Iterator[None]:
    """One migration at a time.

    Polled: a session that blocks in pg_advisory_lock holds a snapshot, on which a CREATE INDEX
    CONCURRENTLY of the holder would wait without end.
    """
    key = {"name": _LOCK}
    while True:
        row = conn.execute(query("try_lock_migration"), key).fetchone()
        assert row is not None
        is_held, strangers = row
        if strangers:
            raise DatabaseError(
                f"{strangers[0]} holds the lock of `rowvec migrate` and may not migrate",
                hint=f"SELECT pg_terminate_backend({strangers[1]})",
                code="55P03",
            )
        if is_held:
            break
        time.sleep(_LOCK_POLL_SECONDS)
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("SELECT pg_advisory_unlock(hashtextextended(%(name)s, 0))", key)


def _ensure_prerequisites(conn: psycopg.Connection) -> bool:
    """Runs the bootstrap script where something is missing and we may; True if it ran."""
    missing = missing_prerequisites(conn)
    if not missing:
        return False
    owner = conn.info.user
    try:
        _run_script(conn, bootstrap_sql(owner))
    except psycopg.errors.InsufficientPrivilege as exc:
        raise DatabaseError(
            f"a superuser has to prepare this database first: missing {', '.join(missing)}",
            hint=f"let one run the output of `rowvec migrate --bootstrap-sql --owner {owner}`",
            code=exc.sqlstate,
        ) from exc
    except psycopg.errors.FeatureNotSupported as exc:
        raise DatabaseError(
            f"this server lacks an extension that rowvec needs: {exc.diag.message_primary}",
            hint="install pgvector and postgresql-contrib on the database server",
            code=exc.sqlstate,
        ) from exc
    return True


def _run_script(conn: psycopg.Connection, script: str) -> None:
    """Runs statements that begin and commit by themselves."""
    try:
        conn.execute(script.encode())
    except psycopg.Error:
        conn.rollback()
        raise


def missing_prerequisites(conn: psycopg.Connection) -> list[str]:
    """What a superuser has to prepare before this user can migrate, one phrase each."""
    return [str(row[0]) for row in conn.execute(query("missing_prerequisites"))]


def _refuse_foreign(conn: psycopg.Connection) -> None:
    """Raises DatabaseError at the first object that bears a name of ours and is not ours."""
    conn.execute("SELECT set_config('rowvec.owner', current_user, false)")
    found = conn.execute(sql_file("foreign_objects.sql").encode()).fetchone()
    if found is not None:
        problem, cure = found
        raise DatabaseError(str(problem), hint=str(cure), code="42501")


def _extension_schemas(conn: psycopg.Connection) -> dict[str, str]:
    """Extension -> its schema, quoted."""
    return {str(name): str(schema) for name, schema in conn.execute(query("extension_schemas"))}


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("rowvec.migrations")))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(dsn: str) -> None:
    """Alembic to head over psycopg, whatever form the DSN has."""

    def pinned() -> psycopg.Connection:
        connection = psycopg.connect(
            dsn, application_name="rowvec migrate", client_encoding=ENCODING
        )
        connection.execute(PIN)
        connection.commit()
        return connection

    engine = create_engine("postgresql+psycopg://", creator=pinned, poolclass=NullPool)
    config = _alembic_config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as exc:
            raise SchemaError(
                f"the database is at a revision that this release does not know: {exc}",
                hint="upgrade rowvec here",
            ) from exc


def _apply_files(conn: psycopg.Connection, schemas: dict[str, str]) -> list[str]:
    """Applies the functions and views with a changed text, and the grants, all or nothing."""
    version = conn.info.server_version
    schemas_of_ours = ["rowvec", "pgml"] if pgml.is_wanted(conn) else ["rowvec"]
    files = {
        path: render(text, schemas, version)
        for path, text in {
            **sql_files("functions"),
            **sql_files("views"),
            **(sql_files("pgml") if "pgml" in schemas_of_ours else {}),
            _GRANTS: sql_file(_GRANTS),
        }.items()
    }
    hashes = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}
    known = {str(p): str(h) for p, h in conn.execute("SELECT path, sha256 FROM rowvec.sql_object")}
    # Where anything is not as the last run left it, after a restore for one, all is made anew.
    is_as_left = _states(conn, schemas_of_ours).items() <= known.items()
    changed = [path for path in files if not is_as_left or known.get(path) != hashes[path]]
    if not changed:
        return []
    # Always, and last: a new function is everybody's until its grants are.
    changed = [*(path for path in changed if path != _GRANTS), _GRANTS]
    with conn.transaction():
        # Once unchecked, so that the order of the files does not matter, then checked: one bad
        # body refuses the whole set.
        for checked in ("off", "on"):
            conn.execute("SELECT set_config('check_function_bodies', %s, true)", (checked,))
            for path in changed[:-1]:
                _replace(conn, path, files[path])
        conn.execute(files[_GRANTS])
        if "pgml" in schemas_of_ours:
            pgml.grant(conn)
        applied = {path: hashes[path] for path in changed}
        for path, sha256 in (applied | _states(conn, schemas_of_ours)).items():
            conn.execute(query("record_sql_object"), {"path": path, "sha256": sha256})
    return changed


def _states(conn: psycopg.Connection, schemas: list[str]) -> dict[str, str]:
    """Beside the files that were applied: a hash of what each schema looks like now."""
    found = conn.execute(query("installed_state"), {"schemas": schemas})
    return {f"schema {name}": str(sha256) for name, sha256 in found}


def _replace(conn: psycopg.Connection, path: str, text: str) -> None:
    """Runs a file that makes one routine or view, whatever result the one before it had.

    CREATE OR REPLACE refuses to change a function's result, the names of its arguments, or the
    columns of a view. What depends on the old one (a view of the user's) is never dropped with it.
    """
    try:
        with conn.transaction():
            conn.execute(text.encode())
    except (psycopg.errors.InvalidFunctionDefinition, psycopg.errors.InvalidTableDefinition):
        folder, name = PurePosixPath(path).parent.name, PurePosixPath(path).stem
        schema = "pgml" if folder == "pgml" else "rowvec"
        kind = sql.SQL("VIEW" if folder == "views" else "ROUTINE")
        # Without its arguments a name means the one function that has it.
        conn.execute(sql.SQL("DROP {} {}").format(kind, sql.Identifier(schema, name)))
        conn.execute(text.encode())


def _set_search_path(conn: psycopg.Connection) -> None:
    """Puts rowvec last on the database's search_path; sessions from now on see it."""
    name = sql.Identifier(conn.info.dbname)
    conn.execute(
        sql.SQL("ALTER DATABASE {} SET search_path = {}").format(name, sql.SQL(SEARCH_PATH))
    )
