"""What a job counts of one embedding, for those who watch it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 60.0


class Gauge:
    """Rows done, their rate over the last minute, when all was done last, what is wrong now."""

    def __init__(
        self,
        trouble: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trouble = trouble
        self._clock = clock
        self._began = clock()
        self._seconds: deque[tuple[int, int]] = deque()
        self._caught_up: float | None = None
        self.rows_done = 0
        self.error: str | None = None

    def settle(self, rows: int) -> None:
        """So many rows more are done."""
        if not rows:
            return
        self.rows_done += rows
        now = int(self._clock())
        if self._seconds and self._seconds[-1][0] == now:
            rows += self._seconds.pop()[1]
        self._seconds.append((now, rows))

    def catch_up(self) -> None:
        """There is nothing to do."""
        self._caught_up = self._clock()

    @property
    def rows_per_second(self) -> float:
        """Over the last minute, or since the job began."""
        now = self._clock()
        while self._seconds and self._seconds[0][0] < now - _WINDOW_SECONDS:
            self._seconds.popleft()
        seconds = max(min(now - self._began, _WINDOW_SECONDS), 1.0)
        return sum(rows for _, rows in self._seconds) / seconds

    @property
    def caught_up_seconds(self) -> float | None:
        """For how long there may have been something to do; None where it is not known."""
        return None if self._caught_up is None else self._clock() - self._caught_up

    @property
    def trouble(self) -> str | None:
        """What the job ended for, or waits for."""
        return self.error or self._trouble()
