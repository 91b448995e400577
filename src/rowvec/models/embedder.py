"""What the engine asks of a model, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tokenized:
    """A text as the model reads it.

    `count` is its tokens before truncation, prompt and special tokens included, `length` those
    that the model reads; `features` is the embedder's own.
    """

    count: int
    length: int
    features: Any


class Embedder(Protocol):
    """A loaded model. `tokenize` may run beside `forward`, in another thread."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read; what lies beyond is cut off."""

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, cut to `max_tokens`.

        A string is always text, never a path or a URL to open.
        """

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """One vector a text. Raises an InvalidRequest for the batch if it refuses one of them."""


@runtime_checkable
class Launches(Protocol):
    """A model on a device that computes by itself: the next batch may be launched meanwhile."""

    def launch(self, batch: Sequence[Tokenized]) -> Callable[[], Matrix]:
        """Begins a batch; the call that it gives waits for the vectors, in any thread."""


class Streams(Protocol):
    """A model that several threads may compute with at once, each on one processor."""

    streams: int
    """How many threads; 1 where it has reason to be computed by one batch at a time."""

    def forward_in_stream(self, batch: Sequence[Tokenized]) -> Matrix:
        """As `forward`, which takes all processors, but from any of so many threads at once."""


def streams_of(model: object) -> Streams | None:
    """The model, where several threads may compute with it at once."""
    # Every batch asks: isinstance looks through a protocol's names each time.
    return cast("Streams", model) if getattr(model, "streams", 1) > 1 else None
