"""A model for tests and benchmarks: unit vectors derived from the SHA-256 of the text.

It means nothing, costs nothing, and gives the same vector for the same text everywhere. Words are
its tokens. It can be told to refuse texts and to be slow.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence

import numpy as np

from rowvec.errors import InvalidRequest
from rowvec.models.embedder import Matrix, Tokenized

# What str.split, too, takes for a word.
_WORD = re.compile(r"\S+")


class StandIn:
    """An Embedder without a model. `refuse` is a regular expression searched in each text."""

    def __init__(
        self,
        *,
        dimensions: int = 384,
        max_tokens: int = 256,
        refuse: str | None = None,
        delay_ms_per_text: float = 0,
    ) -> None:
        self._dimensions = dimensions
        self._max_tokens = max_tokens
        self._refuse = re.compile(refuse) if refuse is not None else None
        self._delay_seconds = delay_ms_per_text / 1000

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    @property
    def max_tokens(self) -> int:
        """Words that are read."""
        return self._max_tokens

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Words as tokens; what is cut off does not change the vector."""
        tokenized = []
        for text in texts:
            words = (prompt + text).split()
            read = (
                prompt + text
                if len(words) <= self._max_tokens
                else " ".join(words[: self._max_tokens])
            )
            tokenized.append(Tokenized(len(words), min(len(words), self._max_tokens), read))
        return tokenized

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each word lies in the text, in characters."""
        return [word.span() for word in _WORD.finditer(text)]

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """Derived vectors; raises InvalidRequest where a text matches `refuse`."""
        if self._delay_seconds:
            time.sleep(self._delay_seconds * len(batch))
        if self._refuse is not None and any(self._refuse.search(t.features) for t in batch):
            raise InvalidRequest("the stand-in refuses this text, as models.toml tells it to")
        return np.stack([derived_vector(t.features, self._dimensions) for t in batch])


def derived_vector(text: str, dimensions: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The unit vector that stands for a text: its SHA-256 stretched to `dimensions` numbers."""
    stretched = hashlib.shake_256(hashlib.sha256(text.encode()).digest()).digest(2 * dimensions)
    numbers = np.frombuffer(stretched, "<i2").astype(np.float64) + 0.5
    return (numbers / np.linalg.norm(numbers)).astype(np.float32)
