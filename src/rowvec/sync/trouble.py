"""What a daemon does about an error that it does not end for: say it once, wait ever longer."""

from __future__ import annotations

from collections.abc import Callable

from rowvec.backoff import backoff
from rowvec.errors import RowvecError

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0


class Trouble:
    """One thing that may fail again and again."""

    def __init__(self, about: str, say: Callable[[str], None]) -> None:
        self._about = about
        self._say = say
        self._said: str | None = None
        self._pauses = backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)

    @property
    def reason(self) -> str | None:
        """What is wrong now; None while all is well."""
        return self._said

    def met(self, error: RowvecError) -> float:
        """Reports an error once; gives the seconds to wait before another attempt."""
        reason = str(error)
        if reason != self._said:
            self._say(f"{self._about}: {reason}; trying again until it works")
            self._said = reason
        return next(self._pauses)

    def over(self) -> None:
        """It worked."""
        if self._said is not None:
            self._say(f"{self._about}: going on")
        self._said = None
        self._pauses = backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
