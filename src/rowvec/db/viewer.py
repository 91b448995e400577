"""Roles that log in to look: what makes one, and whether one could do more than read."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rowvec.db.connection import database_errors, users_path
from rowvec.db.login import make_login
from rowvec.db.queries import query, typed
from rowvec.errors import ConfigError

# The viewer that `rowvec up` makes.
VIEWER = "rowvec_viewer"

_SHOWN = 3


def refuse_more_than_read(connection: psycopg.Connection, role: str, *, hint: str) -> None:
    """Raises ConfigError, with `hint`, where the role could do more than read.

    What it owns or was granted counts, whatever role it would have to take on for it: SET ROLE, or
    a setting of the session, is no boundary against what a visitor types.
    """
    with database_errors():
        reasons = [
            str(reason) for _, reason in connection.execute(query("more_than_read"), {"role": role})
        ]
    if reasons:
        more = ", and more" if len(reasons) > _SHOWN else ""
        raise ConfigError(
            f"{role} could do more than read: {'; '.join(reasons[:_SHOWN])}{more}", hint=hint
        )


def make_viewer(
    connection: psycopg.Connection,
    name: str,
    sources: Sequence[str] = (),
    password: SecretStr | None = None,
) -> list[str]:
    """Makes a role that may read these sources and what was made from them, or adds to one.

    Without `sources` all that have an embedding; gives the names of the tables. All of it is done,
    or nothing. Raises ConfigError where the role could then do more than read, DatabaseError where
    Postgres refuses.
    """
    role = sql.Identifier(name)
    with database_errors(), connection.transaction():
        make_login(connection, name, password)
        connection.execute(sql.SQL("GRANT rowvec_user TO {}").format(role))
        with users_path(connection):
            named = connection.execute(typed("sources"), {"sources": list(sources)}).fetchone()
        assert named is not None
        tables = connection.execute(query("viewer_tables"), {"sources": named[0]}).fetchall()
        for schema in {schema for schema, _ in tables}:
            _let_into(connection, name, schema)
        for table in tables:
            connection.execute(
                sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(*table), role)
            )
        refuse_more_than_read(
            connection, name, hint="nothing was changed; give another name, or revoke that first"
        )
    return [".".join(table) for table in tables]


def ensure_viewer(connection: psycopg.Connection) -> None:
    """Makes the role of `rowvec ui` once; what it may read from then on is the owner's."""
    with database_errors():
        known = connection.execute(
            "SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", (VIEWER,)
        ).fetchone()
    if known is None:
        make_viewer(connection, VIEWER)
        let_see_all(connection, VIEWER)


def let_see_all(connection: psycopg.Connection, name: str) -> None:
    """Lets the role read all tables of the schema public, those that come later too."""
    role = sql.Identifier(name)
    with database_errors(), connection.transaction():
        connection.execute(
            sql.SQL(
                "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {0};"
                "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {0}"
            ).format(role)
        )


def _let_into(connection: psycopg.Connection, name: str, schema: str) -> None:
    """GRANT USAGE if it is missing: only the owner of the schema may grant it again."""
    (may,) = connection.execute(
        "SELECT pg_catalog.has_schema_privilege(%s, %s, 'USAGE')", (name, schema)
    ).fetchone() or (False,)
    if not may:
        connection.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(
                sql.Identifier(schema), sql.Identifier(name)
            )
        )
