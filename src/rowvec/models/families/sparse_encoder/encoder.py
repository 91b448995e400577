"""Sparse encoders (SPLADE and similar ones) of the sentence-transformers library.

Where a folder holds just a masked language model, its vector is, for each word of the vocabulary,
the largest log(1 + relu(logit)) over the tokens; otherwise its modules say what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Router, Transformer
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling

from rowvec.errors import ModelError, NotSupported
from rowvec.models.backends.transfer import padded
from rowvec.models.compiled.export import Exportable
from rowvec.models.embedder import Tokenized
from rowvec.models.families.sparse_encoder.max_pooling import MaxPooling
from rowvec.models.folder import load_checked, modules
from rowvec.models.router import router_of
from rowvec.models.sparse_vector import SparseEmbedder, SparseVector
from rowvec.models.tokenizing import BatchTokenizer

# A masked language model gives a number for every word of its vocabulary at every token: 30,522
# words and a batch of 2,048 tokens would be 250 MB. This is 64 MB.
_MAX_LOGITS = 16 << 20


class SparseEncoderEmbedder(SparseEmbedder):
    """A SparseEmbedder over a folder; raises ModelError where it cannot be trusted or read."""

    def __init__(
        self,
        folder: Path,
        *,
        sha256: str | None = None,
        device: str = "cpu",
        half: str | None = None,
        route: str | None = None,
    ) -> None:
        self._model = load_checked(SparseEncoder, folder, sha256, device, half)
        if (router := router_of(modules(folder))) is not None:
            first = self._model[0]
            assert isinstance(first, Router)
            on_the_way = first.sub_modules[route or router.bare]
            assert isinstance(on_the_way, torch.nn.Sequential)
            self._model = SparseEncoder(
                modules=[*on_the_way, *list(self._model)[1:]], device=device
            )
        for place, module in enumerate(self._model):
            if isinstance(module, SpladePooling) and module.pooling_strategy == "max":
                self._model[place] = MaxPooling(module)
        self._model.eval()
        self.device = device
        first = self._model[0]
        if isinstance(first, SparseStaticEmbedding):
            # A weight for every word of the vocabulary, which no special token has.
            self._tokenizer = BatchTokenizer.of_transformers(
                first.tokenizer, folder, special_tokens=False
            )
            self._width = int(first.num_dimensions)
        elif isinstance(first, Transformer):
            self._tokenizer = BatchTokenizer.of_transformers(first.tokenizer, folder)
            self._width = int(first.config.vocab_size)
        else:
            raise ModelError(f"the model in {folder} is not a transformer that reads text")
        self.max_tokens = self._tokenizer.max_tokens
        self.dimensions = self.forward(self.tokenize(["x"], ""))[0].dimensions

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, cut to `max_tokens`."""
        return self._tokenizer.texts(texts, prompt)

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each token lies in the text, in characters, special tokens left out."""
        return self._tokenizer.offsets(text)

    def exportable(self) -> Exportable:
        """From tokens to a number for every word of the vocabulary."""
        if not isinstance(self._model[0], Transformer):
            raise NotSupported("it looks words up, which takes no graph")
        return Exportable(list(self._model), self._tokenizer, self._traced, "sparse vector")

    def _traced(self, features: dict[str, Any]) -> torch.Tensor:
        features = {**features, "modality": "text"}
        for module in self._model:
            traced = module.traced if isinstance(module, MaxPooling) else module
            features = traced(features)
        rows: torch.Tensor = features["sentence_embedding"]
        return rows

    def forward(self, batch: Sequence[Tokenized]) -> list[SparseVector]:
        """The vectors of one batch, a few texts at a time, padded to their longest."""
        longest = max(1, *(text.length for text in batch))
        at_once = max(1, _MAX_LOGITS // (self._width * longest))
        return [
            vector
            for start in range(0, len(batch), at_once)
            for vector in self._pass(batch[start : start + at_once])
        ]

    def _pass(self, batch: Sequence[Tokenized]) -> list[SparseVector]:
        features = {**padded(self._tokenizer, batch, self.device), "modality": "text"}
        with torch.inference_mode():
            vectors = self._model(features)["sentence_embedding"].float().cpu().numpy()
        return [SparseVector.from_dense(np.asarray(vector)) for vector in vectors]
