"""A model for tests and benchmarks: unit vectors derived from the SHA-256 of the text.

It means nothing, costs nothing, and gives the same vector for the same text everywhere. Words are
its tokens. It can be told to be slow, to load slowly, and to fail at texts in the ways models do.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import threading
import time
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from rowvec.errors import ConfigError, InvalidRequest
from rowvec.models.description import Description
from rowvec.models.embedder import Embedder, Matrix, Tokenized
from rowvec.models.family import Entry, Family, Keys
from rowvec.models.spec import ModelSpec

# What happens at a text that one of these finds.
_PATTERNS = ("refuse", "die", "hang", "nan", "zero")


class StandIn(Family):
    """No model at all; its keys say how it behaves."""

    keys: ClassVar[Keys] = {
        "dimensions": int,
        "max_tokens": int,
        "delay_ms_per_text": (int, float),
        "load_ms": (int, float),
        "memory_tokens": int,
        "revision": str,
        **dict.fromkeys(_PATTERNS, str),
    }
    has_folder: ClassVar[bool] = False

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """What the keys say."""
        options = entry.options
        for key in ("dimensions", "max_tokens"):
            if options.get(key, 1) < 1:
                raise ConfigError(f"{key} must be at least 1")
        for key in _PATTERNS:
            try:
                re.compile(options.get(key, ""))
            except re.error as exc:
                raise ConfigError(f"{key} is no regular expression: {exc}") from exc
        return Description(
            name=entry.name,
            dimensions=options.get("dimensions", 384),
            max_tokens=options.get("max_tokens", 256),
            normalizes=True,
            revision=entry.revision,
        )

    @classmethod
    def load(cls, spec: ModelSpec) -> Embedder:
        """At once."""
        options = {key: value for key, value in spec.options.items() if key != "revision"}
        return StandInEmbedder(revision=spec.description.revision, **options)


# A word, as str.split sees it.
_WORD = re.compile(r"\S+")

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]


class StandInEmbedder(Embedder):
    """An Embedder without a model.

    Regular expressions, searched in each text, say what happens at it: `refuse` raises
    InvalidRequest, `die` kills the process, `hang` never ends to tokenise, `nan` and `zero` give
    vectors of NaN and of zeros. `memory_tokens` are as many as a batch has memory for; another
    `revision` gives other vectors.
    """

    def __init__(
        self,
        *,
        dimensions: int = 384,
        max_tokens: int = 256,
        delay_ms_per_text: float = 0,
        load_ms: float = 0,
        memory_tokens: int | None = None,
        revision: str | None = None,
        **happens: str,
    ) -> None:
        time.sleep(load_ms / 1000)
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self._delay_seconds = delay_ms_per_text / 1000
        self._memory_tokens = memory_tokens
        self._revision = revision or ""
        self._happens = {what: re.compile(pattern) for what, pattern in happens.items()}

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Words as tokens; what is cut off does not change the vector."""
        tokenized = []
        for text in texts:
            if self._happens_at("hang", text):
                threading.Event().wait()
            words = (prompt + text).split()
            read = (
                prompt + text
                if len(words) <= self.max_tokens
                else " ".join(words[: self.max_tokens])
            )
            tokenized.append(Tokenized(len(words), min(len(words), self.max_tokens), read))
        return tokenized

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each word lies in the text, in characters."""
        return [word.span() for word in _WORD.finditer(text)]

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """Derived vectors; raises InvalidRequest at `refuse`, MemoryError beyond the memory."""
        # Before it computes, as a model would that checks what it is given.
        if any(self._happens_at("refuse", t.features) for t in batch):
            raise InvalidRequest("the stand-in refuses this text, as models.toml tells it to")
        if self._delay_seconds:
            time.sleep(self._delay_seconds * len(batch))
        if self._memory_tokens is not None and sum(t.length for t in batch) > self._memory_tokens:
            raise MemoryError
        if any(self._happens_at("die", t.features) for t in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return np.stack([self._vector(t.features) for t in batch])

    def _vector(self, text: str) -> Vector:
        vector = derived_vector(self._revision + text, self.dimensions)
        if self._happens_at("nan", text):
            return np.full_like(vector, np.nan)
        return np.zeros_like(vector) if self._happens_at("zero", text) else vector

    def _happens_at(self, what: str, text: str) -> bool:
        pattern = self._happens.get(what)
        return pattern is not None and pattern.search(text) is not None


def derived_vector(text: str, dimensions: int) -> Vector:
    """The unit vector that stands for a text: its SHA-256 stretched to `dimensions` numbers."""
    stretched = hashlib.shake_256(hashlib.sha256(text.encode()).digest()).digest(2 * dimensions)
    numbers = np.frombuffer(stretched, "<i2").astype(np.float64) + 0.5
    return (numbers / np.linalg.norm(numbers)).astype(np.float32)
