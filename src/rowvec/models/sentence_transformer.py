"""Models of the sentence-transformers library, from a folder with safetensors.

The texts are tokenised once, outside of `encode`, so that batches can be cut by their real
lengths; what the model then computes is what `SentenceTransformer.encode` computes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers.utils.logging import disable_progress_bar

from rowvec.errors import ModelError
from rowvec.models.embedder import Matrix, Tokenized

logger = logging.getLogger(__name__)

_PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack")

# What a padded position holds; a tokenizer that gives anything else is not understood here.
_KNOWN_FEATURES = {"input_ids", "attention_mask", "token_type_ids"}


class SentenceTransformerEmbedder:
    """An Embedder over a folder; raises ModelError where the folder cannot be trusted or read."""

    def __init__(self, folder: Path, *, sha256: str | None = None, device: str = "cpu") -> None:
        check_folder(folder, sha256)
        disable_progress_bar()
        try:
            self._model = SentenceTransformer(
                str(folder), device=device, local_files_only=True, trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )  # fmt: skip
        except (OSError, ValueError, RuntimeError, ImportError, KeyError) as exc:
            raise ModelError(f"cannot load the model in {folder}: {exc}") from exc
        self._model.eval()
        self._device = device
        self._tokenizer = _text_tokenizer(self._model, folder)
        self._pools_prompt = all(
            module.include_prompt for module in self._model if isinstance(module, Pooling)
        )
        self._prompt_lengths: dict[str, int] = {}

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads."""
        return int(self._tokenizer.model_max_length)

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Tokenises all at once; the few that are too long once more, cut by the tokenizer."""
        prompt_length = self._prompt_length(prompt)
        read = [prompt + text for text in texts]
        whole = self._encode(read, truncate=False)
        counts = [len(ids) for ids in whole["input_ids"]]
        too_long = [i for i, count in enumerate(counts) if count > self.max_tokens]
        cut = self._encode([read[i] for i in too_long], truncate=True) if too_long else {}
        for place, i in enumerate(too_long):
            for name, values in whole.items():
                values[i] = cut[name][place]
        return [
            Tokenized(
                count,
                len(whole["input_ids"][i]),
                ({name: values[i] for name, values in whole.items()}, prompt_length),
            )
            for i, count in enumerate(counts)
        ]

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The vectors of one batch, padded to its longest text."""
        features: dict[str, Any] = {
            name: torch.from_numpy(self._padded(name, batch)).to(self._device)
            for name in batch[0].features[0]
        }
        features["modality"] = "text"
        if batch[0].features[1] is not None:
            features["prompt_length"] = batch[0].features[1]
        with torch.inference_mode():
            vectors = self._model(features)["sentence_embedding"]
            return np.ascontiguousarray(vectors.float().cpu().numpy())

    def _encode(self, texts: list[str], *, truncate: bool) -> dict[str, list[list[int]]]:
        encoded = self._tokenizer(
            texts,
            truncation="longest_first" if truncate else False,
            padding=False,
            return_attention_mask=True,
            verbose=False,
        )
        return dict(encoded)

    def _padded(self, name: str, batch: Sequence[Tokenized]) -> np.ndarray[Any, np.dtype[np.int64]]:
        width = max(text.length for text in batch)
        filler = {
            "input_ids": self._tokenizer.pad_token_id,
            "token_type_ids": self._tokenizer.pad_token_type_id,
        }.get(name, 0)
        padded = np.full((len(batch), width), filler or 0, dtype=np.int64)
        on_the_left = self._tokenizer.padding_side == "left"
        for row, text in zip(padded, batch, strict=True):
            start = width - text.length if on_the_left else 0
            row[start : start + text.length] = text.features[0][name]
        return padded

    def _prompt_length(self, prompt: str) -> int | None:
        """Tokens of the prompt that pooling has to leave out, None where it leaves none out."""
        if self._pools_prompt or not prompt:
            return None
        if prompt not in self._prompt_lengths:
            ids = self._encode([prompt], truncate=True)["input_ids"][0]
            ends = bool(ids) and ids[-1] in self._tokenizer.all_special_ids
            self._prompt_lengths[prompt] = len(ids) - ends
        return self._prompt_lengths[prompt]


def check_folder(folder: Path, sha256: str | None) -> None:
    """Refuses what could run code when loaded, or is not what the list pins; raises ModelError."""
    weights = sorted(folder.rglob("*.safetensors"))
    if not weights:
        pickled = [f.name for f in folder.rglob("*") if f.suffix in _PICKLED]
        raise ModelError(
            f"{folder} has no safetensors file"
            + (f", only {pickled[0]}, which could run code when loaded" if pickled else "")
        )
    for file in folder.rglob("*.json"):
        if file.name.endswith("config.json") and _names_remote_code(file):
            raise ModelError(f"{file} names code of its own (auto_map), which is never run")
    for module in json.loads((folder / "modules.json").read_text(encoding="utf-8")):
        if not str(module.get("type", "")).startswith("sentence_transformers."):
            raise ModelError(f"{folder / 'modules.json'} names code of its own, which is never run")
    if sha256 is not None:
        main = folder / "model.safetensors"
        with main.open("rb") as weights_file:
            found = hashlib.file_digest(weights_file, "sha256").hexdigest()
        if found != sha256:
            raise ModelError(f"{main} has the sha256 {found}, the list of models pins {sha256}")


def _names_remote_code(path: Path) -> bool:
    content = json.loads(path.read_text(encoding="utf-8"))
    return isinstance(content, dict) and "auto_map" in content


def _text_tokenizer(model: SentenceTransformer, folder: Path) -> Any:
    """The tokenizer of a model that reads plain text; raises ModelError for other kinds."""
    first = model[0]
    if not isinstance(first, Transformer) or first.tokenizer is None:
        raise ModelError(f"the model in {folder} is not a transformer that reads text")
    if "message" in first.modality_config or "text" not in first.modality_config:
        raise ModelError(f"the model in {folder} reads messages or media, not plain text")
    names = set(first.tokenizer("x", return_attention_mask=True))
    if not names <= _KNOWN_FEATURES or not first.tokenizer.is_fast:
        raise ModelError(f"the tokenizer in {folder} is of a kind that is not supported")
    return first.tokenizer
