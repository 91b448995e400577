"""The partial index over pending rows, built without blocking writers."""

from __future__ import annotations

from psycopg import sql

from rowvec.db.compose import comma, expression, identifier
from rowvec.db.definition import Definition
from rowvec.db.queries import query
from rowvec.db.session import Session

_MAX_NAME_BYTES = 63


def index_name(table: str, name: str, ending: str) -> str:
    """The name of an index that rowvec makes; of a long one the ending stays whole."""
    stem, ending = f"{table}_{name}".encode(), f"_{ending}"
    return stem[: _MAX_NAME_BYTES - len(ending)].decode(errors="ignore") + ending


async def try_lock(session: Session, definition: Definition) -> bool:
    """Whether this session may build; who waits must ask again, not block.

    A session blocked in a lock would be one of those whose end CREATE INDEX CONCURRENTLY awaits.
    """
    return bool(await session.value(query("try_lock_index"), {"id": definition.id}))


async def unlock(session: Session, definition: Definition) -> None:
    """Ends what `try_lock` began."""
    await session.run(query("unlock_index"), {"id": definition.id})


async def missing(session: Session, definition: Definition) -> list[tuple[str, str, bool]]:
    """Tables that lack the index: schema, table, and whether one that will not do is in the way.

    That is what a killed build left behind, or was built for another definition (a partition that
    was attached), or before a function was replaced that the input or the filter calls.
    The leaves of a partitioned source count one by one, as each is indexed concurrently.
    """
    return [
        (schema, table, leftover)
        for schema, table in await _leaves(session, definition)
        for valid, leftover in [await _state(session, schema, table, definition)]
        if not valid
    ]


async def build(
    session: Session, definition: Definition, schema: str, table: str, *, leftover: bool
) -> None:
    """Builds the index of one table after dropping the one that will not do."""
    # Before the build: a function that is replaced meanwhile makes the index stale.
    stamp = await session.value(query("pending_stamp"), {"id": definition.id})
    name = index_name(table, definition.name, "pending")
    if leftover:
        await session.run(
            sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(identifier(schema, name))
        )
    await session.run(
        sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} ({}) WHERE {}").format(
            identifier(name),
            identifier(schema, table),
            comma([identifier(column.name) for column in definition.key]),
            expression(definition.pending),
        )
    )
    await session.run(
        sql.SQL("COMMENT ON INDEX {} IS {}").format(identifier(schema, name), sql.Literal(stamp))
    )


async def _leaves(session: Session, definition: Definition) -> list[tuple[str, str]]:
    source = {"schema": definition.schema, "table": definition.table}
    found = await session.all(query("leaf_tables"), source)
    return [(schema, table) for schema, table in found] or [(definition.schema, definition.table)]


async def _state(
    session: Session, schema: str, table: str, definition: Definition
) -> tuple[bool, bool]:
    name = index_name(table, definition.name, "pending")
    found = await session.first(
        query("pending_index"),
        {"id": definition.id, "schema": schema, "table": table, "index": name},
    )
    return (bool(found and found[0]), bool(found and not found[0]))
