"""Models behind an endpoint that speaks OpenAI's form (`POST …/embeddings`), whoever runs it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rowvec.errors import BackendFailed, ModelError
from rowvec.models.embedder import Embedder, Matrix, Tokenized
from rowvec.models.endpoint import Endpoint

# Tokens are the endpoint's own: this only cuts batches and fills in counts.
_BYTES_A_TOKEN = 4


class RemoteEmbedder(Embedder):
    """An Embedder that asks. What is too long the endpoint refuses or cuts, as it likes."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        model: str,
        dimensions: int,
        max_tokens: int,
        batch_texts: int = 128,
        parallel_requests: int = 4,
        request_dimensions: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._fields: dict[str, Any] = {"model": model}
        if request_dimensions:
            self._fields["dimensions"] = dimensions
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self._batch_texts = batch_texts
        self._threads = ThreadPoolExecutor(parallel_requests, "remote")

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Texts with the prompt before them; the counts are estimates."""
        read = [prompt + text for text in texts]
        counts = [min(self.max_tokens, 1 + len(t.encode()) // _BYTES_A_TOKEN) for t in read]
        return [Tokenized(n, n, text) for n, text in zip(counts, read, strict=True)]

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The vectors of one batch, in as many requests as the endpoint's limit wants."""
        texts = [text.features for text in batch]
        pieces = [
            texts[start : start + self._batch_texts]
            for start in range(0, len(texts), self._batch_texts)
        ]
        return np.concatenate(list(self._threads.map(self._ask, pieces)))

    def _ask(self, texts: list[str]) -> Matrix:
        answer = self._endpoint.post({**self._fields, "input": texts})
        try:
            rows = sorted(answer["data"], key=lambda row: row["index"])
            vectors = [_vector(row["embedding"]) for row in rows]
        except (KeyError, TypeError, ValueError, binascii.Error) as exc:
            raise BackendFailed("the endpoint's answer is not of OpenAI's form") from exc
        if [row["index"] for row in rows] != list(range(len(texts))):
            raise BackendFailed(f"the endpoint gave {len(rows)} vectors for {len(texts)} texts")
        for vector in vectors:
            if vector.shape != (self.dimensions,):
                raise ModelError(
                    f"the endpoint gives {vector.size} dimensions, the list of models says"
                    f" {self.dimensions}"
                )
        return np.stack(vectors)


def _vector(value: Any) -> Matrix:
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
    return np.asarray(value, dtype=np.float32)
