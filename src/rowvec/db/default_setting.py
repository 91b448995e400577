"""What SQL that is not `search` runs with: defaults of a role or a database, from an index.

Written by hand, a query runs with pgvector's own defaults: one list of many, and no further where
a filter takes away what was found. With these it finds what the index was measured to give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from rowvec.db.index_form import IndexForm, Setting
from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.errors import DatabaseError

Scope = Literal["role", "database", "none"]

_NOT_ALLOWED = "42501"


@dataclass(frozen=True)
class ByHand:
    """Statements that give hand-written queries what the index needs; whether they were run."""

    statements: tuple[str, ...] = ()
    was_applied: bool = False


async def by_hand(session: Session, form: IndexForm, setting: Setting, scope: Scope) -> ByHand:
    """Makes what the index needs a default, for sessions that begin from now on.

    Nothing is ever lowered, neither below pgvector's own default nor below what another index, or
    somebody, has set. For "none", and where the session's role may not, the statements are given
    that its owner can run on the database.
    """
    kind = "role" if scope == "role" else "database"
    who = await session.value(
        "SELECT CASE %s WHEN 'role' THEN current_user ELSE current_database() END", (kind,)
    )
    wanted = form.parameters(setting)
    parameters = {"method": form.method, "names": list(wanted), "values": list(wanted.values())}
    rows = await session.all(query("defaults_by_hand"), parameters)
    statements = tuple(
        sql.SQL("ALTER {} {} SET {} = {}").format(
            sql.SQL(kind.upper()), sql.Identifier(who), sql.Identifier(*name.split(".")),
            sql.Literal(int(value) if value.isdecimal() else value),
        )
        for name, value in rows
    )  # fmt: skip
    texts = tuple(statement.as_string() for statement in statements)
    if scope == "none":
        return ByHand(texts)
    try:
        for statement in statements:
            await session.run(statement)
    except DatabaseError as error:
        if error.code != _NOT_ALLOWED:
            raise
        return ByHand(texts)
    return ByHand(texts, was_applied=True)
