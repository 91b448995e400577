"""How much the worker takes at once: beyond it a request is refused, never kept waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rowvec.errors import Overloaded, ShuttingDown


class Admission:
    """Counts requests and their bytes; refuses beyond the bounds, and everything when closed."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._since: dict[object, float] = {}
        self.bytes = 0
        self.bytes_ever = 0
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def closed(self) -> bool:
        """Whether nothing is admitted any more."""
        return self._closed

    @property
    def requests(self) -> int:
        """Requests that are admitted and have not ended."""
        return len(self._since)

    @property
    def oldest_seconds(self) -> float:
        """How long ago the oldest of them was admitted; 0 where there is none."""
        return time.monotonic() - next(iter(self._since.values())) if self._since else 0.0

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Holds a place while a request runs; raises Overloaded or ShuttingDown at once."""
        if self._closed:
            raise ShuttingDown("the worker is stopping")
        # One request is always admitted to an empty worker: its size was checked on arrival.
        full = self.requests >= self._max_requests or self.bytes + size > self._max_bytes
        if full and self._since:
            raise Overloaded(
                f"the worker's queue is full: {self.requests} of {self._max_requests} requests,"
                f" {self.bytes} of {self._max_bytes} bytes, the oldest for"
                f" {self.oldest_seconds:.1f} s",
                hint="try again later, or raise the worker's max_requests or max_queue_bytes",
            )
        place = object()
        self._since[place] = time.monotonic()
        self.bytes += size
        self.bytes_ever += size
        self._empty.clear()
        try:
            yield
        finally:
            del self._since[place]
            self.bytes -= size
            if not self._since:
                self._empty.set()

    async def close(self) -> None:
        """Admits nothing more and returns when what was admitted has ended."""
        self._closed = True
        await self._empty.wait()
