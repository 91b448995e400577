"""Forms batches from whatever waits: interactive before bulk, by length, within a token budget.

asyncio only: no sockets, no model. Who computes is handed in.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rowvec.errors import (
    BackendFailed,
    InvalidRequest,
    Overloaded,
    RequestTooLarge,
    RowvecError,
    ShuttingDown,
)

W = TypeVar("W")
R = TypeVar("R")

# With both kinds waiting, every tenth batch is bulk.
_INTERACTIVE_IN_A_ROW = 9


@dataclass(frozen=True)
class Item(Generic[W]):
    """One input: what to compute, its length in tokens, and what makes it equal to another.

    Of items with the same `identity` in one group that wait or run at once, one is computed.
    """

    work: W
    length: int
    identity: Hashable


class ItemFailed(Exception):  # it names the item; the error is its cause
    """An item of a submission failed, alone; `__cause__` says why, `position` which."""

    def __init__(self, position: int) -> None:
        super().__init__(f"item {position} failed")
        self.position = position


@dataclass(frozen=True)
class Batch(Generic[W]):
    """What is computed together: all of one group."""

    group: Hashable
    work: Sequence[W]
    identities: Sequence[Hashable]


@dataclass(eq=False)
class _Entry(Generic[W, R]):
    """An input that is waiting or being computed, for one submission or several."""

    item: Item[W]
    lane: _Lane[W, R]
    sequence: int
    claims: list[tuple[_Submission[W, R], int]] = field(default_factory=list)
    taken: bool = False

    @property
    def key(self) -> tuple[int, int]:
        return (self.item.length, self.sequence)


@dataclass(eq=False)
class _Submission(Generic[W, R]):
    """One caller of `submit`, and what it has so far.

    `claimed` are all its entries, `entries` those that may still wait, the longest last.
    """

    future: asyncio.Future[None]
    results: list[R | None]
    missing: int
    entries: list[_Entry[W, R]] = field(default_factory=list)
    claimed: list[_Entry[W, R]] = field(default_factory=list)

    def longest_waiting(self) -> _Entry[W, R] | None:
        while self.entries and (self.entries[-1].taken or not self.entries[-1].claims):
            self.entries.pop()
        return self.entries[-1] if self.entries else None


@dataclass(eq=False)
class _Lane(Generic[W, R]):
    """What waits in one group with one priority, in order of length."""

    group: Hashable
    interactive: bool
    waiting: list[_Entry[W, R]] = field(default_factory=list)

    def add(self, entry: _Entry[W, R]) -> None:
        entry.lane = self
        bisect.insort(self.waiting, entry, key=lambda e: e.key)

    def place(self, entry: _Entry[W, R]) -> int:
        return bisect.bisect_left(self.waiting, entry.key, key=lambda e: e.key)

    def remove(self, entry: _Entry[W, R]) -> None:
        del self.waiting[self.place(entry)]


@dataclass(eq=False)
class _Queue(Generic[W, R]):
    """Whose turn it is among submissions of one priority, and halves of batches that failed."""

    turns: deque[_Submission[W, R]] = field(default_factory=deque)
    halves: list[list[_Entry[W, R]]] = field(default_factory=list)

    def anchor(self) -> _Entry[W, R] | None:
        """The longest waiting input of the submission whose turn it is, which goes to the end."""
        while self.turns:
            submission = self.turns.popleft()
            if not submission.future.done() and (entry := submission.longest_waiting()):
                self.turns.append(submission)
                return entry
        return None


def window(lengths: Sequence[int], anchor: int, budget: int) -> tuple[int, int]:
    """The slice of sorted lengths to compute with the one at `anchor`.

    Shorter ones first, since they cost only their padding up to the anchor; then longer ones while
    padding stays at most half. Longest times count never exceeds the budget, except for one item
    that does so alone.
    """
    longest = max(1, lengths[anchor])
    start = max(0, anchor + 1 - max(1, budget // longest))
    stop = anchor + 1
    used = sum(lengths[start:stop])
    if start == 0:
        while stop < len(lengths):
            area = lengths[stop] * (stop + 1 - start)
            used += lengths[stop]
            if area > budget or area > 2 * used:
                break
            stop += 1
    return start, stop


class Batcher(Generic[W, R]):
    """Computes submitted items in batches, at most `depth` of them at a time.

    Promises: every submission ends exactly once, with its results, an error or a cancel. What
    nobody waits for any more is not computed. A batch that fails is halved until the failing item
    stands alone, and only submissions that hold it fail; one that fails for a reason of ours that
    is no InvalidRequest fails whole. A batch is formed when there is room for it, from whatever
    waits then: submissions take turns, each with its longest item, so that a short one never waits
    for all of a long one. `budget` says of a group how many of the tokens of a batch it may have.
    """

    def __init__(
        self,
        compute: Callable[[Batch[W]], Awaitable[Sequence[R]]],
        *,
        max_batch_tokens: int,
        max_waiting: int,
        budget: Callable[[Hashable, int], int] | None = None,
        depth: int = 1,
    ) -> None:
        self._compute = compute
        self._max_batch_tokens = max_batch_tokens
        self._budget = budget
        self._depth = depth
        self._max_waiting = max_waiting
        self._queues: dict[bool, _Queue[W, R]] = {True: _Queue(), False: _Queue()}
        self._lanes: dict[tuple[Hashable, bool], _Lane[W, R]] = {}
        self._entries: dict[tuple[Hashable, Hashable], _Entry[W, R]] = {}
        self._sequence = itertools.count()
        self._interactive_in_a_row = 0
        self._submissions: set[_Submission[W, R]] = set()
        self._refusing = False
        self._runner: asyncio.Task[None] | None = None
        self._work_waits = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> asyncio.Task[None]:
        """Begins to compute; call inside a running event loop, once.

        Gives the task that runs until `close`: its owner learns from it if it ends by itself.
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
        submission = _Submission[W, R](future, [None] * len(items), len(items))
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

    def _lane(self, group: Hashable, *, interactive: bool) -> _Lane[W, R]:
        key = (group, interactive)
        if key not in self._lanes:
            self._lanes[key] = _Lane(group, interactive)
        return self._lanes[key]

    def _claim(
        self, submission: _Submission[W, R], position: int, item: Item[W], lane: _Lane[W, R]
    ) -> None:
        entry = self._entries.get((lane.group, item.identity))
        if entry is None:
            entry = _Entry(item, lane, next(self._sequence))
            self._entries[lane.group, item.identity] = entry
            lane.add(entry)
        elif lane.interactive and not entry.lane.interactive and not entry.taken:
            self._leave_lane(entry)
            lane.add(entry)
        entry.claims.append((submission, position))
        submission.claimed.append(entry)
        if not entry.taken:
            submission.entries.append(entry)

    def _withdraw(self, submission: _Submission[W, R]) -> None:
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
            await (self._one_by_one() if self._depth == 1 else self._several())
        finally:
            self._refusing = True
            self._fail_all(BackendFailed("the batcher stopped"))

    async def _one_by_one(self) -> None:
        while True:
            await self._execute(await self._batch())

    async def _several(self) -> None:
        room = asyncio.Semaphore(self._depth)
        async with asyncio.TaskGroup() as running:
            while True:
                await room.acquire()
                task = running.create_task(self._execute(await self._batch()))
                task.add_done_callback(lambda _: room.release())

    async def _batch(self) -> list[_Entry[W, R]]:
        """The next batch, as soon as anything waits."""
        while not (batch := self._next_batch()):
            self._work_waits.clear()
            await self._work_waits.wait()
        return batch

    def _next_batch(self) -> list[_Entry[W, R]]:
        first = self._interactive_in_a_row < _INTERACTIVE_IN_A_ROW
        for interactive in (first, not first):
            batch = self._take(self._queues[interactive])
            if batch:
                self._interactive_in_a_row = self._interactive_in_a_row + 1 if interactive else 0
                return batch
        return []

    def _take(self, queue: _Queue[W, R]) -> list[_Entry[W, R]]:
        while queue.halves:
            half = [entry for entry in queue.halves.pop() if not self._forget_unclaimed(entry)]
            if half:
                return half
        anchor = queue.anchor()
        if anchor is None:
            return []
        waiting = anchor.lane.waiting
        most = self._max_batch_tokens
        start, stop = window(
            [entry.item.length for entry in waiting],
            anchor.lane.place(anchor),
            most if self._budget is None else self._budget(anchor.lane.group, most),
        )
        batch = waiting[start:stop]
        del waiting[start:stop]
        for entry in batch:
            entry.taken = True
        self._forget_if_empty(anchor.lane)
        return batch

    def _leave_lane(self, entry: _Entry[W, R]) -> None:
        entry.lane.remove(entry)
        self._forget_if_empty(entry.lane)

    def _forget_if_empty(self, lane: _Lane[W, R]) -> None:
        # A group may hold a prompt of some client: there is no end to them.
        if not lane.waiting:
            self._lanes.pop((lane.group, lane.interactive), None)

    def _forget_unclaimed(self, entry: _Entry[W, R]) -> bool:
        if entry.claims:
            return False
        self._end(entry)
        return True

    async def _execute(self, batch: list[_Entry[W, R]]) -> None:
        lane = batch[0].lane
        try:
            items = [entry.item for entry in batch]
            work, identities = [i.work for i in items], [i.identity for i in items]
            results = await self._compute(Batch(lane.group, work, identities))
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

    def _deliver(self, entry: _Entry[W, R], result: R) -> None:
        for submission, position in self._end(entry):
            submission.results[position] = result
            submission.missing -= 1
            if not submission.missing and not submission.future.done():
                submission.future.set_result(None)

    def _fail(self, entry: _Entry[W, R], error: Exception, *, alone: bool) -> None:
        for submission, position in self._end(entry):
            if not submission.future.done():
                failed = ItemFailed(position) if alone else error
                if alone:
                    failed.__cause__ = error
                submission.future.set_exception(failed)

    def _end(self, entry: _Entry[W, R]) -> list[tuple[_Submission[W, R], int]]:
        """Forgets an entry and gives those who claimed it."""
        del self._entries[entry.lane.group, entry.item.identity]
        claims, entry.claims = entry.claims, []
        return claims

    def _fail_all(self, error: Exception) -> None:
        for submission in self._submissions:
            if not submission.future.done():
                submission.future.set_exception(error)
