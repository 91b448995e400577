"""Pauses between attempts: each twice as long as the one before it, up to a longest."""

from __future__ import annotations

from collections.abc import Iterator


def backoff(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """The pauses, in seconds, without an end."""
    pause = first_seconds
    while True:
        yield pause
        pause = min(2 * pause, longest_seconds)
