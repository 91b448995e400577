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

    `parent` is what it is a partition of; `index` the name of its index, where it has one.
    """

    schema: str
    table: str
    is_leaf: bool
    parent_schema: str | None
    parent_table: str | None
    index: str | None
    is_valid: bool
    is_attached: bool

    @property
    def is_whole(self) -> bool:
        """Whether its rows are indexed, and those of its partitions to come."""
        return self.is_valid and (self.parent_table is None or self.is_attached)


async def parts(session: Session, definition: Definition) -> list[PendingPart]:
    """The source, its partitions and the tables that inherit from it, parents first."""
    found = await session.dicts(
        query("pending_index_parts"),
        {
            "schema": definition.schema,
            "table": definition.table,
            "of": f"{definition.name}_of",
            "name": index_name(definition.table, definition.name, "pending"),
        },
    )
    return [PendingPart(**each) for each in found]


async def build(session: Session, definition: Definition, part: PendingPart) -> None:
    """Builds the index of one table, in the place of what a killed build left behind.

    That of a table of partitions indexes nothing itself: Postgres gives partitions that are made
    or attached later one of their own for it, before they have a row.
    """
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


async def attach(session: Session, part: PendingPart, parent: PendingPart) -> None:
    """Makes the index of a partition a part of its parent's."""
    assert part.index is not None
    assert parent.index is not None
    await session.briefly(
        sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
            identifier(parent.schema, parent.index), identifier(part.schema, part.index)
        )
    )
