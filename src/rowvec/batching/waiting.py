"""What waits to be computed, the order of turns, and what fits into one batch."""

from __future__ import annotations

import asyncio
import bisect
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

W = TypeVar("W")
R = TypeVar("R")


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
    """What is computed together: all of one group.

    `is_only` says that nothing else was being computed or waited when it was formed.
    """

    group: Hashable
    work: Sequence[W]
    identities: Sequence[Hashable]
    is_only: bool = False


@dataclass(eq=False)
class QueueEntry(Generic[W, R]):
    """An input that is waiting or being computed, for one submission or several."""

    item: Item[W]
    lane: Lane[W, R]
    sequence: int
    claims: list[tuple[Submission[W, R], int]] = field(default_factory=list)
    taken: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Its place in a lane: by length, then as they came."""
        return (self.item.length, self.sequence)


@dataclass(eq=False)
class Submission(Generic[W, R]):
    """One caller of `submit`, and what it has so far.

    `claimed` are all its entries, `entries` those that may still wait, the longest last.
    """

    future: asyncio.Future[None]
    results: list[R | None]
    missing: int
    entries: list[QueueEntry[W, R]] = field(default_factory=list)
    claimed: list[QueueEntry[W, R]] = field(default_factory=list)

    def longest_waiting(self) -> QueueEntry[W, R] | None:
        """The longest of its inputs that is not taken yet, None if all are."""
        while self.entries and (self.entries[-1].taken or not self.entries[-1].claims):
            self.entries.pop()
        return self.entries[-1] if self.entries else None


@dataclass(eq=False)
class Lane(Generic[W, R]):
    """What waits in one group with one priority, in order of length."""

    group: Hashable
    interactive: bool
    waiting: list[QueueEntry[W, R]] = field(default_factory=list)

    def add(self, entry: QueueEntry[W, R]) -> None:
        """Lets an entry wait here."""
        entry.lane = self
        bisect.insort(self.waiting, entry, key=lambda e: e.key)

    @property
    def tokens(self) -> int:
        """Those of all entries that wait here."""
        return sum(entry.item.length for entry in self.waiting)

    def place(self, entry: QueueEntry[W, R]) -> int:
        """The index of an entry that waits here."""
        return bisect.bisect_left(self.waiting, entry.key, key=lambda e: e.key)

    def remove(self, entry: QueueEntry[W, R]) -> None:
        """Removes an entry."""
        del self.waiting[self.place(entry)]


@dataclass(eq=False)
class Queue(Generic[W, R]):
    """Whose turn it is among submissions of one priority, and halves of batches that failed."""

    turns: deque[Submission[W, R]] = field(default_factory=deque)
    halves: list[list[QueueEntry[W, R]]] = field(default_factory=list)

    def anchor(self) -> QueueEntry[W, R] | None:
        """The longest waiting input of the next submission in turn, which then goes to the end."""
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
