"""How many tokens a model computes in the time that a batch may take, as it was measured."""

from __future__ import annotations

from collections.abc import Hashable

# Of fewer tokens most of the time is not the tokens'.
_TELLING_TOKENS = 256

# A batch so small loses more by being small than it makes others wait.
_FEWEST_TOKENS = 128

# How much the last batch counts beside those before it.
_WEIGHT = 0.3


class BatchPace:
    """Bounds batches by time: a large model gets smaller ones, so that no request waits long."""

    def __init__(self, batch_seconds: float) -> None:
        self._batch_seconds = batch_seconds
        self._rates: dict[Hashable, float] = {}

    def note(self, model: Hashable, tokens: int, seconds: float) -> None:
        """Takes note of a batch."""
        if seconds <= 0 or (tokens < _TELLING_TOKENS and seconds < self._batch_seconds):
            return
        rate = tokens / seconds
        known = self._rates.get(model, rate)
        self._rates[model] = known + _WEIGHT * (rate - known)

    def tokens(self, model: Hashable, most: int) -> int:
        """How many tokens its next batch may have, at most `most`."""
        rate = self._rates.get(model)
        if rate is None:
            return most
        return min(most, max(_FEWEST_TOKENS, int(rate * self._batch_seconds)))

    def forget(self, model: Hashable) -> None:
        """The model was dropped."""
        self._rates.pop(model, None)
