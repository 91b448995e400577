"""Sparse encoders: SPLADE and what else the sentence-transformers library has of the kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rowvec.errors import ModelError
from rowvec.models.description import Description
from rowvec.models.families.sentence_transformers import max_tokens_of, own_prompts
from rowvec.models.family import Entry, Family
from rowvec.models.folder import modules, read_json
from rowvec.models.sparse_vector import SparseEmbedder
from rowvec.models.spec import ModelSpec


class SparseEncoder(Family):
    """What `SparseEncoder(folder)` loads; a masked language model alone is pooled as SPLADE is."""

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """From the json files of the folder."""
        assert entry.folder is not None
        config = read_json(entry.folder / "config_sentence_transformers.json", missing={})
        prompts = own_prompts(config, entry.names)
        default = config.get("default_prompt_name")
        return Description(
            name=entry.name,
            dimensions=_dimensions(entry.folder),
            max_tokens=max_tokens_of(entry.folder),
            prompts=prompts,
            default_prompt=prompts.get(default, "") if default is not None else "",
            revision=entry.revision,
            gives="sparse vector",
        )

    @classmethod
    def load(cls, spec: ModelSpec) -> SparseEmbedder:
        """The model on the device of the runtime."""
        from rowvec.models.sparse import SparseEncoderEmbedder  # noqa: PLC0415  # needs torch

        assert spec.folder is not None
        return SparseEncoderEmbedder(
            spec.folder, sha256=spec.sha256, device=spec.device, half=spec.half
        )


def _dimensions(folder: Path) -> int:
    """One for each word of the vocabulary, or the width of the last sparse module."""
    for kind, path in reversed(modules(folder)):
        config: dict[str, Any] = read_json(path / "config.json", missing={})
        if kind.endswith("SparseAutoEncoder"):
            return int(config["hidden_dim"])
        if kind.endswith("SpladePooling") and config.get("embedding_dimension"):
            return int(config["embedding_dimension"])
    config = read_json(folder / "config.json")
    if not any(str(a).endswith("ForMaskedLM") for a in config.get("architectures") or ()):
        raise ModelError(f"{folder / 'config.json'} is of no masked language model")
    return int(config["vocab_size"])
