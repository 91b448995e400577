"""What to do about an error of the database, where only the command line can tell.

Postgres says that something is not there or not allowed; what is there instead, and who may allow
it, takes another look at the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from psycopg.rows import scalar_row

from rowvec.cli.options import database_dsn
from rowvec.config import Settings
from rowvec.db.connection import connect, fetch_typed
from rowvec.errors import DatabaseError, did_you_mean

_NO_DATABASE = (
    "--dsn or ROWVEC_DSN says where the database is; `rowvec up` starts one on this machine,"
    " and `rowvec doctor` looks at what is there"
)

_NO_TABLE = "no table here has a name like it; `rowvec status` lists those with an embedding"

# A table or an embedding that is not there, and $1 without a value: hints for those who write SQL.
_HINTS_OF_SQL = frozenset({"42P01", "42P02"})

# SQLSTATE -> hint, where it needs no look at the database.
_FIXED = {
    "42P02": "--arg gives the values of $1, $2, ..., one --arg for each",
    "22P02": "a value does not fit the type that it is compared with; cast it, as in"
    " 'stars <= $1::int'",
    "28P01": "the password of this user is wrong",
    "28000": "the server does not let this user in: see its pg_hba.conf",
    "3D000": "psql --list shows the databases of the server",
}


def advice(error: DatabaseError, given: Mapping[str, Any]) -> str | None:
    """The error's hint, or a better one for who gave a command these parameters."""
    if error.hint is not None and error.code not in _HINTS_OF_SQL:
        return error.hint
    if error.code is None:
        role = given.get("ui_role")
        return _NO_DATABASE if role is None else f"`rowvec viewer {role}` makes that role"
    if error.code in _FIXED:
        return _FIXED[error.code]
    try:
        return _from_database(error, given) or error.hint
    except DatabaseError:
        return error.hint


def _from_database(error: DatabaseError, given: Mapping[str, Any]) -> str | None:
    named = given.get("source") or given.get("table")
    sources = [named] if named else list(given.get("sources") or ())
    source = sources[0] if sources else None
    data = given.get("data")
    settings = Settings.build(dsn=given.get("dsn"), data=data if isinstance(data, Path) else None)
    dsn = database_dsn(settings, dsn=given.get("dsn"), data=data)
    command = click.get_current_context().info_name
    with connect(dsn, application_name="rowvec") as connection:

        def ask(name: str) -> list[str]:
            parameters = {"source": source, "command": command}
            return [one for one in fetch_typed(connection, name, parameters, scalar_row) if one]

        match error.code:
            case "42501":
                return next(iter(ask("missing_right")), None)
            case "42P01" if source is not None and given.get("embedding"):
                known = ask("names_of_embeddings")
                return did_you_mean(str(given["embedding"]), known)
            case "42P01" | "3F000" if source is not None:
                known = ask("names_of_tables")
                gone = [one for one in sources if one not in known]
                return (did_you_mean(gone[0], known) or _NO_TABLE) if gone else None
            case "42703" if source is not None:
                return f"columns of {source}: {', '.join(ask('names_of_columns'))}"
            case "42704" if given.get("types"):
                return "types are as Postgres names them: text, bigint, timestamptz, jsonb"
            case "42704" if given.get("text_config"):
                return did_you_mean(given["text_config"], ask("names_of_text_configs"))
            case _:
                return None
