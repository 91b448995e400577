"""Forms batches from whatever waits: interactive before bulk, by length, within a token budget."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Generic

from rowvec.batching.waiting import (
    Batch,
    Item,
    ItemFailed,
    Lane,
    Queue,
    QueueEntry,
    R,
    Submission,
    W,
    window,
)
from rowvec.errors import (
    BackendFailed,
    InvalidRequest,
    Overloaded,
    RequestTooLarge,
    RowvecError,
    ShuttingDown,
)

# With both kinds waiting, every tenth batch is bulk.
_INTERACTIVE_IN_A_ROW = 9


class Batcher(Generic[W, R]):
    """Computes submitted items in batches, several at a time where there are `slots` for them.

    Promises: every submission ends exactly once, with its results, an error or a cancel. What
    no caller waits for any more is not computed. A batch that fails is halved until the failing
    item is alone, and only submissions that hold it fail; one that fails for a reason of ours that
    is no InvalidRequest fails whole. A batch is formed when there is room for it, from whatever
    waits then: submissions take turns, each with its longest item, so that a short one never waits
    for all of a long one. `budget` says of a group how many of the tokens of a batch it may have,
    by how many of it wait or of anything are computed; `takes` how many slots its batches take (1).
    """

    def __init__(
        self,
        compute: Callable[[Batch[W]], Awaitable[Sequence[R]]],
        *,
        max_batch_tokens: int,
        max_waiting: int,
        budget: Callable[[Hashable, int, int], int] | None = None,
        slots: int = 1,
        takes: Callable[[Hashable], int] | None = None,
    ) -> None:
        self._compute = compute
        self._max_batch_tokens = max_batch_tokens
        self._budget = budget
        self._slots = self._free = slots
        self._takes = takes
        self._running_tokens = 0
        self._was_freed = asyncio.Event()
        self._max_waiting = max_waiting
        self._queues: dict[bool, Queue[W, R]] = {True: Queue(), False: Queue()}
        self._lanes: dict[tuple[Hashable, bool], Lane[W, R]] = {}
        self._entries: dict[tuple[Hashable, Hashable], QueueEntry[W, R]] = {}
        self._sequence = itertools.count()
        self._interactive_in_a_row = 0
        self._submissions: set[Submission[W, R]] = set()
        self._refusing = False
        self._runner: asyncio.Task[None] | None = None
        self._work_waits = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> asyncio.Task[None]:
        """Begins to compute; call inside a running event loop, once.

        Gives the task that runs until `close`: its owner learns from it if it ends early.
        """
        assert self._runner is None
        self._runner = asyncio.create_task(self._run(), name="batcher")
        return self._runner

    @property
    def waiting(self) -> int:
        """Items that wait or are being computed."""
        return len(self._entries)

    async def submit(
        self, group: Hashable, items: Sequence[Item[W]], *, interactive: bool
    ) -> list[R]:
        """The items' results; cancel the caller to withdraw them.

        Raises ItemFailed for the first item that fails alone, what a batch failed with as a whole,
        Overloaded or RequestTooLarge where the items do not fit, ShuttingDown once drain or close
        was called.
        """
        self._admit(len(items))
        if not items:
            return []
        future = asyncio.get_running_loop().create_future()
        submission = Submission[W, R](future, [None] * len(items), len(items))
        self._submissions.add(submission)
        self._idle.clear()
        lane = self._lane(group, interactive=interactive)
        for position, item in enumerate(items):
            self._claim(submission, position, item, lane)
        self._forget_if_empty(lane)
        submission.entries.sort(key=lambda entry: entry.key)
        self._queues[interactive].turns.append(submission)
        self._work_waits.set()
        try:
            await future
        finally:
            self._withdraw(submission)
        results: list[R] = submission.results  # type: ignore[assignment]  # nothing is missing
        return results

    async def drain(self) -> None:
        """Refuses new submissions and returns when those taken have ended."""
        self._refusing = True
        await self._idle.wait()

    async def close(self) -> None:
        """Refuses new submissions and fails those that are left with ShuttingDown."""
        self._refusing = True
        self._fail_all(ShuttingDown("the worker is stopping"))
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])

    def _admit(self, count: int) -> None:
        if self._refusing:
            raise ShuttingDown("the worker is stopping")
        if count > self._max_waiting:
            raise RequestTooLarge(f"{count} inputs at once are more than {self._max_waiting}")
        if len(self._entries) + count > self._max_waiting:
            raise Overloaded("the queue is full", hint="try again later")

    def _lane(self, group: Hashable, *, interactive: bool) -> Lane[W, R]:
        key = (group, interactive)
        if key not in self._lanes:
            self._lanes[key] = Lane(group, interactive)
        return self._lanes[key]

    def _claim(
        self, submission: Submission[W, R], position: int, item: Item[W], lane: Lane[W, R]
    ) -> None:
        entry = self._entries.get((lane.group, item.identity))
        if entry is None:
            entry = QueueEntry(item, lane, next(self._sequence))
            self._entries[lane.group, item.identity] = entry
            lane.add(entry)
        elif lane.interactive and not entry.lane.interactive and not entry.taken:
            self._leave_lane(entry)
            lane.add(entry)
        entry.claims.append((submission, position))
        submission.claimed.append(entry)
        if not entry.taken:
            submission.entries.append(entry)

    def _withdraw(self, submission: Submission[W, R]) -> None:
        """Ends a submission; what only it waited for is forgotten unless it is being computed."""
        self._submissions.discard(submission)
        if submission.missing:
            for entry in submission.claimed:
                if not entry.claims:
                    continue
                entry.claims = [claim for claim in entry.claims if claim[0] is not submission]
                if not entry.claims and not entry.taken:
                    self._leave_lane(entry)
                    del self._entries[entry.lane.group, entry.item.identity]
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._submissions:
            self._idle.set()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as running:
                while True:
                    await self._room_for(1)
                    batch = await self._batch()
                    needed = self._needed(batch[0].lane.group)
                    is_only = len(batch) == len(self._entries)
                    # Of a group that takes more slots than are free: those before it end first.
                    await self._room_for(needed)
                    tokens = sum(entry.item.length for entry in batch)
                    self._free -= needed
                    self._running_tokens += tokens
                    task = running.create_task(self._execute(batch, is_only=is_only))
                    task.add_done_callback(partial(self._give_back, needed, tokens))
        finally:
            self._refusing = True
            self._fail_all(BackendFailed("the batcher stopped"))

    def _needed(self, group: Hashable) -> int:
        return 1 if self._takes is None else min(self._slots, self._takes(group))

    async def _room_for(self, slots: int) -> None:
        while self._free < slots:
            self._was_freed.clear()
            await self._was_freed.wait()

    def _give_back(self, slots: int, tokens: int, task: asyncio.Task[None]) -> None:
        if task.cancelled() and self._runner is not None:
            # By whoever computes, which no caller would hear of.
            self._runner.cancel()
        self._free += slots
        self._running_tokens -= tokens
        self._was_freed.set()

    async def _batch(self) -> list[QueueEntry[W, R]]:
        """The next batch, as soon as anything waits."""
        while not (batch := self._next_batch()):
            self._work_waits.clear()
            await self._work_waits.wait()
        return batch

    def _next_batch(self) -> list[QueueEntry[W, R]]:
        first = self._interactive_in_a_row < _INTERACTIVE_IN_A_ROW
        for interactive in (first, not first):
            batch = self._take(self._queues[interactive])
            if batch:
                self._interactive_in_a_row = self._interactive_in_a_row + 1 if interactive else 0
                return batch
        return []

    def _take(self, queue: Queue[W, R]) -> list[QueueEntry[W, R]]:
        while queue.halves:
            half = [entry for entry in queue.halves.pop() if not self._forget_unclaimed(entry)]
            if half:
                return half
        anchor = queue.anchor()
        if anchor is None:
            return []
        waiting = anchor.lane.waiting
        start, stop = window(
            [entry.item.length for entry in waiting],
            anchor.lane.place(anchor),
            self._budget_of(anchor.lane),
        )
        batch = waiting[start:stop]
        del waiting[start:stop]
        for entry in batch:
            entry.taken = True
        self._forget_if_empty(anchor.lane)
        return batch

    def _budget_of(self, lane: Lane[W, R]) -> int:
        if self._budget is None:
            return self._max_batch_tokens
        there = lane.tokens + self._running_tokens
        return self._budget(lane.group, self._max_batch_tokens, there)

    def _leave_lane(self, entry: QueueEntry[W, R]) -> None:
        entry.lane.remove(entry)
        self._forget_if_empty(entry.lane)

    def _forget_if_empty(self, lane: Lane[W, R]) -> None:
        # A group may hold a prompt of some client: there is no end to them.
        if not lane.waiting:
            self._lanes.pop((lane.group, lane.interactive), None)

    def _forget_unclaimed(self, entry: QueueEntry[W, R]) -> bool:
        if entry.claims:
            return False
        self._end(entry)
        return True

    async def _execute(self, batch: list[QueueEntry[W, R]], *, is_only: bool) -> None:
        lane = batch[0].lane
        try:
            items = [entry.item for entry in batch]
            work, identities = [i.work for i in items], [i.identity for i in items]
            results = await self._compute(Batch(lane.group, work, identities, is_only=is_only))
            assert len(results) == len(batch)
        except Exception as exc:  # noqa: BLE001  # whatever a model raises belongs to an item
            if isinstance(exc, RowvecError) and not isinstance(exc, InvalidRequest):
                # Raised on purpose, and not about an input: halves would only fail again.
                for entry in batch:
                    self._fail(entry, exc, alone=False)
            elif len(batch) == 1:
                self._fail(batch[0], exc, alone=True)
            else:
                middle = len(batch) // 2
                self._queues[lane.interactive].halves += (batch[middle:], batch[:middle])
                self._work_waits.set()
            return
        for entry, result in zip(batch, results, strict=True):
            self._deliver(entry, result)

    def _deliver(self, entry: QueueEntry[W, R], result: R) -> None:
        for submission, position in self._end(entry):
            submission.results[position] = result
            submission.missing -= 1
            if not submission.missing and not submission.future.done():
                submission.future.set_result(None)

    def _fail(self, entry: QueueEntry[W, R], error: Exception, *, alone: bool) -> None:
        for submission, position in self._end(entry):
            if not submission.future.done():
                failed = ItemFailed(position) if alone else error
                if alone:
                    failed.__cause__ = error
                submission.future.set_exception(failed)

    def _end(self, entry: QueueEntry[W, R]) -> list[tuple[Submission[W, R], int]]:
        """Forgets an entry and gives those who claimed it."""
        del self._entries[entry.lane.group, entry.item.identity]
        claims, entry.claims = entry.claims, []
        return claims

    def _fail_all(self, error: Exception) -> None:
        for submission in self._submissions:
            if not submission.future.done():
                submission.future.set_exception(error)
