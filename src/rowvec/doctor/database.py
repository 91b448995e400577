"""What the examination looks at in the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row, dict_row, tuple_row

from rowvec.db.connection import fetch, fetch_typed
from rowvec.db.schema import head, missing_prerequisites, revision
from rowvec.db.server import ping, worker_options
from rowvec.doctor.finding import Finding
from rowvec.errors import DatabaseError

_OLDEST_POSTGRES = 150000
_FEW_CONNECTIONS = 10
# The first pgvector whose filtered searches read on where rows are removed.
_ITERATES_FROM = (0, 8)

_VERIFIES = {"verify-full", "verify-ca"}
_LOCAL = ("localhost", "127.", "::1", "/")


@dataclass(frozen=True)
class Facts:
    """The row of sql/typed/doctor.sql."""

    user: str
    database: str
    server_version: str
    server_version_num: int
    encoding: str
    is_standby: bool
    bytes: int
    free_connections: int
    vector_version: str | None
    vector_schema: str | None
    vector_is_on_path: bool | None
    dblink_schema: str | None
    is_installed: bool
    owner: str | None
    is_user: bool
    is_owner: bool


def facts(connection: psycopg.Connection) -> Facts:
    """What one look tells; raises DatabaseError."""
    return fetch_typed(connection, "doctor", None, class_row(Facts))[0]


def server(found: Facts) -> Iterator[Finding]:
    """The server and the database."""
    version = f"Postgres {found.server_version}"
    if found.server_version_num < _OLDEST_POSTGRES:
        yield Finding("postgres", "wrong", f"{version} is too old", "use Postgres 15 or later")
    else:
        yield Finding("postgres", "ok", version)
    size = f"{found.database}, {found.bytes / 1e6:,.0f} MB, as {found.user}"
    if found.is_standby:
        yield Finding("database", "warning", f"{size}: a standby, which jobs cannot write to")
    elif found.encoding != "UTF8":
        says = f"{size}: in {found.encoding}, which lacks characters that models know"
        yield Finding("database", "warning", says)
    else:
        yield Finding("database", "ok", size)
    says = f"{found.free_connections} are free"
    if found.free_connections < _FEW_CONNECTIONS:
        yield Finding("connections", "warning", says, "raise max_connections")
    else:
        yield Finding("connections", "ok", says)


def extensions(found: Facts) -> Iterator[Finding]:
    """Pgvector and dblink."""
    if found.vector_version is None:
        yield Finding("pgvector", "wrong", "the extension vector is not here", "rowvec migrate")
    else:
        says = f"{found.vector_version}, in the schema {found.vector_schema}"
        numbers = tuple(int(part) for part in found.vector_version.split(".")[:2])
        if numbers < _ITERATES_FROM:
            cure = "ALTER EXTENSION vector UPDATE, once the server has 0.8"
            yield Finding("pgvector", "warning", f"{says}: filters may lose rows", cure)
        elif not found.vector_is_on_path:
            cure = (
                f'ALTER DATABASE "{found.database}" SET search_path ='
                f' "$user", public, {found.vector_schema}'
            )
            yield Finding("pgvector", "warning", f"{says}: a query by hand lacks <=>", cure)
        else:
            yield Finding("pgvector", "ok", says)
    if found.dblink_schema is None:
        yield Finding("dblink", "wrong", "the extension dblink is not here", "rowvec migrate")
    else:
        yield Finding("dblink", "ok", f"in the schema {found.dblink_schema}")


def schema(connection: psycopg.Connection, found: Facts) -> Iterator[Finding]:
    """Rowvec's own schemas, and who this user is to them."""
    if not found.is_installed:
        missing = missing_prerequisites(connection)
        says = f"not installed; missing: {', '.join(missing)}" if missing else "not installed"
        yield Finding("schema", "wrong", says, "rowvec migrate")
        return
    if not found.is_user:
        says = f"{found.user} is no member of rowvec_user"
        cure = f'{found.owner} runs: GRANT rowvec_user TO "{found.user}"'
        yield Finding("role", "wrong", says, cure)
        return
    needed, there = head(), revision(connection)
    if there == needed:
        yield Finding("schema", "ok", f"revision {there}, of this release")
    else:
        is_behind = there is None or there < needed
        cure = "rowvec migrate" if is_behind else "upgrade rowvec here"
        yield Finding("schema", "wrong", f"revision {there}, this release needs {needed}", cure)
    if not found.is_owner:
        says = f"{found.user} may embed and search; {found.owner} owns rowvec here"
        yield Finding("role", "ok", says)
        return
    missing = missing_prerequisites(connection)
    if missing:
        yield Finding("role", "wrong", f"missing: {', '.join(missing)}", "rowvec migrate")
    else:
        yield Finding("role", "ok", f"{found.user} has the rights of the owner")


