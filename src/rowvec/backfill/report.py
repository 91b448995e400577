"""What a backfill tells while it runs, and what it sums up at the end."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Protocol

from rowvec.filling.outcome import FailedRow

_LOG = logging.getLogger("rowvec.backfill")

_SECONDS_BETWEEN_LINES = 5.0


@dataclass
class Summary:
    """What one run of a backfill did. `failures` lists the first hundred of `failed`.

    `pending` is None where a run was stopped while the database was away.
    `by_sync` rows a sync had in hand when the run began, and wrote first.
    """

    source: str
    embedding: str
    model: str
    written: int = 0
    cleared: int = 0
    kept: int = 0
    changed: int = 0
    failed: int = 0
    truncated: int = 0
    passes: int = 0
    pending: int | None = 0
    by_sync: int = 0
    stopped: bool = False
    seconds: float = 0.0
    failures: list[FailedRow] = field(default_factory=list)

    @property
    def settled(self) -> int:
        """Rows that are not pending any more because of this run."""
        return self.written + self.cleared + self.kept + self.failed

    @property
    def handled(self) -> int:
        """Rows that this run is through with; those that were changed meanwhile may come again."""
        return self.settled + self.changed

    @property
    def rows_per_second(self) -> float:
        """Rows written a second, from the first read to the last commit."""
        return self.written / self.seconds if self.seconds else 0.0


class Reporter(Protocol):
    """Where progress goes. Calls are cheap: they come from the loop that embeds."""

    def begin(self, total: int) -> None:
        """So many rows are waiting."""

    def advance(self, summary: Summary) -> None:
        """A batch has been committed."""

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""


class LogReporter:
    """A line in the log every few seconds: for terminals that are none, and for jobs."""

    def __init__(self) -> None:
        self._total = 0
        self._began = self._last = time.monotonic()

    def begin(self, total: int) -> None:
        """So many rows are waiting."""
        self._total = total
        self._began = self._last = time.monotonic()
        _LOG.info("%d rows are pending", total)

    def advance(self, summary: Summary) -> None:
        """A batch has been committed."""
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        rate = summary.handled / (now - self._began)
        left = max(self._total - summary.handled, 0) / rate if rate else 0
        _LOG.info(
            "%d of %d rows, %.0f rows/s, %.0f s left", summary.handled, self._total, rate, left
        )

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        _LOG.info("%s", message)
