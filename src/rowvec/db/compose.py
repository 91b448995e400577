"""Safe pieces of SQL for names and expressions that come from a catalog.

psycopg reads `%` as the start of a placeholder wherever a statement has parameters, also inside
quoted names and literals. These double it; a statement built from them is always executed with
parameters, if only `()`.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql


def identifier(*parts: str) -> sql.Identifier:
    """A quoted name, qualified where there are several parts."""
    return sql.Identifier(*(part.replace("%", "%%") for part in parts))


def expression(text: str) -> sql.SQL:
    """SQL that Postgres itself printed from its catalog (an expression or a type's name)."""
    return sql.SQL(text.replace("%", "%%"))


def comma(parts: Sequence[sql.Composable]) -> sql.Composed:
    """The parts with commas between them."""
    return sql.SQL(", ").join(parts)
