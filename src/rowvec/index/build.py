"""Builds the index of an embedding and finds the setting that it needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from rowvec.config import Settings
from rowvec.db.build_resources import ServerResources, server_resources
from rowvec.db.connection import resolve_dsn
from rowvec.db.default_setting import by_hand
from rowvec.db.definition import Definition
from rowvec.db.index_form import IndexForm, Storage
from rowvec.db.measured import Measured, keep_measured
from rowvec.db.nearest_rows import NearestRows
from rowvec.db.pending_index import try_lock, unlock
from rowvec.db.session import Session, open_session
from rowvec.db.vector_index import (
    Resources,
    StoredIndex,
    VectorIndex,
    build_progress,
    count_vectors,
    opclass_schema,
    store,
)
from rowvec.db.vector_table import TablePart, VectorTable
from rowvec.errors import DefinitionChanged, InvalidRequest, NotSupported
from rowvec.index.choice import Choice, Wish, choose
from rowvec.index.index_kind import Facts, IndexKind
from rowvec.index.index_progress import IndexProgress
from rowvec.index.kinds import kind_of
from rowvec.index.recall import NEIGHBOURS, Measurement, sample
from rowvec.index.request import IndexRequest, IndexResult
from rowvec.index.standing import Standing, must_be_another, should_be_another

_APPLICATION = "rowvec index"
_POLL_SECONDS = 0.2


async def build_index(
    settings: Settings, request: IndexRequest, reporter: IndexProgress
) -> IndexResult:
    """Builds what is missing, measures, and stores the setting for `search`.

    Raises NotSupported for more dimensions than an index holds and for a kind that this database
    does not have, InvalidRequest where there is nothing to index, DatabaseError as Postgres gives
    it.
    """
    dsn = resolve_dsn(settings)
    async with open_session(dsn, _APPLICATION) as session:
        definition = await Definition.read(session, request.source, request.embedding)
        table = await VectorTable.read(session, definition)
        counts = await count_vectors(session, table)
        rows = sum(counts.values())
        if not rows:
            raise InvalidRequest(
                f"no row of {table.table} has a vector in {table.column}",
                hint=f"run `rowvec backfill {request.source}` first",
            )
        server = await server_resources(session)
        target = request.target_recall or table.target_recall
        dimensions, processes = definition.dimensions, server.parallel_workers + 1
        facts = Facts(rows, dimensions, target, server.memory_kb, processes)
        choice = choose(facts, Wish(request.kind, request.storage, request.lists))
        job = _Job(session, definition, table, reporter)
        await job.require(choice.kind, choice.storage)
        chosen = IndexResult(
            source=table.table,
            embedding=definition.name,
            index=VectorIndex(session, table).name,
            rows=rows,
            kind=choice.kind.method,
            storage=choice.storage,
            lists=choice.lists,
            was_built=False,
            target_recall=target,
            reasons=choice.reasons,
            estimated_seconds=round(choice.build_seconds, 1),
            estimated_bytes=choice.size_bytes,
            memory_kb=choice.memory_kb,
        )
        if request.dry_run:
            return chosen
        async with _alone(session, definition, reporter):
            return await job.run(chosen, request, _Plan(dsn, choice, counts, server))


@dataclass(frozen=True)
class _Plan:
    """How to build, should it be due."""

    dsn: str
    choice: Choice
    counts: dict[TablePart, int]
    server: ServerResources


class _Job:
    """One run; `run` is called with its lock held."""

    def __init__(
        self,
        session: Session,
        definition: Definition,
        table: VectorTable,
        reporter: IndexProgress,
    ) -> None:
        self._session = session
        self._definition = definition
        self._table = table
        self._reporter = reporter
        self._index = VectorIndex(session, table)

    async def require(self, kind: IndexKind, storage: Storage) -> None:
        """Raises NotSupported where the database has no such index."""
        form = self._form(kind, storage)
        if await opclass_schema(self._session, form) is None:
            raise NotSupported(
                f"this database has no index of the kind {kind.method} for {form.opclass}",
                hint=f"it comes with the extension {kind.extension}: CREATE EXTENSION "
                f"{kind.extension}, where the server has it",
            )

    async def run(self, chosen: IndexResult, request: IndexRequest, plan: _Plan) -> IndexResult:
        """Builds where that is due, then measures and stores."""
        for name in await self._index.drop_leftovers():
            self._reporter.say(f"{name} is left over from a build that was killed: dropped")
        kind, storage, lists = plan.choice.kind, chosen.storage, chosen.lists
        state = await self._index.state()
        is_due = state is None or await self._is_due(chosen, request)
        began = time.perf_counter()
        if is_due:
            for reason in chosen.reasons:
                self._reporter.say(reason)
            # What lacks partitions is made whole, not replaced.
            beside = state is not None and state.is_valid
            await self._create(plan, request.lists, beside=beside)
        elif state is not None:
            kind, storage, lists = kind_of(state.kind), state.storage, state.lists
        build_seconds = round(time.perf_counter() - began, 1) if is_due else None
        best, measured = await self._measure(kind, storage, lists, chosen)
        assert best.setting is not None
        await self._store(
            StoredIndex(
                self._index.name, kind.method, kind.is_graph, storage, lists,
                chosen.rows if is_due else None, best.setting, kind.most, best.recall,
                request.target_recall,
            )
        )  # fmt: skip
        await keep_measured(self._session, self._definition, measured)
        hand = await by_hand(self._session, self._form(kind, storage), best.setting, request.apply)
        return replace(
            chosen,
            kind=kind.method,
            storage=storage,
            lists=lists,
            was_built=is_due,
            setting=best.setting,
            recall=best.recall,
            measured=measured,
            reasons=chosen.reasons if is_due else (),
            build_seconds=build_seconds,
            by_hand=hand,
        )

    def _form(self, kind: IndexKind, storage: Storage) -> IndexForm:
        return IndexForm(
            kind.method,
            storage,
            self._definition.metric,
            self._definition.dimensions,
            self._session.vector_schema,
            self._table.column,
        )

    async def _is_due(self, chosen: IndexResult, request: IndexRequest) -> bool:
        """Whether to build although something stands; a sentence says why, or why it should be."""
        state = await self._index.state()
        assert state is not None
        kind = kind_of(state.kind)
        standing = Standing(
            state=state,
            opclass=self._form(kind, state.storage).opclass,
            rows=chosen.rows,
            built_for=self._table.index_rows,
            recall=await self._recall_now(kind, state.storage, chosen) if request.refresh else None,
            target_recall=chosen.target_recall,
            is_partitioned=self._table.is_partitioned,
        )
        name = self._index.name
        reason = must_be_another(standing, request)
        if reason is None:
            reason = should_be_another(standing)
            if reason and not request.refresh:
                self._reporter.say(f"{name}: {reason}; --refresh builds another beside it")
                return False
        if reason is not None:
            self._reporter.say(f"{name} is built again: {reason}")
        return reason is not None

    async def _recall_now(
        self, kind: IndexKind, storage: Storage, chosen: IndexResult
    ) -> float | None:
        """At the setting that `search` uses."""
        if self._table.recall is None:
            return None
        measurement = await self._measurement(kind, storage, chosen.rows)
        await measurement.exact()
        return (await measurement.at(self._table.setting)).recall

    async def _create(self, plan: _Plan, asked_lists: int | None, *, beside: bool) -> None:
        """Builds the index here and reads the progress over a second connection."""
        kind, server = plan.choice.kind, plan.server
        form = self._form(kind, plan.choice.storage)
        # Partitions are indexed one by one, each with the lists that suit its own rows.
        largest = max(plan.counts.values())
        options = {
            part: kind.options(asked_lists or kind.lists_for(plan.counts.get(part, largest)))
            for part in self._table.parts
        }
        memory_kb = max(server.maintenance_kb, min(plan.choice.memory_kb, server.memory_kb))
        resources = Resources(memory_kb, server.parallel_workers)
        pid = self._session.connection.info.backend_pid
        async with open_session(plan.dsn, _APPLICATION) as observer:
            build = asyncio.create_task(self._index.create(form, options, resources, beside=beside))
            try:
                while not (await asyncio.wait([build], timeout=_POLL_SECONDS))[0]:
                    progress = await build_progress(observer, pid)
                    if progress is not None:
                        self._reporter.phase(*progress)
                await build
            finally:
                build.cancel()
        if beside:
            await self._index.swap()

    async def _measurement(self, kind: IndexKind, storage: Storage, rows: int) -> Measurement:
        neighbours = NearestRows(self._session, self._table, self._form(kind, storage))
        queries = await sample(neighbours, kind, storage, rows)
        return Measurement(neighbours, queries, NEIGHBOURS, are_sampled=True)

    async def _measure(
        self, kind: IndexKind, storage: Storage, lists: int | None, chosen: IndexResult
    ) -> tuple[Measured, tuple[Measured, ...]]:
        measurement = await self._measurement(kind, storage, chosen.rows)
        exact = await measurement.exact()
        self._reporter.measured(exact)
        tried: list[Measured] = []

        def report(one: Measured) -> None:
            tried.append(one)
            self._reporter.measured(one)

        lists = lists or kind.lists_for(chosen.rows)
        best = await measurement.smallest(
            kind.settings(storage, lists, NEIGHBOURS),
            chosen.target_recall,
            report,
            kind.least(lists, chosen.rows),
        )
        return best, (exact, *sorted(tried, key=lambda one: one.order))

    async def _store(self, stored: StoredIndex) -> None:
        if not await store(self._session, self._definition, stored):
            raise DefinitionChanged(
                f"{self._definition.label} was changed while its index was built",
                hint="run the command again",
            )


@asynccontextmanager
async def _alone(
    session: Session, definition: Definition, reporter: IndexProgress
) -> AsyncIterator[None]:
    """Waits until no other session builds indexes of the embedding, and keeps others waiting."""
    waited = False
    while not await try_lock(session, definition):
        if not waited:
            reporter.say(f"another session builds an index of {definition.label}: waiting for it")
        waited = True
        await asyncio.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        await unlock(session, definition)
