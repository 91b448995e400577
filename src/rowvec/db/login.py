"""Roles that may log in, with their passwords."""

from __future__ import annotations

import psycopg
from psycopg import sql
from pydantic import SecretStr


def make_login(connection: psycopg.Connection, name: str, password: SecretStr | None) -> None:
    """Makes a role that may log in, or lets one that is there; raises psycopg.Error."""
    role = sql.Identifier(name)
    found = connection.execute(
        "SELECT rolcanlogin FROM pg_catalog.pg_roles WHERE rolname = %s", (name,)
    ).fetchone()
    if found is None:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    elif not found[0]:
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN").format(role))
    if password is not None:
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, _verifier(connection, name, password))
        )


def _verifier(connection: psycopg.Connection, name: str, password: SecretStr) -> sql.Literal:
    """What Postgres keeps of the password: so no statement, and no log, has the password itself."""
    kept = connection.pgconn.encrypt_password(
        password.get_secret_value().encode(), name.encode(), b"scram-sha-256"
    )
    return sql.Literal(kept.decode())
