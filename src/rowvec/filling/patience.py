"""How long a job waits for a worker or a database that does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from rowvec.backoff import backoff
from rowvec.errors import RowvecError

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0


class Stopped(Exception):
    """The job was asked to stop while it waited."""


class Patience:
    """Pauses that grow, until too long has passed since something last went well.

    Several tasks share one: what one of them reaches is reachable for all. `reason` is what it
    waits for.
    """

    def __init__(
        self,
        seconds: float,
        say: Callable[[str], None],
        stop: asyncio.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._say = say
        self._stop = stop
        self._clock = clock
        self._failing_since: float | None = None
        self._pauses = backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self.reason: str | None = None

    def succeeded(self) -> None:
        """Whatever was waited for has answered."""
        if self._failing_since is not None:
            self._say("answered again, going on")
        self._failing_since = None
        self._pauses = backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        self.reason = None

    async def wait(self, error: RowvecError) -> None:
        """Pauses before another attempt; raises `error` when patience ends, Stopped on a stop."""
        now = self._clock()
        self.reason = str(error)
        if self._failing_since is None:
            self._failing_since = now
            if self._seconds:
                self._say(f"{error}; trying again for {self._seconds:g} s")
        left = self._failing_since + self._seconds - now
        if left <= 0:
            raise error
        await sleep_unless(self._stop, min(next(self._pauses), left))
        if self._stop.is_set():
            raise Stopped


async def sleep_unless(stop: asyncio.Event, seconds: float) -> None:
    """Sleeps, or returns at once when the event is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
