"""How long a request will wait, judged by those before it."""

from __future__ import annotations

# How much the last request counts beside those before it.
_WEIGHT = 0.1


class Expectation:
    """What requests of one text waited lately, and how many were in flight when they came."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._in_flight = 1.0

    def note(self, in_flight: int, seconds: float) -> None:
        """Notes an answered request, with how many were in flight when it came, itself included."""
        self._seconds += _WEIGHT * (seconds - self._seconds)
        self._in_flight += _WEIGHT * (in_flight - self._in_flight)

    def seconds(self, in_flight: int) -> float:
        """How long one more is likely to wait, itself among those in flight.

        Where fewer are in flight it is less, by Little's law in proportion; where more are, it is
        said too little.
        """
        return self._seconds * min(1.0, in_flight / self._in_flight)
