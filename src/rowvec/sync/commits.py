"""Whether anything was committed in the cluster since somebody last looked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rowvec.db.session import Session
from rowvec.db.sync_turns import current_snapshot

# Many keepers wake within a moment, and one statement tells them all.
_FRESH_SECONDS = 0.1

# Signs of life between two looks.
_OWN = 100


@dataclass(frozen=True)
class Snapshot:
    """Which transactions are committed: all before `upper`, those in `running` left out."""

    upper: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """As Postgres writes it: the oldest that runs, the end, those that run."""
        _, upper, running = text.split(":")
        return cls(int(upper), frozenset(map(int, filter(None, running.split(",")))))

    def committed_since(self, before: Snapshot) -> Iterator[int]:
        """What this one shows, and the earlier one did not."""
        yield from before.running - self.running
        yield from (xid for xid in range(before.upper, self.upper) if xid not in self.running)


class Commits:
    """Reads what is committed, at most ten times a second, and leaves out what a sync notes.

    Two reads of a table under the same snapshot give the same rows, so the second can be spared.
    """

    def __init__(self, session: Session, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._own: deque[int] = deque(maxlen=_OWN)
        self._latest: Snapshot | None = None
        self._read_at = 0.0

    def own(self, xid: int) -> None:
        """That transaction wrote nothing which anybody looks for."""
        self._own.append(xid)

    async def latest(self) -> Snapshot:
        """What is committed now, or was a moment ago."""
        now = self._clock()
        if self._latest is None or now - self._read_at > _FRESH_SECONDS:
            text = await current_snapshot(self._session)
            self._latest, self._read_at = Snapshot.parse(text), now
        return self._latest

    def are_there_new(self, before: Snapshot, after: Snapshot) -> bool:
        """Whether anybody else committed in between; a transaction that failed counts as well."""
        return any(xid not in self._own for xid in after.committed_since(before))
