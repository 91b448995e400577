"""The statements of an index over the vectors of an embedding, partition by partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from rowvec.db.compose import comma, identifier
from rowvec.db.definition import Definition
from rowvec.db.index_form import IndexForm, Setting, Storage, storage_of
from rowvec.db.pending_index import index_name
from rowvec.db.queries import query
from rowvec.db.session import Session
from rowvec.db.vector_table import TablePart, VectorTable
from rowvec.errors import DatabaseError

# Room for the ending that an index has while another is built beside it.
_NEW, _OLD = "new", "old"

_DISK_FULL = "53100"

# The options of the WITH clause.
Options = Mapping[str, int | str]


@dataclass(frozen=True)
class IndexState:
    """An index as it stands; `lists` is None for a kind without lists."""

    is_valid: bool
    kind: str
    lists: int | None
    opclass: str
    is_attached: bool

    @property
    def storage(self) -> Storage:
        """What it holds of a vector."""
        return storage_of(self.opclass)


@dataclass(frozen=True)
class Resources:
    """What a build is given of the server."""

    memory_kb: int
    workers: int


class VectorIndex:
    """The index of one table, under the name that rowvec gives it.

    While it stands, another is built beside it under a name that ends in `_new`; `swap` exchanges
    the names. Names that end so, and `_old`, are ours: what a killed build left there is dropped.
    """

    def __init__(self, session: Session, table: VectorTable) -> None:
        self._session = session
        self._table = table
        self.name = index_name(table.table, table.column, "idx")

    async def state(self) -> IndexState | None:
        """The index, valid or left over; None where there is none."""
        return await self._state(self._table.parts[0], self.name)

    async def drop_leftovers(self) -> list[str]:
        """Drops what killed builds left behind and names it; the index itself where INVALID.

        A partition's own index that is valid stays: the next build attaches it.
        """
        dropped: list[str] = []
        for part in self._table.parts:
            for ending in (_NEW, _OLD):
                name = _name(part, self._table.column, ending)
                if await self._state(part, name) is not None:
                    await self._drop(part, name)
                    dropped.append(name)
            name = _name(part, self._table.column)
            state = await self._state(part, name)
            # An index over partitions is INVALID until each has its own: that one is made whole.
            if state is not None and not state.is_valid and part.is_leaf:
                await self._drop(part, name)
                dropped.append(name)
        return dropped

    async def drop(self) -> None:
        """Drops the index, without blocking others if Postgres can."""
        await self._drop(self._table.parts[0], self.name)

    async def create(
        self,
        form: IndexForm,
        options: dict[TablePart, Options],
        resources: Resources,
        *,
        beside: bool,
    ) -> None:
        """Builds it without blocking others; partition by partition, then attached.

        `options` are those of each part. `beside`: under the name that `swap` exchanges.
        """
        await self._give(resources)
        ending = _NEW if beside else None
        for part in self._table.parts:
            name = _name(part, self._table.column, ending)
            standing = await self._state(part, name)
            if standing is None:
                await self._create_one(part, name, form, options[part])
            if part.parent is not None and not (standing and standing.is_attached):
                await self._attach(part, ending)

    async def swap(self) -> None:
        """Gives the index that was built beside the name, and drops the one that had it."""
        renamed = []
        for part in self._table.parts:
            plain, new, old = (
                _name(part, self._table.column, ending) for ending in (None, _NEW, _OLD)
            )
            if await self._state(part, plain) is not None:
                renamed.append(_renamed(part, plain, old))
            renamed.append(_renamed(part, new, plain))
        await self._session.briefly(*renamed)
        top = self._table.parts[0]
        await self._drop(top, _name(top, self._table.column, _OLD))

    async def _give(self, resources: Resources) -> None:
        await self._session.run(
            "SELECT set_config('maintenance_work_mem', %s, false),"
            " set_config('max_parallel_maintenance_workers', %s, false)",
            (f"{resources.memory_kb}kB", str(resources.workers)),
        )

    async def _create_one(
        self, part: TablePart, name: str, form: IndexForm, options: Options
    ) -> None:
        schema = await opclass_schema(self._session, form)
        assert schema is not None
        given: list[sql.Composable] = [
            sql.SQL("{} = {}").format(identifier(k), v) for k, v in options.items()
        ]
        statement = sql.SQL("CREATE INDEX {}{} ON {}{} USING {} (({}) {}){}").format(
            # Nothing is built for a table of partitions; it only says what belongs together.
            sql.SQL("CONCURRENTLY " if part.is_leaf else ""),
            identifier(name),
            sql.SQL("" if part.is_leaf else "ONLY "),
            part.name,
            identifier(form.method),
            form.indexed,
            identifier(schema, form.opclass),
            sql.SQL(" WITH ({})").format(comma(given)) if given else sql.SQL(""),
        )
        if not part.is_leaf:
            await self._session.briefly(statement)
            return
        try:
            await self._session.run(statement)
        except DatabaseError as exc:
            # Parallel workers share memory that a container's /dev/shm (64 MB) may not have.
            if exc.code != _DISK_FULL or "shared memory" not in str(exc):
                raise
            await self._session.run(
                "SELECT set_config('max_parallel_maintenance_workers', '0', false)"
            )
            await self._drop(part, name)
            await self._session.run(statement)

    async def _attach(self, part: TablePart, ending: str | None) -> None:
        assert part.parent is not None
        schema, table = part.parent
        await self._session.briefly(
            sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(
                identifier(schema, _name_of(table, self._table.column, ending)),
                identifier(part.schema, _name(part, self._table.column, ending)),
            )
        )

    async def _drop(self, part: TablePart, name: str) -> None:
        # An index over partitions goes with theirs, and only with a lock.
        how = "CONCURRENTLY " if part.is_leaf else ""
        statement = sql.SQL("DROP INDEX {}IF EXISTS {}").format(
            sql.SQL(how), identifier(part.schema, name)
        )
        if part.is_leaf:
            await self._session.run(statement)
        else:
            await self._session.briefly(statement)

    async def _state(self, part: TablePart, name: str) -> IndexState | None:
        found = await self._session.dicts(
            query("index_state"), {"schema": part.schema, "table": part.table, "index": name}
        )
        if not found:
            return None
        options = dict(option.split("=", 1) for option in found[0].pop("options") or ())
        lists = int(options["lists"]) if "lists" in options else None
        return IndexState(**found[0], lists=lists)


def _renamed(part: TablePart, name: str, to: str) -> sql.Composed:
    return sql.SQL("ALTER INDEX {} RENAME TO {}").format(
        identifier(part.schema, name), identifier(to)
    )


def _name(part: TablePart, column: str, ending: str | None = None) -> str:
    return _name_of(part.table, column, ending)


def _name_of(table: str, column: str, ending: str | None) -> str:
    return index_name(table, column, "idx" if ending is None else f"idx_{ending}")


async def opclass_schema(session: Session, form: IndexForm) -> str | None:
    """Where the operator class of an index lives; None where the database does not have it."""
    found = await session.first(
        query("opclass_schema"), {"method": form.method, "opclass": form.opclass}
    )
    return None if found is None else str(found[0])


async def build_progress(session: Session, pid: int) -> tuple[str, int, int] | None:
    """The phase of another session's CREATE INDEX, how much of it is done, and of how much."""
    found = await session.first(query("index_progress"), {"pid": pid})
    return None if found is None else (str(found[0]), found[1] or 0, found[2] or 0)


