"""Dense models of the sentence-transformers library whose first module is a transformer, by torch.

The texts are tokenised once, outside of `encode`, so that batches can be cut by their real
lengths; what the model then computes is what `SentenceTransformer.encode` computes. Models that
put images and texts in one space (CLIP and similar ones) read images too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.errors import ModelError, NotSupported
from rowvec.models.backends.torch_encoder import PackedTorch, PaddedTorch, can_be_packed, size_of
from rowvec.models.backends.transfer import Widened, fetching, sent
from rowvec.models.backends.variant import Runtime
from rowvec.models.compiled.export import POOLED, Exportable
from rowvec.models.compiled.proof import SAME, SAMPLES, likeness, sample_rows
from rowvec.models.description import NO_LIMIT
from rowvec.models.embedder import Embedder, Matrix, Tokenized
from rowvec.models.tokenizing import BatchTokenizer


class TransformerEmbedder(Embedder):
    """An Embedder over a loaded model, of texts, of images, or of both.

    Where its transformer `is_half`, of half precision by the device's choice and not by its own,
    pooling and what comes after it compute in float32 all the same.
    """

    launches = True

    def __init__(
        self, model: SentenceTransformer, folder: Path, runtime: Runtime, *, is_half: bool = False
    ) -> None:
        self.device = runtime.device
        first, dimensions = model[0], model.get_embedding_dimension()
        assert isinstance(first, Transformer)
        assert dimensions is not None
        self._transformer = first
        modalities = first.modality_config
        if "message" in modalities or not {"text", "image"} & set(modalities):
            raise ModelError(f"the model in {folder} reads messages or media, not plain text")
        self._tokenizer: BatchTokenizer | None = None
        if "text" in modalities:
            self._tokenizer = BatchTokenizer.of_transformers(first.tokenizer, folder)
        self._images = first if "image" in modalities else None
        self.dimensions = dimensions
        self.max_tokens = NO_LIMIT
        self._after = list(model)[1:]
        if is_half:
            self._after = [Widened(), *(module.float() for module in self._after)]
        self._poolings = [module for module in model if isinstance(module, Pooling)]
        self._pools_prompt = all(module.include_prompt for module in self._poolings)
        self.memory_bytes = size_of(first)
        self.encoder: PaddedTorch | None = None
        if self._tokenizer is not None:
            self.max_tokens = min(NO_LIMIT, self._tokenizer.max_tokens)
            self._choose(model, self._tokenizer, runtime)

    def _choose(
        self, model: SentenceTransformer, tokenizer: BatchTokenizer, runtime: Runtime
    ) -> None:
        """The type of the weights, and whether batches are computed without padding."""
        self.backend = "torch"
        plain = self.encoder = PaddedTorch(self._transformer, tokenizer, self.device)
        if self._images is not None:
            self.reason = "it reads images too"
            return
        own = str(next(self._transformer.parameters()).dtype).removeprefix("torch.")
        asked = runtime.variant.dtype if runtime.variant.dtype != own else None
        packs = can_be_packed(self._transformer, list(model)[1:])
        reference = self._sample_rows(plain) if packs or asked else None
        if asked is not None:
            model.to(getattr(torch, asked))
            self.memory_bytes = size_of(self._transformer)
        self.cosine = 1.0
        if packs:
            assert reference is not None
            packed = PackedTorch(self._transformer, tokenizer, self.device)
            self.cosine = likeness(self._sample_rows(packed), reference)
            if self.cosine >= SAME:
                self.encoder = packed
            else:
                packed.undo()
        if asked is not None and self.encoder is plain:
            assert reference is not None
            self.cosine = likeness(self._sample_rows(plain), reference)
        without = "without padding" if self.encoder is not plain else None
        self.reason = "; ".join(filter(None, [_why_torch(runtime, asked), without]))
        self.pads = self.encoder.pads

    def exportable(self) -> Exportable:
        """All modules as one graph."""
        if self._tokenizer is None or self._images is not None:
            raise NotSupported("it reads images too")
        if not self._pools_prompt and any(
            "weightedmean" in module.pooling_mode for module in self._poolings
        ):
            # Its weights count from the first token of the text, prompt and all.
            raise NotSupported("it weighs tokens by their place, the prompt's left out")
        return Exportable(
            [self._transformer, *self._after], self._tokenizer, self._traced, "vector",
            excludes_prompt=not self._pools_prompt,
        )  # fmt: skip

    def _traced(self, features: dict[str, Any]) -> torch.Tensor:
        pooled_mask = features.pop(POOLED, features["attention_mask"])
        features = self._transformer({**features, "modality": "text"})
        features["attention_mask"] = pooled_mask
        for module in self._after:
            features = module(features)
        rows: torch.Tensor = features["sentence_embedding"][:, : self.dimensions]
        return rows

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

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each token lies in the text, in characters, special tokens left out."""
        if self._tokenizer is None:
            raise NotSupported("the model reads images, not texts")
        return self._tokenizer.offsets(text)

    def prepare(self, images: Sequence[Image]) -> list[Tokenized]:
        """Every image as the model reads it; an image costs as much as its patches do as tokens."""
        if self._images is None:
            raise NotSupported("the model reads texts, not images")
        prepared = []
        for image in images:
            pixels = self._images.preprocess([image])["pixel_values"][0].numpy()
            prepared.append(Tokenized(0, self._patches(pixels), {"pixel_values": pixels}))
        return prepared

    def is_finite(self) -> bool:
        """Whether sample texts give vectors without NaN and infinity; so it is held of images."""
        if self._tokenizer is None:
            return True
        return bool(np.isfinite(self.forward(self._tokenizer.texts(SAMPLES, ""))).all())

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The vectors of one batch, all texts or all images."""
        return self.launch(batch)()

    def launch(self, batch: Sequence[Tokenized]) -> Callable[[], Matrix]:
        """Begins a batch; the call that it gives waits for the vectors, in any thread."""
        if not _are_images(batch):
            assert self.encoder is not None
            return self._vectors(self.encoder, batch)
        assert self._images is not None
        with torch.inference_mode():
            return self._pooled(self._images(self._image_features(batch)))

    def _sample_rows(self, encoder: PaddedTorch) -> Matrix:
        assert self._tokenizer is not None
        return sample_rows(
            self._tokenizer.texts(SAMPLES, ""), lambda batch: self._vectors(encoder, batch)()
        )

    def _vectors(self, encoder: PaddedTorch, batch: Sequence[Tokenized]) -> Callable[[], Matrix]:
        with torch.inference_mode():
            features = encoder.encode(batch)
            if "prompt_length" in batch[0].features:
                features["prompt_length"] = batch[0].features["prompt_length"]
            return self._pooled(features)

    def _pooled(self, features: dict[str, Any]) -> Callable[[], Matrix]:
        for module in self._after:
            features = module(features)
        return fetching(features["sentence_embedding"][:, : self.dimensions])

    def _image_features(self, batch: Sequence[Tokenized]) -> dict[str, Any]:
        pixels = np.stack([image.features["pixel_values"] for image in batch])
        assert self._images is not None
        dtype = next(self._images.parameters()).dtype
        return {"pixel_values": sent(pixels, self.device).to(dtype), "modality": "image"}

    def _patches(self, pixels: np.ndarray[Any, Any]) -> int:
        assert self._images is not None
        config = self._images.config
        patch = getattr(getattr(config, "vision_config", config), "patch_size", None) or 16
        height, width = (math.ceil(side / patch) for side in pixels.shape[-2:])
        return 1 + int(height) * int(width)


def _are_images(batch: Sequence[Tokenized]) -> bool:
    return "pixel_values" in batch[0].features


def _why_torch(runtime: Runtime, dtype: str | None) -> str | None:
    """Why nothing else computes it, where that is not for its own sake."""
    if dtype is not None:
        return f"asked for in {dtype}"
    if runtime.variant.backend == "torch":
        return "asked for"
    if runtime.device != "cpu":
        return f"on {runtime.device} torch alone computes"
    if runtime.measured == "torch":
        return "measured"
    return None if runtime.compiled else "nothing else is set up to compute it"
