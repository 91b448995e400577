"""Roles that jobs log in as: they may call the functions of jobs, and have no right on a table."""

from __future__ import annotations

import psycopg
from psycopg import sql
from pydantic import SecretStr

from rowvec.db.connection import database_errors
from rowvec.db.login import make_login
from rowvec.errors import ConfigError

_MORE = """
SELECT 'is a superuser or may make roles' FROM pg_catalog.pg_roles
WHERE rolname = %(role)s AND (rolsuper OR rolcreaterole OR rolbypassrls)
UNION ALL
SELECT 'is a member of ' || r.rolname FROM pg_catalog.pg_roles AS r
WHERE pg_catalog.pg_has_role(%(role)s, r.oid, 'MEMBER')
    AND r.rolname NOT IN (%(role)s, 'rowvec_job', 'rowvec_user')
    AND NOT pg_catalog.pg_has_role('rowvec_job', r.oid, 'MEMBER')
"""


def make_runner(
    connection: psycopg.Connection, name: str, password: SecretStr | None = None
) -> None:
    """Makes a role that jobs may log in as.

    All of it is done, or nothing. Raises ConfigError where the role has other rights already,
    DatabaseError where Postgres refuses.
    """
    with database_errors(), connection.transaction():
        make_login(connection, name, password)
        connection.execute(sql.SQL("GRANT rowvec_job TO {}").format(sql.Identifier(name)))
        more = connection.execute(_MORE, {"role": name}).fetchone()
        if more is not None:
            raise ConfigError(
                f"{name} {more[0]}: code of a table's owner must find nothing of that in a job",
                hint="nothing was changed; give another name, or take that away first",
            )
