"""The examination from the installation to each embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg

from rowvec.config import Settings
from rowvec.db.connection import connect, without_password
from rowvec.doctor import database, machine
from rowvec.doctor.finding import Finding
from rowvec.errors import DatabaseError

_Look = Callable[[psycopg.Connection], Iterator[Finding]]


def examine(settings: Settings, dsn: str) -> Iterator[Finding]:
    """Looks at one thing after another; what cannot be looked at is a finding, no error."""
    yield from machine.installation()
    yield from machine.disk(settings)
    try:
        with connect(dsn, application_name="rowvec doctor") as connection:
            yield from _of_database(connection)
    except DatabaseError as exc:
        cure = "give --dsn or set ROWVEC_DSN; rowvec up starts one on this machine"
        where = without_password(dsn) or "what libpq finds"
        yield Finding("database", "wrong", f"{where}: {exc}", cure)


def _of_database(connection: psycopg.Connection) -> Iterator[Finding]:
    found = database.facts(connection)
    yield from database.server(found)
    yield from database.extensions(found)
    yield from database.schema(connection, found)
    if not found.is_user:
        return
    looks: dict[str, _Look] = {
        "worker": database.worker,
        "models": database.models,
        "embeddings": database.embeddings,
    }
    for subject, look in looks.items():
        try:
            yield from look(connection)
        except DatabaseError as exc:
            yield Finding(subject, "wrong", str(exc), exc.hint)
