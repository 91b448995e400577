"""How filling reaches a model, wherever it is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rowvec.client import TextChunk


@dataclass(frozen=True)
class EmbeddedTexts:
    """Vectors of texts, one a row, and how many tokens each text had before truncation."""

    vectors: NDArray[np.float32]
    tokens: NDArray[np.int64]


class AsyncEmbedder(Protocol):
    """One model with the arguments of one definition.

    Both methods raise InvalidRequest where a text will never do, and an error that is `retryable`
    where the fault lies elsewhere; they may be called while earlier calls are still under way.
    """

    @property
    def max_tokens(self) -> int | None:
        """Tokens that the model reads of a text; None where that is not known."""

    async def embed(self, texts: Sequence[str]) -> EmbeddedTexts:
        """Vectors in the order of the texts."""

    async def chunk(
        self, texts: Sequence[str], kwargs: Mapping[str, object]
    ) -> Sequence[Sequence[TextChunk]]:
        """The chunks of each text; `kwargs` are `max_tokens`, `overlap` and `border`."""


class JobEmbedder(AsyncEmbedder, Protocol):
    """An embedder that a job opens and closes."""

    async def look_up(self) -> None:
        """Makes `max_tokens` known; raises as `embed` does."""

    async def close(self) -> None:
        """Gives up what it holds."""
