"""Where the progress of a job that has phases goes, and that place as lines in a log."""

from __future__ import annotations

import logging
import time
from typing import Protocol

_SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """Hears how far a job is, phase by phase."""

    def phase(self, name: str, done: int, total: int) -> None:
        """What is being done, and how many of how many are done (0 of 0: unknown)."""

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""


class LoggedProgress:
    """A line when a phase begins and every few seconds while it lasts."""

    def __init__(self, job: str) -> None:
        self._log = logging.getLogger(f"rowvec.{job}")
        self._name = ""
        self._last = 0.0

    def phase(self, name: str, done: int, total: int) -> None:
        """What is being done, and how many of how many are done (0 of 0: unknown)."""
        now = time.monotonic()
        if name == self._name and now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._name, self._last = name, now
        self._log.info("%s, %d of %d" if total else "%s", name, *((done, total) if total else ()))

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        self._log.info("%s", message)
