"""Cross-encoders of the sentence-transformers library: a query and a document in, a score out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer

from rowvec.errors import ModelError
from rowvec.models.backends.transfer import padded
from rowvec.models.compiled.export import Exportable
from rowvec.models.embedder import Embedder, Matrix, Tokenized
from rowvec.models.folder import load_checked
from rowvec.models.tokenizing import BatchTokenizer


class CrossEncoderScorer(Embedder):
    """Scores pairs of texts. For the engine it is an Embedder.

    The query stands where an embedder has its prompt, and the vector has one number, the score.
    Raises ModelError where the folder cannot be trusted or read.
    """

    dimensions = 1

    def __init__(
        self,
        folder: Path,
        *,
        sha256: str | None = None,
        device: str = "cpu",
        half: str | None = None,
    ) -> None:
        self._model = load_checked(CrossEncoder, folder, sha256, device, half)
        self._model.eval()
        self.device = device
        if self._model.num_labels != 1:
            raise ModelError(
                f"the model in {folder} gives {self._model.num_labels} labels, not one score"
            )
        first = self._model[0]
        if not isinstance(first, Transformer) or "text" not in first.modality_config:
            raise ModelError(
                f"the model in {folder} is not a transformer that reads pairs of texts"
            )
        self._tokenizer = BatchTokenizer.of_transformers(first.tokenizer, folder)
        # Of query and document together.
        self.max_tokens = self._tokenizer.max_tokens

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """The query (`prompt`) with every document, the longer of the two cut where it must be."""
        return self._tokenizer.pairs(prompt, texts)

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The scores of one batch, after the model's own activation, one a row."""
        with torch.inference_mode():
            scores = self._scores(padded(self._tokenizer, batch, self.device))
            return np.ascontiguousarray(scores.cpu().numpy())

    def exportable(self) -> Exportable:
        """From the tokens of pairs to their scores."""
        return Exportable(list(self._model), self._tokenizer, self._scores, "score")

    def _scores(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        logits = self._model({**features, "modality": "text"})["scores"].float()
        scores: torch.Tensor = self._model.activation_fn(logits).reshape(-1, 1)
        return scores
