"""How long to wait before looking for pending rows again."""

from __future__ import annotations

BUSY_SECONDS = 0.1
IDLE_SECONDS = 1.0

# Rows that come every second or so find it still busy.
_LOOKS_BEFORE_IDLE = 30
_SLOWER = 1.25


class Pace:
    """Short pauses while rows come, growing ones when none have come for a few seconds."""

    def __init__(self) -> None:
        self._looks_in_vain = 0

    def found(self) -> None:
        """There were rows."""
        self._looks_in_vain = 0

    def pause(self) -> float:
        """Seconds to wait after a look in vain."""
        self._looks_in_vain += 1
        beyond = max(self._looks_in_vain - _LOOKS_BEFORE_IDLE, 0)
        return min(BUSY_SECONDS * _SLOWER ** min(beyond, 100), IDLE_SECONDS)
