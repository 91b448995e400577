"""Models of the sentence-transformers library that look tokens up instead of attending to them.

No padding, no limit of tokens: a text's vector is the mean of its tokens' vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from rowvec.models.description import NO_LIMIT
from rowvec.models.embedder import Embedder, Matrix, Tokenized


class StaticEmbedder(Embedder):
    """An Embedder over a loaded model that begins with a StaticEmbedding."""

    max_tokens = NO_LIMIT

    def __init__(self, model: SentenceTransformer) -> None:
        self._model = model
        first, dimensions = model[0], model.get_embedding_dimension()
        assert isinstance(first, StaticEmbedding)
        assert dimensions is not None
        self.dimensions = dimensions
        self._tokenizer: Any = first.tokenizer
        # The file may say otherwise; `encode` neither cuts nor pads.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, whole."""
        encoded = self._tokenizer.encode_batch(
            [prompt + text for text in texts], add_special_tokens=False
        )
        return [Tokenized(len(e.ids), len(e.ids), np.asarray(e.ids, np.int64)) for e in encoded]

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each token lies in the text, in characters."""
        spans: list[tuple[int, int]] = self._tokenizer.encode(
            text, add_special_tokens=False
        ).offsets
        return spans

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The vectors of one batch; a text without tokens gives zeros, as `encode` does."""
        lengths = [text.length for text in batch]
        features = {
            "input_ids": torch.from_numpy(np.concatenate([text.features for text in batch])),
            "offsets": torch.from_numpy(np.cumsum([0, *lengths[:-1]])),
        }
        with torch.inference_mode():
            vectors = self._model(features)["sentence_embedding"][:, : self.dimensions]
            return np.ascontiguousarray(vectors.float().numpy())
