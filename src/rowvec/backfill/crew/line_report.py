"""A backfill's progress as lines of JSON, for the process that started it."""

from __future__ import annotations

import sys
import time

import orjson

from rowvec.backfill.report import Summary
from rowvec.errors import RowvecError

_SECONDS_BETWEEN_LINES = 0.25


class LineReporter:
    """One JSON object a line on stdout: `total`, `summary`, `say` or `error`."""

    def __init__(self) -> None:
        self._last = 0.0

    def begin(self, total: int) -> None:
        """So many rows are waiting."""
        _write({"total": total})

    def advance(self, summary: Summary) -> None:
        """A batch has been committed."""
        if time.monotonic() - self._last > _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            self.end(summary)

    def end(self, summary: Summary) -> None:
        """Takes the final result."""
        _write({"summary": summary})

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        _write({"say": message})

    def fail(self, error: RowvecError) -> None:
        """The job ends with this error."""
        _write({"error": str(error)})


def _write(line: dict[str, object]) -> None:
    sys.stdout.buffer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()
