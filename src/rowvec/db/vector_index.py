"""The statements of an ivfflat index over one embedding column, and of measuring it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from rowvec.db.compose import identifier
from rowvec.db.definition import Definition
from rowvec.db.pending_index import index_name
from rowvec.db.queries import query
from rowvec.db.session import Session

# pgvector: operator class and operator of each metric.
_METRICS = {
    "cosine": ("vector_cosine_ops", "<=>"),
    "inner_product": ("vector_ip_ops", "<#>"),
    "l2": ("vector_l2_ops", "<->"),
}

# Sampled whole pages are enough beyond this; below it every row is a candidate.
_ROWS_OF_FULL_SAMPLE = 100_000


@dataclass(frozen=True)
class IndexState:
    """An index as it stands; `lists` is None for other kinds than ivfflat."""

    is_valid: bool
    kind: str
    lists: int | None


@dataclass(frozen=True)
class Sampled:
    """A row's place and vector: a query whose neighbours are known to exist."""

    place: str
    vector: NDArray[np.float32]


class VectorIndex:
    """The index of one definition, under the name that rowvec gives it."""

    def __init__(self, session: Session, definition: Definition) -> None:
        self._session = session
        self._definition = definition
        self.dimensions = definition.dimensions
        self.name = index_name(definition.table, definition.name, "idx")
        opclass, operator = _METRICS[definition.metric]
        self._parts = {
            "table": identifier(definition.schema, definition.table),
            "vector": identifier(definition.name),
            "index": identifier(self.name),
            "qualified": identifier(definition.schema, self.name),
            "opclass": identifier(session.vector_schema, opclass),
            "distance": sql.SQL("OPERATOR({}.{})").format(
                identifier(session.vector_schema), sql.SQL(operator)
            ),
        }

    async def state(self) -> IndexState | None:
        """The index, valid or left over; None where there is none."""
        found = await self._session.dicts(
            query("index_state"),
            {
                "schema": self._definition.schema,
                "table": self._definition.table,
                "index": self.name,
            },
        )
        if not found:
            return None
        options = dict(option.split("=", 1) for option in found[0]["options"] or ())
        lists = int(options["lists"]) if "lists" in options else None
        return IndexState(found[0]["is_valid"], found[0]["kind"], lists)

    async def count_vectors(self) -> int:
        """Rows that have a vector."""
        return int(await self._session.value(self._sql("SELECT count({vector}) FROM {table}")))

    async def drop(self) -> None:
        """Drops the index without blocking anybody."""
        await self._session.run(self._sql("DROP INDEX CONCURRENTLY IF EXISTS {qualified}"))

    async def create(self, lists: int, memory_kb: int) -> None:
        """Builds it without blocking anybody, with at least so much memory."""
        current = int(await self._session.value(query("maintenance_work_mem_kb")))
        await self._session.run(
            "SELECT set_config('maintenance_work_mem', %s, false)",
            (f"{max(current, memory_kb)}kB",),
        )
        await self._session.run(
            self._sql(
                "CREATE INDEX CONCURRENTLY {index} ON {table} USING ivfflat ({vector} {opclass})"
                " WITH (lists = {lists})",
                lists=sql.Literal(lists),
            )
        )

    async def sample(self, rows: int, of: int) -> list[Sampled]:
        """Rows at random, as queries; `of` is how many vectors there are."""
        # Four times what is needed: pages hold rows without vectors too.
        share = 100.0 if of <= _ROWS_OF_FULL_SAMPLE else min(100.0, 400.0 * rows / of)
        found = await self._session.all(
            self._sql(
                "SELECT ctid::text, {vector} FROM {table} TABLESAMPLE SYSTEM (%s)"
                " WHERE {vector} IS NOT NULL ORDER BY random() LIMIT %s"
            ),
            (share, rows),
        )
        return [Sampled(place, vector.to_numpy()) for place, vector in found]

    async def use_index(self, probes: int) -> None:
        """Neighbours come from the index from now on, with so many probes."""
        await self._session.run(
            "SELECT set_config('enable_seqscan', 'off', false),"
            " set_config('enable_sort', 'off', false),"
            " set_config('enable_indexscan', 'on', false),"
            " set_config('ivfflat.probes', %s, false)",
            (str(probes),),
        )

    async def use_no_index(self) -> None:
        """Neighbours are exact from now on."""
        await self._session.run(
            "SELECT set_config('enable_indexscan', 'off', false),"
            " set_config('enable_bitmapscan', 'off', false)"
        )

    async def distances(self, of: Sampled, k: int) -> NDArray[np.float64]:
        """Distances of the k nearest others, nearest first."""
        found = await self._session.all(
            self._sql(
                "SELECT {vector} {distance} %s FROM {table} WHERE ctid <> %s::tid"
                " ORDER BY {vector} {distance} %s LIMIT %s"
            ),
            (of.vector, of.place, of.vector, k),
        )
        return np.array([distance for (distance,) in found], np.float64)

    async def store(self, lists: int, probes: int, recall: float) -> None:
        """Tells `search` what was measured."""
        await self._session.run(
            query("store_index"),
            {
                "index_name": self.name,
                "index_kind": "ivfflat",
                "lists": lists,
                "probes": probes,
                "recall": recall,
                "id": self._definition.id,
                "version": self._definition.version,
            },
        )

    def _sql(self, template: str, **more: sql.Composable) -> sql.Composed:
        return sql.SQL(template).format(**self._parts, **more)
