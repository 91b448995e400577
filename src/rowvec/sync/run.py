"""Sync: a daemon that keeps all embeddings of a database filled, beside others of its kind.

Who keeps which embedding follows from one table. Every sync has a row with the embeddings that it
would keep; all read the same list and deal the embeddings out in turn. One that another still keeps
is taken when the other has let go. A row counts while its session lives and says so, so what a
killed sync kept is dealt out again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rowvec.config import Settings
from rowvec.db.connection import job_dsn, owner_dsn
from rowvec.db.definition import Definition
from rowvec.db.job_reports import is_backfilled
from rowvec.db.pending_index import pending_stamp
from rowvec.db.session import Session, open_session
from rowvec.db.source import Source
from rowvec.db.sync_turns import SyncTurns
from rowvec.errors import DatabaseConflict, DatabaseError, DatabaseUnavailable
from rowvec.filling.batch import transaction_rows
from rowvec.filling.heartbeat import Heartbeat
from rowvec.filling.image_paths import reading
from rowvec.filling.isolation import Isolation
from rowvec.filling.making import maker
from rowvec.filling.patience import Patience, sleep_unless
from rowvec.filling.worker_embedder import CALLS_AT_ONCE, WorkerEmbedder
from rowvec.sync.commits import Commits
from rowvec.sync.keeper import Keeper, KeeperTools
from rowvec.sync.trouble import Trouble

APPLICATION = "rowvec sync"

_DEAL_SECONDS = 1.0

# Between looks at the functions that an index is built by: Postgres has to look through all it has.
_LOOK_SECONDS = 5.0

# A row of rowvec.sync counts for 15 seconds.
_TELL_SECONDS = 5.0


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
            async with open_session(job_dsn(task.settings), APPLICATION) as session:
                await _Dealing(session, task, trouble).run()
        except (DatabaseUnavailable, DatabaseConflict) as exc:
            await sleep_unless(task.stop, trouble.met(exc))


def mine(state: Sequence[Mapping[str, Any]], me: object) -> dict[int, Mapping[str, Any]]:
    """The embeddings that fall to the session `me`, by id: candidates take every n-th of the list.

    The whole list counts, so that all syncs come to the same result.
    """
    return {
        each["id"]: each
        for turn, each in enumerate(state)
        if each["candidates"] and each["candidates"][turn % len(each["candidates"])] == me
    }


@dataclass
class _Kept:
    """An embedding that this process keeps filled."""

    version: int
    stamp: str
    keeper: Keeper
    running: asyncio.Task[None]
    stop: asyncio.Event


class _Dealing:
    """Takes and gives up embeddings on one session, until the session is lost."""

    def __init__(self, session: Session, task: Task, trouble: Trouble) -> None:
        self._session = session
        self._turns = SyncTurns(session)
        self._task = task
        self._trouble = trouble
        self._sources: list[int] | None = None
        self._told: tuple[set[int], set[int]] | None = None
        self._told_at = 0.0
        self._looked_at = time.monotonic()
        self._kept: dict[int, _Kept] = {}
        self._commits = Commits(session)
        self._heartbeat = Heartbeat(session, "sync", self._commits.own)
        # Beside the session that all share and the one that finds the worker.
        self._builders = asyncio.Semaphore(task.settings.sync_connections - 2)
        self._finding = asyncio.Lock()
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def run(self) -> None:
        """Deals until the stop, which lets every keeper end its batch in hand."""
        self._sources = await self._turns.begin(self._task.sources)
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
            with suppress(DatabaseUnavailable):  # the session may be what was lost
                await self._turns.leave()

    async def _deal(self) -> None:
        state = await self._read_state()
        if await self._stand(state):
            state = await self._read_state()
        wanted = mine(state, self._turns.me)
        await self._look_at_stamps()
        for number, kept in [*self._kept.items()]:
            if number not in wanted or kept.version != wanted[number]["version"]:
                kept.stop.set()  # it ends after the batch in hand, which nobody else waits for
            if kept.running.done():
                await self._let_go(number)
        for number, each in wanted.items():
            if number in self._kept:
                self._kept[number].keeper.see_children(each["children"])
            elif not each["is_kept_elsewhere"]:
                await self._take(each)
        await self._stand(state)

    async def _look_at_stamps(self) -> None:
        """Stops what works with an index of functions that were replaced: it is built anew."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        for number, kept in self._kept.items():
            if kept.stamp != await pending_stamp(self._session, number):
                kept.stop.set()
        self._looked_at = time.monotonic()

    async def _read_state(self) -> list[dict[str, Any]]:
        reads_files = self._task.settings.image_folder is not None
        return await self._turns.state(self._sources, reads_files=reads_files)

    async def _stand(self, state: Sequence[Mapping[str, Any]]) -> bool:
        """Says what is to be kept filled and what is kept; whether the first has changed."""
        wanted = {
            each["id"]
            for each in state
            if each["is_wanted"] and not each["paused"] and not each["is_backfilled"]
        }
        before, told, now = self._told, (wanted, {*self._kept}), time.monotonic()
        if told == before and now - self._told_at < _TELL_SECONDS:
            return False
        self._commits.own(await self._turns.tell(*told))
        self._told, self._told_at = told, now
        return before is None or before[0] != wanted

    async def _take(self, each: Mapping[str, Any]) -> None:
        try:
            await self._begin(each)
        except DatabaseError as exc:
            # Dropped or renamed since the list was read; the next list knows.
            if exc.retryable:
                raise

    async def _begin(self, each: Mapping[str, Any]) -> None:
        definition = await Definition.read(self._session, each["source"], each["name"])
        stamp = await pending_stamp(self._session, each["id"])
        stop = asyncio.Event()
        keeper = await self._keeper(definition, stop)
        job = await self._heartbeat.begin(each["id"], keeper.gauge)
        # Each tells of itself before it looks for the other: one of the two sees it.
        if await is_backfilled(self._session, each["id"]):
            stop.set()
        else:
            self._task.say(f"keeping {definition.label} filled")
        running = asyncio.create_task(self._keep(keeper, job, stop))
        self._kept[each["id"]] = _Kept(each["version"], stamp, keeper, running, stop)

    async def _keep(self, keeper: Keeper, job: int, stop: asyncio.Event) -> None:
        """Tells at once when nothing is in hand any more: a backfill may wait for it."""
        try:
            await keeper.run(stop)
        finally:
            await self._heartbeat.end(job)

    async def _let_go(self, number: int) -> None:
        kept = self._kept.pop(number)
        await kept.running  # raises what ended it

    async def _find_worker(self) -> str:
        async with self._finding:
            return await asyncio.to_thread(self._task.find_worker)

    async def _keeper(self, definition: Definition, stop: asyncio.Event) -> Keeper:
        task = self._task
        worker = await self._find_worker()
        embedder = WorkerEmbedder(
            worker,
            definition.model,
            definition.document_kwargs,
            definition.modality,
            places=self._places,
        )
        tools = KeeperTools(
            session=self._session,
            builders=self._builders,
            spare=self._finding,
            commits=self._commits,
            dsn=job_dsn(task.settings),
            owner_dsn=owner_dsn(task.settings),
            application=APPLICATION,
            transaction_rows=transaction_rows(task.settings.commit_rows),
            find_worker=self._find_worker,
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
