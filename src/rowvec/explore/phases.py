"""Where the progress of a job that goes over all vectors goes, and that place as lines in a log."""

from __future__ import annotations

import logging
import time
from typing import Protocol

_LOG = logging.getLogger("rowvec.explore")

_SECONDS_BETWEEN_LINES = 5.0


class Phases(Protocol):
    """Hears of progress, phase by phase."""

    def phase(self, name: str, done: int, total: int) -> None:
        """What is being done, and how many rows of how many are done (0 of 0: unknown)."""

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""


class LogPhases:
    """A line when a phase begins and every few seconds while it lasts."""

    def __init__(self) -> None:
        self._name = ""
        self._last = 0.0

    def phase(self, name: str, done: int, total: int) -> None:
        """What is being done, and how many rows of how many are done (0 of 0: unknown)."""
        now = time.monotonic()
        if name == self._name and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._name, self._last = name, now
        _LOG.info("%s, %d of %d rows" if total else "%s", name, *((done, total) if total else ()))

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        _LOG.info("%s", message)