async def is_indexed(session: Session, definition: Definition) -> bool:
    """Whether the embedding has an index that rowvec knows of."""
    return bool(await session.value(query("is_indexed"), {"id": definition.id}))


async def count_vectors(session: Session, table: VectorTable) -> dict[TablePart, int]:
    """How many rows have a vector, for each table that holds rows."""
    column = identifier(table.column)
    return {
        part: int(
            await session.value(sql.SQL("SELECT count({}) FROM {}").format(column, part.name))
        )
        for part in table.leaves
    }


@dataclass(frozen=True)
class StoredIndex:
    """What the catalog has of an index; `rows` and `target_recall` of None leave what is there.

    `is_graph` and `most` are what `search` has to know of its kind.
    """

    index_name: str
    kind: str
    is_graph: bool
    storage: Storage
    lists: int | None
    rows: int | None
    setting: Setting
    most: int | None
    recall: float
    target_recall: float | None


async def store(session: Session, definition: Definition, what: StoredIndex) -> bool:
    """Tells `search` what to use; False where the definition is another by now."""
    parameters = {
        **vars(what), "setting_name": what.setting.name, "setting": what.setting.value,
        "rescore": what.setting.rescore, "id": definition.id, "version": definition.version,
    }  # fmt: skip
    return await session.run(query("store_index"), parameters) > 0
