"""A measured setting of an index as the default of a role or of the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from psycopg import sql

from rowvec.db.session import Session

Scope = Literal["role", "database"]


async def set_default(
    session: Session, scope: Scope, parameters: Mapping[str, str]
) -> tuple[str, ...]:
    """Sets the parameters for the role or the database of the session; gives the statements."""
    who = await session.value(
        "SELECT CASE %s WHEN 'role' THEN current_user ELSE current_database() END", (scope,)
    )
    statements = []
    for name, value in parameters.items():
        statement = sql.SQL("ALTER {} {} SET {} = {}").format(
            sql.SQL(scope.upper()), sql.Identifier(who), sql.Identifier(*name.split(".")),
            sql.Literal(int(value)),
        )  # fmt: skip
        await session.run(statement)
        statements.append(statement.as_string())
    return tuple(statements)
