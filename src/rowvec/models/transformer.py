"""Dense models of the sentence-transformers library whose first module is a transformer.

The texts are tokenised once, outside of `encode`, so that batches can be cut by their real
lengths; what the model then computes is what `SentenceTransformer.encode` computes. Models that
put images and texts in one space (CLIP and its kin) read images too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.errors import ModelError, NotSupported
from rowvec.models.description import NO_LIMIT
from rowvec.models.embedder import Matrix, Tokenized
from rowvec.models.tokenizing import BatchTokenizer


class TransformerEmbedder:
    """An Embedder, and an ImageEmbedder where the model reads images, over a loaded model."""

    def __init__(self, model: SentenceTransformer, folder: Path, device: str) -> None:
        self._model = model
        self._device = device
        first = model[0]
        modalities = first.modality_config
        if "message" in modalities or not {"text", "image"} & set(modalities):
            raise ModelError(f"the model in {folder} reads messages or media, not plain text")
        self._tokenizer = BatchTokenizer(first.tokenizer, folder) if "text" in modalities else None
        self._reads_images = "image" in modalities
        self._pools_prompt = all(
            module.include_prompt for module in model if isinstance(module, Pooling)
        )

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads."""
        return NO_LIMIT if self._tokenizer is None else min(NO_LIMIT, self._tokenizer.max_tokens)

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, cut to `max_tokens`."""
        if self._tokenizer is None:
            raise NotSupported("the model reads images, not texts")
        tokenized = self._tokenizer.texts(texts, prompt)
        if prompt and not self._pools_prompt:
            length = self._tokenizer.prompt_length(prompt)
            for text in tokenized:
                text.features["prompt_length"] = length
        return tokenized

    def prepare(self, images: Sequence[Image]) -> list[Tokenized]:
        """Every image as the model reads it; an image costs as much as its patches do as tokens."""
        if not self._reads_images:
            raise NotSupported("the model reads texts, not images")
        prepared = []
        for image in images:
            pixels = self._model[0].preprocess([image])["pixel_values"][0].numpy()
            prepared.append(Tokenized(0, self._patches(pixels), {"pixel_values": pixels}))
        return prepared

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The vectors of one batch, all texts or all images; texts padded to the longest."""
        features = self._image_features(batch) if _are_images(batch) else self._text_features(batch)
        with torch.inference_mode():
            vectors = self._model(features)["sentence_embedding"][:, : self.dimensions]
            return np.ascontiguousarray(vectors.float().cpu().numpy())

    def _text_features(self, batch: Sequence[Tokenized]) -> dict[str, Any]:
        assert self._tokenizer is not None
        features = {**self._tokenizer.padded(batch, self._device), "modality": "text"}
        if "prompt_length" in batch[0].features:
            features["prompt_length"] = batch[0].features["prompt_length"]
        return features

    def _image_features(self, batch: Sequence[Tokenized]) -> dict[str, Any]:
        pixels = np.stack([image.features["pixel_values"] for image in batch])
        return {"pixel_values": torch.from_numpy(pixels).to(self._device), "modality": "image"}

    def _patches(self, pixels: np.ndarray[Any, Any]) -> int:
        config = self._model[0].config
        patch = getattr(getattr(config, "vision_config", config), "patch_size", None) or 16
        height, width = (math.ceil(side / patch) for side in pixels.shape[-2:])
        return 1 + int(height) * int(width)


def _are_images(batch: Sequence[Tokenized]) -> bool:
    return "pixel_values" in batch[0].features
