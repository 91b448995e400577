"""The plan of a search as `rowvec.search` runs it, and the indexes that it could have used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from rowvec.db.queries import query, typed
from rowvec.db.session import Session
from rowvec.db.vector_table import VectorTable


@dataclass(frozen=True)
class SearchPlan:
    """EXPLAIN's JSON of one search; `settings` are the index's parameters during it."""

    explained: dict[str, Any]
    settings: dict[str, str]

    @property
    def top(self) -> dict[str, Any]:
        """The node of the plan that gives the rows."""
        node: dict[str, Any] = self.explained["Plan"]
        return node

    @property
    def milliseconds(self) -> float:
        """How long the search took."""
        return float(self.explained["Execution Time"])


@dataclass(frozen=True)
class IndexOfVectors:
    """An index over vectors of a table or one of its partitions."""

    name: str
    table: str
    kind: str
    is_valid: bool


async def plan_of(session: Session, asked: Mapping[str, Any], **planner: str) -> SearchPlan:
    """Runs the search for its plan, with the arguments of `search`; `planner` ends with it."""
    async with session.transaction():
        for name, value in {"rowvec.explain": "on", **planner}.items():
            await session.run("SELECT set_config(%s, %s, true)", (name, value))
        async with session.users_path():
            await session.run(typed("explain_search"), asked)
        found = orjson.loads(await session.value("SELECT current_setting('rowvec.plan')"))
    pairs = zip(found["settings"][::2], found["settings"][1::2], strict=True)
    return SearchPlan(found["plan"][0], {name: value for name, value in pairs if value is not None})


async def indexes_of(
    session: Session, table: VectorTable, kinds: Collection[str]
) -> list[IndexOfVectors]:
    """The indexes of these kinds over the table and its partitions."""
    named = {"schema": table.schema, "table": table.table, "kinds": list(kinds)}
    return [IndexOfVectors(**one) for one in await session.dicts(query("vector_indexes"), named)]
