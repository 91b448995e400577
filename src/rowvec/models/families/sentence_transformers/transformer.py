"""Dense models of the sentence-transformers library whose first module is a transformer.

The texts are tokenised once, outside of `encode`, so that batches can be cut by their real
lengths; what the model then computes is what `SentenceTransformer.encode` computes. Models that
put images and texts in one space (CLIP and its kin) read images too.
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
from rowvec.models.backends.backend import Chosen, Features, TokenEncoder
from rowvec.models.backends.choice import SAMPLES, Candidates
from rowvec.models.backends.numpy_pooling import pooling_in_numpy
from rowvec.models.backends.torch_encoder import PaddedTorch, size_of
from rowvec.models.backends.transfer import Widened, fetching, sent
from rowvec.models.backends.variant import Runtime
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
        modalities = first.modality_config
        if "message" in modalities or not {"text", "image"} & set(modalities):
            raise ModelError(f"the model in {folder} reads messages or media, not plain text")
        self._tokenizer = BatchTokenizer(first.tokenizer, folder) if "text" in modalities else None
        self._images = first if "image" in modalities else None
        self.dimensions = dimensions
        self.max_tokens = NO_LIMIT
        if self._tokenizer is not None:
            self.max_tokens = min(NO_LIMIT, self._tokenizer.max_tokens)
        self._after = list(model)[1:]
        if is_half:
            self._after = [Widened(), *(module.float() for module in self._after)]
        self._pool = pooling_in_numpy(self._after)
        self._pools_prompt = all(
            module.include_prompt for module in model if isinstance(module, Pooling)
        )
        self.encoder: TokenEncoder | None = None
        if self._images is not None:
            self.memory_bytes = size_of(self._images)
        if (chosen := self._choose(model, runtime)) is not None:
            self._take(chosen)

    def _take(self, chosen: Chosen) -> None:
        """Computes texts so from now on."""
        self.backend, self.reason, self.cosine = chosen.backend, chosen.reason, chosen.cosine
        encoder = self.encoder = chosen.encoder
        self.pads, self.any_thread = encoder.pads, encoder.any_thread
        if self.memory_bytes is None:
            self.memory_bytes = encoder.memory_bytes
        self.streams = self._streams_of(encoder)

    def _choose(self, model: SentenceTransformer, runtime: Runtime) -> Chosen | None:
        """What computes texts. Where that is not torch, the weights in torch are let go."""
        if self._tokenizer is None:
            return None
        if self._images is not None:
            plain = PaddedTorch(model[0], self._tokenizer, self.device)
            return Chosen("torch", plain, "it reads images too")
        samples = self._tokenizer.texts(SAMPLES, "")
        return Candidates(
            model,
            self._tokenizer,
            runtime,
            lambda encoder: self._vectors_of(encoder, samples),
            self.device,
        ).choose()

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

    def forward_in_stream(self, batch: Sequence[Tokenized]) -> Matrix:
        """As `forward`, from any of `streams` threads at once."""
        assert self.encoder is not None
        return self._vectors_in_stream(self.encoder, batch)

    def _streams_of(self, encoder: TokenEncoder) -> int:
        """Those of the encoder, where no module of torch comes after it.

        Every thread that calls torch gets helpers of its own.
        """
        return 1 if self._pool is None else encoder.streams

    def _vectors_of(self, encoder: TokenEncoder, samples: Sequence[Tokenized]) -> Matrix:
        """The vectors of texts in one batch, then of each by itself."""
        alone = [self._vectors(encoder, [sample])() for sample in samples]
        if self._streams_of(encoder) > 1:
            together = self._vectors_in_stream(encoder, samples)
        else:
            together = self._vectors(encoder, samples)()
        return np.concatenate([together, *alone])

    def _vectors_in_stream(self, encoder: TokenEncoder, batch: Sequence[Tokenized]) -> Matrix:
        pooled = self._pooled_in_numpy(encoder.encode_in_stream(batch))
        assert pooled is not None
        return pooled

    def _vectors(self, encoder: TokenEncoder, batch: Sequence[Tokenized]) -> Callable[[], Matrix]:
        with torch.inference_mode():
            features = encoder.encode(batch)
            pooled = self._pooled_in_numpy(features)
            if pooled is not None:
                return lambda: pooled
            if "prompt_length" in batch[0].features:
                features["prompt_length"] = batch[0].features["prompt_length"]
            return self._pooled(features)

    def _pooled_in_numpy(self, features: Features) -> Matrix | None:
        """The vectors, where that needs no torch."""
        # CLIP pools its texts itself.
        tokens = features.get("token_embeddings")
        if self._pool is None or not isinstance(tokens, np.ndarray):
            return None
        return self._pool(tokens, features["attention_mask"])[:, : self.dimensions]

    def _pooled(self, features: dict[str, Any]) -> Callable[[], Matrix]:
        features = {
            name: torch.from_numpy(feature) if isinstance(feature, np.ndarray) else feature
            for name, feature in features.items()
        }
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
