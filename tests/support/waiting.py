"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

# One limit for all waiting: generous, because it is reached only by a failure.
WAIT_SECONDS = 60
_POLL_SECONDS = 0.01

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, seconds: float = WAIT_SECONDS) -> T:
    """Polls until `condition` is true and gives its value; fails after the shared deadline."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > limit:
            pytest.fail(f"not within {seconds} s: {condition}")
        time.sleep(_POLL_SECONDS)
    return value
