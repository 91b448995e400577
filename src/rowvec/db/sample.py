"""A sample of the pending rows of a source, from which the whole is estimated."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from rowvec.db.definition import Definition
from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.db.source import Source

# Blocks with about this many rows are looked at; a smaller table is counted.
_LOOKED_AT = 50_000


@dataclass(frozen=True)
class Sample:
    """Inputs of pending rows, and how many there are in all; an estimate for large tables."""

    inputs: list[str]
    pending: int
    table_rows: int
    table_bytes: int
    is_exact: bool


async def sample_pending(session: Session, definition: Definition, size: int) -> Sample:
    """At most `size` inputs that are not NULL, drawn from blocks all over the table."""
    where = {"schema": definition.schema, "table": definition.table}
    (about, table_bytes) = (await session.all(query("source_size"), where))[0]
    is_exact = about < _LOOKED_AT
    percent = 100.0 if is_exact else 100.0 * _LOOKED_AT / about
    statement = Source(definition).function("sample", sql.SQL("%s::float8, %s"))
    ((rows, pending, inputs),) = await session.as_owner(statement, (percent, size))
    scale = 1.0 if is_exact else about / max(rows, 1)
    return Sample(
        inputs or [], round(pending * scale), round(rows * scale), int(table_bytes), is_exact
    )
