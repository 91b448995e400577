"""Progress of an index build as lines in the log."""

from __future__ import annotations

import logging
import time

from rowvec.db.measured import Measured

_LOG = logging.getLogger("rowvec.index")

_SECONDS_BETWEEN_LINES = 5.0


class IndexLogReporter:
    """A line when a phase begins and every few seconds while it lasts."""

    def __init__(self) -> None:
        self._phase = ""
        self._last = 0.0

    def phase(self, name: str, done: int, total: int) -> None:
        """What Postgres is doing, and how much of how much is done."""
        now = time.monotonic()
        if name == self._phase and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._phase, self._last = name, now
        _LOG.info("%s, %d of %d" if total else "%s", name, *((done, total) if total else ()))

    def measured(self, one: Measured) -> None:
        """Another setting has been measured."""
        if one.setting is not None:
            _LOG.debug("%s: recall %.3f, %.2f ms", one.setting, one.recall, one.p50_ms)

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        _LOG.info("%s", message)
