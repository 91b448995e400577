"""The partial index over pending rows, built without blocking writers."""

from __future__ import annotations

from dataclasses import dataclass

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

    CREATE INDEX CONCURRENTLY would wait for a session that is blocked in a lock.
    """
    return bool(await session.value(query("try_lock_index"), {"id": definition.id}))


async def unlock(session: Session, definition: Definition) -> None:
    """Ends what `try_lock` began."""
    await session.run(query("unlock_index"), {"id": definition.id})


@dataclass(frozen=True)
class PendingPart:
    """A table that holds rows of a source, or is made of such, and its index on pending rows.

    `parent` is what it is a partition of; `index` the name of its index, where it has one. That is
    *stale* where it was built for another definition, or before a function was replaced that the
    input or the filter calls. Postgres makes an index of its own for a partition that comes later:
    nothing says what that was built from, and its parent's speaks for it until it is marked.
    """

    schema: str
    table: str
    is_leaf: bool
    parent_schema: str | None
    parent_table: str | None
    index: str | None
    is_valid: bool
    is_attached: bool
    is_marked: bool
    is_stale: bool

    @property
    def is_whole(self) -> bool:
        """Whether its rows are indexed, and those of its partitions to come."""
        is_placed = self.parent_table is None or self.is_attached
        return self.is_valid and is_placed and self.is_marked and not self.is_stale


async def parts(session: Session, definition: Definition) -> list[PendingPart]:
    """The source, its partitions and the tables that inherit from it, parents first."""
    found = await session.dicts(
        query("pending_index_parts"),
        {
            "id": definition.id,
            "schema": definition.schema,
            "table": definition.table,
            "of": f"{definition.name}_of",
            "name": index_name(definition.table, definition.name, "pending"),
        },
    )
    return [PendingPart(**each) for each in found]


async def drop_stale(session: Session, part: PendingPart) -> None:
    """Drops the stale index of a table of partitions, and with it those of its partitions."""
    assert part.index is not None
    await session.briefly(
        sql.SQL("DROP INDEX IF EXISTS {}").format(identifier(part.schema, part.index))
    )


async def pending_stamp(session: Session, embedding_id: int) -> str:
    """What the index on pending rows has to be built from, in short; raises DatabaseError."""
    return str(await session.value(query("pending_stamp"), {"id": embedding_id}))


async def build(session: Session, definition: Definition, part: PendingPart) -> None:
    """Builds the index of one table, in the place of one that will not do.

    That of a table of partitions indexes nothing itself: Postgres gives partitions that are made
    or attached later one of their own for it, before they have a row.
    """
    # Before the build: a function that is replaced meanwhile makes the index stale.
    stamp = await pending_stamp(session, definition.id)
    if part.is_attached and part.index is not None:
        # It cannot be dropped without its parent's, and has the predicate of that.
        if part.is_stale:
            await session.run(
                sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(identifier(part.schema, part.index))
            )
        await _mark(session, part, part.index, stamp)
        return
    ending = "pending" if part.is_leaf else "pending_all"
    name = index_name(part.table, definition.name, ending)
    if part.is_leaf and part.index is not None:
        await session.run(
            sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(
                identifier(part.schema, part.index)
            )
        )
    statement = sql.SQL("CREATE INDEX {}{} ON {}{} ({}) WHERE {}").format(
        sql.SQL("CONCURRENTLY " if part.is_leaf else ""),
        identifier(name),
        sql.SQL("" if part.is_leaf else "ONLY "),
        identifier(part.schema, part.table),
        comma([identifier(column.name) for column in definition.key]),
        expression(definition.pending),
    )
    if part.is_leaf:
        await session.run(statement)
    else:
        await session.briefly(statement)
    await _mark(session, part, name, stamp)


async def attach(session: Session, part: PendingPart, parent: PendingPart) -> None:
    """Makes the index of a partition a part of its parent's."""
    assert part.index is not None
    assert parent.index is not None
    await session.briefly(
        sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
            identifier(parent.schema, parent.index), identifier(part.schema, part.index)
        )
    )


async def _mark(session: Session, part: PendingPart, index: str, stamp: str) -> None:
    await session.run(
        sql.SQL("COMMENT ON INDEX {} IS {}").format(
            identifier(part.schema, index), sql.Literal(stamp)
        )
    )
