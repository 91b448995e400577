"""The table with the column that an index is built on: an embedding's source, or its chunks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from psycopg import sql

from rowvec.db.compose import identifier
from rowvec.db.definition import Definition
from rowvec.db.index_form import Setting, Storage
from rowvec.db.queries import query
from rowvec.db.session import Session


@dataclass(frozen=True)
class TablePart:
    """One table of a tree of partitions; an ordinary table is a tree of one."""

    schema: str
    table: str
    parent: tuple[str, str] | None
    is_leaf: bool

    @property
    def name(self) -> sql.Identifier:
        """Qualified."""
        return identifier(self.schema, self.table)


@dataclass(frozen=True)
class VectorTable:
    """Where the vectors of a definition are, and what the catalog knows of their index.

    `parts` has the table itself first, partitions below their parents.
    """

    schema: str
    table: str
    column: str
    parts: tuple[TablePart, ...]
    index_name: str | None
    index_kind: str | None
    index_storage: Storage | None
    index_lists: int | None
    index_rows: int | None
    measured_at: datetime | None
    setting: Setting
    recall: float | None
    target_recall: float

    @property
    def leaves(self) -> tuple[TablePart, ...]:
        """The tables that hold rows."""
        return tuple(part for part in self.parts if part.is_leaf)

    @property
    def is_partitioned(self) -> bool:
        """Whether there are partitions, be it none yet."""
        return not self.parts[0].is_leaf

    @property
    def name(self) -> sql.Identifier:
        """Qualified."""
        return identifier(self.schema, self.table)

    @classmethod
    async def read(cls, session: Session, definition: Definition) -> Self:
        """As the catalog has it now."""
        (found,) = await session.dicts(query("vector_table"), {"id": definition.id})
        where = {"schema": found["schema"], "table": found["table"]}
        parts = await session.dicts(query("vector_parts"), where)
        setting = Setting(found.pop("setting_name"), found.pop("setting"), found.pop("rescore"))
        return cls(**found, setting=setting, parts=tuple(map(_part, parts)))


def _part(row: dict[str, Any]) -> TablePart:
    parent = (row["parent_schema"], row["parent_table"]) if row["parent_table"] else None
    return TablePart(row["schema"], row["table"], parent, row["is_leaf"])
