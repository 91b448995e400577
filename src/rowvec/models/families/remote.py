"""Models behind any endpoint that speaks OpenAI's form (`POST …/embeddings`).

The administrator lists them; describing one asks nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rowvec.config import read_secret
from rowvec.errors import BackendFailed, ConfigError, ModelError
from rowvec.models.description import Description
from rowvec.models.embedder import Embedder, Matrix, Tokenized
from rowvec.models.endpoint import Endpoint, EndpointLimits, checked_url
from rowvec.models.family import Entry, Family, Keys
from rowvec.models.known_prompts import known_prompts
from rowvec.models.spec import ModelSpec


class Remote(Family):
    """Any endpoint with OpenAI's `POST <url>/embeddings`.

    `url` and `dimensions` are demanded. `model` is its name there (default: its name here),
    `api_key_file` holds the key. `request_dimensions` sends `dimensions` along, for models that
    shorten their vectors; `normalized` says that the vectors have length 1.
    """

    keys: ClassVar[Keys] = {
        "url": str,
        "model": str,
        "api_key_file": Path,
        "dimensions": int,
        "request_dimensions": bool,
        "normalized": bool,
        "max_tokens": int,
        "batch_texts": int,
        "parallel_requests": int,
        "requests_per_minute": int,
        "timeout_seconds": (int, float),
        "patience_seconds": (int, float),
    }
    has_folder: ClassVar[bool] = False
    computes_here: ClassVar[bool] = False

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """What the keys say; nothing is asked."""
        options = entry.options
        for key in ("url", "dimensions"):
            if key not in options:
                raise ConfigError(f"{key} is missing")
        checked_url(options["url"])
        for key, value in options.items():
            if not isinstance(value, (bool, str, Path)) and value <= 0:
                raise ConfigError(f"{key} must be more than 0")
        return Description(
            name=entry.name,
            dimensions=options["dimensions"],
            max_tokens=options.get("max_tokens", 8191),
            prompts=known_prompts((*entry.names, options.get("model", ""))),
            normalizes=options.get("normalized", False),
            revision=entry.revision,
        )

    @classmethod
    def load(cls, spec: ModelSpec) -> Embedder:
        """Reads the key; the endpoint is asked for the first time when a text comes."""
        options = spec.options
        key_file = options.get("api_key_file")
        limits = {
            key: options[key]
            for key in ("timeout_seconds", "patience_seconds", "requests_per_minute")
            if key in options
        }
        rest: dict[str, Any] = {
            key: options[key]
            for key in ("batch_texts", "parallel_requests", "request_dimensions")
            if key in options
        }
        return RemoteEmbedder(
            Endpoint(
                options["url"].rstrip("/") + "/embeddings",
                read_secret(Path(key_file)) if key_file is not None else None,
                EndpointLimits(**limits),
            ),
            model=options.get("model", spec.name),
            dimensions=spec.description.dimensions,
            max_tokens=spec.description.max_tokens,
            **rest,
        )


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
