"""Sync: a daemon that keeps all embeddings of a database filled, beside others of its kind.

Who keeps which embedding follows from Postgres's locks alone. Every sync holds a shared advisory
lock for each embedding that it would keep; all read the same list and deal the embeddings out in
turn. The one that keeps an embedding holds an exclusive lock on it. Both die with their session, so
what a killed sync kept is dealt out again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.db.definition import Definition
from rowvec.db.queries import query, typed
from rowvec.db.session import Session, open_session
from rowvec.db.source import Source
from rowvec.errors import DatabaseConflict, DatabaseError, DatabaseUnavailable
from rowvec.filling.arguments import document_kwargs
from rowvec.filling.batch import transaction_rows
from rowvec.filling.heartbeat import Heartbeat
from rowvec.filling.image_paths import reading
from rowvec.filling.isolation import Isolation
from rowvec.filling.making import maker
from rowvec.filling.patience import Patience, sleep_unless
from rowvec.filling.worker_embedder import WorkerEmbedder
from rowvec.sync.keeper import Keeper, KeeperTools
from rowvec.sync.trouble import Trouble

APPLICATION = "rowvec sync"

_DEAL_SECONDS = 1.0


@dataclass(frozen=True)
class Task:
    """What a sync is to do: which sources (None is all), and whom it may ask and tell.

    `find_worker` gives the worker's conninfo; it is asked again after every loss.
    """

    settings: Settings
    sources: Sequence[str] | None
    find_worker: Callable[[], str]
    say: Callable[[str], None]
    stop: asyncio.Event


async def sync(task: Task) -> None:
    """Keeps embeddings filled until `stop` is set, and ends after the batches in hand.

    A worker or a database that is away is waited for as long as it takes. Raises DatabaseError
    where a source does not exist.
    """
    trouble = Trouble("the database", task.say)
    while not task.stop.is_set():
        try:
            async with open_session(resolve_dsn(task.settings), APPLICATION) as session:
                await _Dealing(session, task, trouble).run()
        except (DatabaseUnavailable, DatabaseConflict) as exc:
            await sleep_unless(task.stop, trouble.met(exc))


def mine(state: Sequence[Mapping[str, Any]], pid: int) -> dict[int, Mapping[str, Any]]:
    """The embeddings that fall to the session `pid`, by id: candidates take every n-th of the list.

    The whole list counts, so that all syncs come to the same result.
    """
    return {
        each["id"]: each
        for turn, each in enumerate(state)
        if each["candidates"] and each["candidates"][turn % len(each["candidates"])] == pid
    }


@dataclass
class _Kept:
    """An embedding that this process keeps filled."""

    version: int
    job: int
    running: asyncio.Task[None]
    stop: asyncio.Event


class _Dealing:
    """Takes and gives up embeddings on one session, until the session is lost."""

    def __init__(self, session: Session, task: Task, trouble: Trouble) -> None:
        self._session = session
        self._task = task
        self._trouble = trouble
        self._pid = session.connection.info.backend_pid
        self._sources: list[int] | None = None
        self._standing: set[int] = set()
        self._kept: dict[int, _Kept] = {}
        self._heartbeat = Heartbeat(session, "sync")

    async def run(self) -> None:
        """Deals until the stop, which lets every keeper end its batch in hand."""
        self._session.prepare_nothing()
        self._sources = await self._find_sources()
        # The session is shared: a table that somebody has locked must not hold up the others.
        await self._session.run("SET lock_timeout = '500ms'")
        try:
            async with self._heartbeat.beating():
                while not self._task.stop.is_set():
                    await self._deal()
                    self._trouble.over()
                    await sleep_unless(self._task.stop, _DEAL_SECONDS)
        finally:
            for kept in self._kept.values():
                kept.stop.set()
            await asyncio.gather(*(k.running for k in self._kept.values()), return_exceptions=True)
            for kept in self._kept.values():
                await self._heartbeat.end(kept.job)

    async def _find_sources(self) -> list[int] | None:
        """What the names mean to the user; None is all."""
        if self._task.sources is None:
            return None
        async with self._session.users_path():
            found: list[int] = await self._session.value(
                typed("sources"), {"sources": [*self._task.sources]}
            )
        return found

    async def _deal(self) -> None:
        state = await self._read_state()
        if await self._stand(state):
            state = await self._read_state()
        wanted = mine(state, self._pid)
        for number, kept in [*self._kept.items()]:
            is_current = number in wanted and kept.version == wanted[number]["version"]
            if not is_current or kept.running.done():
                await self._give_up(number)
        for number, each in wanted.items():
            if number not in self._kept:
                await self._take(each)

    async def _read_state(self) -> list[dict[str, Any]]:
        reads_files = self._task.settings.image_folder is not None
        async with self._session.turn:
            return await self._session.dicts(
                query("sync_state"), {"sources": self._sources, "reads_files": reads_files}
            )

    async def _stand(self, state: Sequence[Mapping[str, Any]]) -> bool:
        """Stands for what is to be kept filled, steps back from the rest; whether it changed."""
        wanted = {
            each["id"]
            for each in state
            if each["is_wanted"] and not each["paused"] and not each["is_backfilled"]
        }
        changes = [(number, "stand_for_sync") for number in wanted - self._standing]
        changes += [(number, "step_back_from_sync") for number in self._standing - wanted]
        for number, statement in changes:
            async with self._session.turn:
                await self._session.run(query(statement), {"id": number})
        self._standing = wanted
        return bool(changes)

    async def _take(self, each: Mapping[str, Any]) -> None:
        named = {"id": each["id"]}
        async with self._session.turn:
            if not await self._session.value(query("try_lock_sync"), named):
                return  # until its keeper has ended the batch in hand
        try:
            await self._begin(each)
        except DatabaseError as exc:
            if exc.retryable:
                raise
            # Dropped or renamed since the list was read; the next list knows.
            async with self._session.turn:
                await self._session.run(query("unlock_sync"), named)

    async def _begin(self, each: Mapping[str, Any]) -> None:
        async with self._session.turn:
            definition = await Definition.read(self._session, each["source"], each["name"])
        stop = asyncio.Event()
        keeper = await self._keeper(definition, stop)
        job = await self._heartbeat.begin(each["id"], keeper.gauge)
        self._task.say(f"keeping {definition.label} filled")
        running = asyncio.create_task(keeper.run(stop))
        self._kept[each["id"]] = _Kept(each["version"], job, running, stop)

    async def _give_up(self, number: int) -> None:
        kept = self._kept.pop(number)
        kept.stop.set()
        await kept.running  # raises what ended it
        await self._heartbeat.end(kept.job)
        async with self._session.turn:
            await self._session.run(query("unlock_sync"), {"id": number})

    async def _keeper(self, definition: Definition, stop: asyncio.Event) -> Keeper:
        task = self._task
        worker = await asyncio.to_thread(task.find_worker)
        embedder = WorkerEmbedder(
            worker, definition.model, document_kwargs(definition), definition.modality
        )
        tools = KeeperTools(
            session=self._session,
            dsn=resolve_dsn(task.settings),
            application=APPLICATION,
            transaction_rows=transaction_rows(task.settings.commit_rows),
            find_worker=task.find_worker,
            say=task.say,
        )
        # No patience of its own: the keeper has all the time, and may be asked to stop.
        patience = Patience(0, task.say, stop)
        isolation = Isolation(
            maker(definition, reading(definition, embedder, task.settings)),
            definition.dimensions,
            patience,
            definition.modality,
        )
        return Keeper(tools, Source(definition), embedder, isolation)
