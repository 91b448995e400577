"""What a backend does, whatever computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rowvec.models.backends.variant import Backend
from rowvec.models.embedder import Tokenized

Features = dict[str, Any]


class TokenEncoder(Protocol):
    """The transformer of a model: tokens in, a vector for each token out."""

    def encode(self, batch: Sequence[Tokenized]) -> Features:
        """`token_embeddings` of a batch, and what pooling has to know to tell the texts apart.

        Either `attention_mask`, of texts padded to the longest, or `cu_seq_lens_q`, the borders of
        texts that stand one after the other. Tensors of torch or arrays of numpy.
        """

    @property
    def pads(self) -> bool:
        """Whether the shorter texts of a batch cost as much as the longest."""

    @property
    def any_thread(self) -> bool:
        """Whether it costs nothing to call `encode` now from one thread, now from another.

        Never from two at once.
        """

    @property
    def memory_bytes(self) -> int:
        """Bytes that the weights take."""

    @property
    def streams(self) -> int:
        """How many batches it computes at once, each on one processor; 1 where it does not."""

    def encode_in_stream(self, batch: Sequence[Tokenized]) -> Features:
        """As `encode`, from any of `streams` threads at once."""


@dataclass(frozen=True)
class Chosen:
    """What computes a model, why that, and the cosine of its worst sample to the library's."""

    backend: Backend
    encoder: TokenEncoder
    reason: str
    cosine: float = 1.0
