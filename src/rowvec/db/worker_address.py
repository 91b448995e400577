"""Where the jobs find the worker: the setting, else the server entry of the database."""

from __future__ import annotations

import urllib.parse
from collections.abc import Sequence

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from rowvec.config import Settings
from rowvec.db.connection import connect, owner_dsn
from rowvec.db.queries import query
from rowvec.errors import ConfigError

# A superuser has every role there is, and the worker takes few bytes before a login.
_ROLES_CHARACTERS = 4000

_HINT = "say where the worker is with --worker or ROWVEC_WORKER"


def worker_conninfo(settings: Settings) -> str:
    """The conninfo of the worker, its password included, and the roles of this user.

    Raises ConfigError where neither the setting nor the database tells it to this user,
    DatabaseError where the database cannot be asked.
    """
    if settings.worker:
        return settings.worker
    with connect(owner_dsn(settings)) as connection:
        server, mapping, roles = _read(connection)
    if server is None:
        raise ConfigError("the database has no server entry for the worker", hint=_HINT)
    if mapping is None:
        raise ConfigError(
            "the database does not tell this user the worker's password",
            hint=f"{_HINT}, or connect as the owner of the schema rowvec",
        )
    return make_conninfo(**(server | mapping), options=_told(roles))


def _told(roles: Sequence[str]) -> str:
    """The roles as the worker reads them in a connection's options, this user's own first."""
    said = ""
    for role in roles:
        longer = said + ("," if said else "") + urllib.parse.quote(role, safe="")
        if len(longer) > _ROLES_CHARACTERS:
            break
        said = longer
    return f"-c rowvec.roles={said}"


def _read(
    connection: psycopg.Connection,
) -> tuple[dict[str, str] | None, dict[str, str] | None, list[str]]:
    """Options of the server and of the mapping, None where there is none to see; and the roles."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        may = cursor.execute(query("may_see_worker"), None).fetchone()
        assert may is not None
        statement = "worker_entry" if may["may"] else "worker_address"
        found = cursor.execute(query(statement), None).fetchone()
    if found is None:
        return None, None, []
    return found["server"], found["mapping"], may["roles"]
