"""Holds a job to a number of rows a second."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from rowvec.filling.patience import sleep_unless


class Throttle:
    """What was taken is paid for before more is taken. None is no limit."""

    def __init__(
        self,
        rows_per_second: float | None,
        stop: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rows_per_second
        self._stop = stop
        self._clock = clock
        self._free_at = clock()

    @property
    def rows_at_once(self) -> int:
        """Rows to take in one go: what a second allows, else it would be a flood and a pause."""
        return sys.maxsize if self._rate is None else max(1, int(self._rate))

    @property
    def pause(self) -> float:
        """Seconds until more may be taken."""
        return max(self._free_at - self._clock(), 0.0)

    async def wait(self) -> None:
        """Returns when more may be taken, or on a stop."""
        if self.pause:
            await sleep_unless(self._stop, self.pause)

    def took(self, rows: int) -> None:
        """So many rows were taken."""
        if self._rate is not None:
            self._free_at = max(self._free_at, self._clock()) + rows / self._rate
