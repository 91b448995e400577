"""What becomes of one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rowvec.client import TextChunk


@dataclass(frozen=True)
class FailedRow:
    """A row that was set aside: its key as JSON and the reason, never its text."""

    key: str
    sqlstate: str
    message: str


class Vector(NamedTuple):
    """What the model made of one text, which has so many tokens; `max_tokens` of them were read.

    `max_tokens` is None where all were, whatever their number.
    """

    values: NDArray[np.float32]
    tokens: int
    max_tokens: int | None = None

    @property
    def is_truncated(self) -> bool:
        """Whether the end of the text is not in the vector."""
        return self.max_tokens is not None and self.tokens > self.max_tokens

    @property
    def dimensions(self) -> int | None:
        """Length of the vector."""
        return len(self.values)


class Chunked(NamedTuple):
    """The pieces of one text with a vector each, in order; a blank text has none."""

    chunks: Sequence[TextChunk]
    vectors: NDArray[np.float32]

    @property
    def dimensions(self) -> int | None:
        """Length of a vector; None where there is none."""
        return self.vectors.shape[1] if self.chunks else None


Outcome = Vector | Chunked
