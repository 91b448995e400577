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
from rowvec.db.definition import Definition
from rowvec.db.index_form import IndexForm, Kind, Setting, Storage
from rowvec.db.neighbours import Neighbours
from rowvec.db.pending_index import try_lock, unlock
from rowvec.db.queries import query
from rowvec.db.session import Session, open_session
from rowvec.db.vector_index import Resources, Stored, VectorIndex, count_vectors, store
from rowvec.db.vector_table import Part, VectorTable
from rowvec.errors import DefinitionChanged, InvalidRequest
from rowvec.search.choice import Choice, Facts, Wish, choose, lists_for
from rowvec.search.measurements import keep
from rowvec.search.recall import (
    NEIGHBOURS,
    Measured,
    Measurement,
    least_probes,
    queries_for,
    settings_to_try,
)
from rowvec.search.request import IndexReporter, IndexRequest, IndexResult
from rowvec.search.standing import Standing, must_be_another, should_be_another

_APPLICATION = "rowvec index"
_POLL_SECONDS = 0.2


async def build_index(
    settings: Settings, request: IndexRequest, reporter: IndexReporter
) -> IndexResult:
    """Builds what is missing, measures, and stores the setting for `search`.

    Raises NotSupported for more dimensions than an index holds, InvalidRequest where there is
    nothing to index, DatabaseError as Postgres gives it.
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
        chosen = IndexResult(
            source=table.table,
            embedding=definition.name,
            index=VectorIndex(session, table).name,
            rows=rows,
            kind=choice.kind,
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
            job = _Job(session, definition, table, reporter)
            return await job.run(chosen, request, _Plan(dsn, choice, counts, server))


@dataclass(frozen=True)
class _Plan:
    """How to build, should it be due."""

    dsn: str
    choice: Choice
    counts: dict[Part, int]
    server: ServerResources


class _Job:
    """One run, with its lock held."""

    def __init__(
        self,
        session: Session,
        definition: Definition,
        table: VectorTable,
        reporter: IndexReporter,
    ) -> None:
        self._session = session
        self._definition = definition
        self._table = table
        self._reporter = reporter
        self._index = VectorIndex(session, table)

    async def run(self, chosen: IndexResult, request: IndexRequest, plan: _Plan) -> IndexResult:
        """Builds where that is due, then measures and stores."""
        for name in await self._index.drop_leftovers():
            self._reporter.say(f"{name} is left over from a build that was killed: dropped")
        form = self._form(chosen.kind, chosen.storage)
        state = await self._index.state()
        is_due = state is None or await self._is_due(chosen, request)
        lists = chosen.lists
        began = time.perf_counter()
        if is_due:
            for reason in chosen.reasons:
                self._reporter.say(reason)
            # What lacks partitions is made whole, not replaced.
            beside = state is not None and state.is_valid
            await self._create(form, plan, request.lists, beside=beside)
        elif state is not None:
            lists = state.lists
            form = self._form("hnsw" if state.kind == "hnsw" else "ivfflat", state.storage)
        build_seconds = round(time.perf_counter() - began, 1) if is_due else None
        best, measured = await self._measure(form, lists, chosen)
        await self._store(form, lists, chosen.rows if is_due else None, best, request.target_recall)
        await keep(self._session, self._definition, measured)
        return replace(
            chosen,
            kind=form.kind,
            storage=form.storage,
            lists=lists,
            was_built=is_due,
            setting=best.setting or Setting(),
            recall=best.recall,
            measured=measured,
            reasons=chosen.reasons if is_due else (),
            build_seconds=build_seconds,
        )

    def _form(self, kind: Kind, storage: Storage) -> IndexForm:
        return IndexForm(
            kind,
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
        form = self._form("hnsw" if state.kind == "hnsw" else "ivfflat", state.storage)
        standing = Standing(
            state=state,
            opclass=form.opclass,
            rows=chosen.rows,
            built_for=self._table.index_rows,
            recall=await self._recall_now(form, chosen) if request.refresh else None,
            target_recall=chosen.target_recall,
            is_partitioned=self._table.is_partitioned,
        )
        name = self._index.name
        reason = must_be_another(standing, request)
        if reason is None:
            reason = should_be_another(standing)
            if reason and not request.refresh:
                self._reporter.say(f"{name}: {reason}; --refresh builds it anew beside the old one")
                return False
        if reason is not None:
            self._reporter.say(f"{name} is built anew: {reason}")
        return reason is not None

    async def _recall_now(self, form: IndexForm, chosen: IndexResult) -> float | None:
        """At the setting that `search` uses."""
        if self._table.recall is None:
            return None
        measurement = await self._measurement(form, chosen.rows)
        await measurement.exact()
        return (await measurement.at(self._table.setting)).recall

    async def _create(
        self, form: IndexForm, plan: _Plan, asked_lists: int | None, *, beside: bool
    ) -> None:
        """Builds the index here and reads the progress over a second connection."""
        # Partitions are indexed one by one, each with the lists that suit its own rows.
        lists = {part: asked_lists or lists_for(rows) for part, rows in plan.counts.items()}
        server = plan.server
        memory_kb = max(server.maintenance_kb, min(plan.choice.memory_kb, server.memory_kb))
        resources = Resources(memory_kb, server.parallel_workers)
        pid = self._session.connection.info.backend_pid
        async with open_session(plan.dsn, _APPLICATION) as observer:
            build = asyncio.create_task(self._index.create(form, lists, resources, beside=beside))
            try:
                while not (await asyncio.wait([build], timeout=_POLL_SECONDS))[0]:
                    progress = await observer.first(query("index_progress"), {"pid": pid})
                    if progress is not None:
                        phase, done, total = progress
                        self._reporter.phase(phase, done or 0, total or 0)
                await build
            finally:
                build.cancel()
        if beside:
            await self._index.swap()

    async def _measurement(self, form: IndexForm, rows: int) -> Measurement:
        neighbours = Neighbours(self._session, self._table, form)
        queries = await neighbours.sample(queries_for(rows), rows)
        return Measurement(neighbours, queries, NEIGHBOURS, are_sampled=True)

    async def _measure(
        self, form: IndexForm, lists: int | None, chosen: IndexResult
    ) -> tuple[Measured, tuple[Measured, ...]]:
        measurement = await self._measurement(form, chosen.rows)
        exact = await measurement.exact()
        self._reporter.measured(exact)
        tried: list[Measured] = []

        def report(one: Measured) -> None:
            tried.append(one)
            self._reporter.measured(one)

        lists = lists or lists_for(chosen.rows)
        steps = settings_to_try(form, lists, NEIGHBOURS)
        best = await measurement.smallest(
            steps, chosen.target_recall, report, least_probes(form, lists, chosen.rows)
        )
        return best, (exact, *sorted(tried, key=lambda one: one.order))

    async def _store(
        self,
        form: IndexForm,
        lists: int | None,
        rows: int | None,
        best: Measured,
        target_recall: float | None,
    ) -> None:
        assert best.setting is not None
        stored = Stored(
            self._index.name, form.kind, form.storage, lists, rows, best.setting, best.recall,
            target_recall,
        )  # fmt: skip
        if not await store(self._session, self._definition, stored):
            raise DefinitionChanged(
                f"{self._definition.label} was changed while its index was built",
                hint="run the command again",
            )


@asynccontextmanager
async def _alone(
    session: Session, definition: Definition, reporter: IndexReporter
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