def worker(connection: psycopg.Connection) -> Iterator[Finding]:
    """Whether the database reaches its worker, and how safely."""
    options = worker_options(connection)
    host = options.get("host")
    if not host:
        cure = "rowvec server set --host HOST --password-file FILE"
        yield Finding("worker", "wrong", "the database has no address of a worker", cure)
        return
    where = f"{host}, port {options.get('port')}"
    try:
        ping(connection)
    except DatabaseError as exc:
        cure = exc.hint or "rowvec worker, rowvec server set"
        yield Finding("worker", "wrong", f"{where}: {exc}", cure)
    else:
        yield Finding("worker", "ok", f"answers at {where}")
    yield tls(options)


def tls(options: Mapping[str, str]) -> Finding:
    """Whether others can read what goes from the database to its worker."""
    mode = options.get("sslmode", "prefer")
    if all(host.startswith(_LOCAL) for host in options["host"].split(",")):
        return Finding("tls", "ok", "not needed: the worker is on the database's machine")
    if mode in _VERIFIES:
        return Finding("tls", "ok", f"sslmode {mode}")
    cure = "rowvec server set --sslmode verify-full --sslrootcert FILE"
    says = f"sslmode {mode}: whoever is in between may read texts and pose as the worker"
    return Finding("tls", "warning", says, cure)


def models(connection: psycopg.Connection) -> Iterator[Finding]:
    """The models that the worker serves, and those that embeddings name."""
    listed = [str(name) for name, *_ in fetch(connection, "ui_models", None, tuple_row)]
    if not listed:
        yield Finding("models", "wrong", "the worker serves none", "rowvec models add")
        return
    yield Finding("models", "ok", f"the worker serves {', '.join(listed)}")
    for model, users in fetch_typed(connection, "doctor_models", None, tuple_row):
        says = f"the worker does not list {model}, which {users} needs"
        yield Finding("models", "wrong", says, f"rowvec models add {model}")


def embeddings(connection: psycopg.Connection) -> Iterator[Finding]:
    """What is declared, and how it goes."""
    found = fetch_typed(connection, "status", {"source": None}, dict_row)
    if not found:
        yield Finding("embeddings", "ok", "none yet: SELECT rowvec.create_embedding(...)")
    for one in found:
        subject = f"{one['source']}.{one['embedding']}"
        if one["last_error"] is not None:
            cure = f"rowvec status {one['source']}"
            yield Finding(subject, "warning", f"last error: {one['last_error']}", cure)
        if one["failed"]:
            cure = "SELECT * FROM rowvec.failed_row, then rowvec retry"
            yield Finding(subject, "warning", f"{one['failed']:,} rows were refused", cure)
        if one["index_advice"] is not None:
            cure = f"rowvec index {one['source']}"
            yield Finding(subject, "warning", one["index_advice"], cure)
        pending = (one["pending"] or 0) - (one["failed"] or 0)
        if pending > 0 and not one["workers"]:
            says = f"{pending:,} rows are pending and no job runs"
            cure = f"rowvec backfill {one['source']}, or rowvec sync"
            yield Finding(subject, "warning", says, cure)
        elif not one["failed"] and one["last_error"] is None:
            if one["rows"] is None:
                says = "this user may not read the table"
            else:
                says = f"{one['rows']:,} rows, {max(pending, 0):,} pending"
            yield Finding(subject, "ok", says)
