"""Sparse encoders: SPLADE and what else the sentence-transformers library has of the kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rowvec.errors import ModelError
from rowvec.models.description import Description
from rowvec.models.families.sentence_transformers import max_tokens_of, own_prompts
from rowvec.models.family import Entry, Family
from rowvec.models.folder import modules, tensor_shapes
from rowvec.models.json_file import read_json
from rowvec.models.router import Modules, router_of, ways
from rowvec.models.sparse_vector import SparseEmbedder
from rowvec.models.spec import ModelSpec


class SparseEncoder(Family):
    """What `SparseEncoder(folder)` loads; a masked language model alone is pooled as SPLADE is."""

    @classmethod
    def compiles(cls, description: Description) -> bool:  # noqa: ARG003
        """Always; what cannot be exported is left to torch."""
        return True

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """From the json files of the folder."""
        assert entry.folder is not None
        config = read_json(entry.folder / "config_sentence_transformers.json", missing={})
        prompts = own_prompts(config, entry.names)
        listed = modules(entry.folder)
        router = router_of(listed)
        bare, *others = ways(listed)
        dimensions = _dimensions(entry.folder, bare)
        if any(_dimensions(entry.folder, way) != dimensions for way in others):
            raise ModelError(f"the routes in {entry.folder} give vectors of different lengths")
        default = config.get("default_prompt_name")
        return Description(
            name=entry.name,
            dimensions=dimensions,
            max_tokens=max_tokens_of(bare[0][1] if bare else entry.folder),
            prompts=prompts,
            default_prompt=prompts.get(default, "") if default is not None else "",
            revision=entry.revision,
            gives="sparse vector",
            routes={} if router is None else router.others,
        )

    @classmethod
    def load(cls, spec: ModelSpec) -> SparseEmbedder:
        """The model on the device of the runtime."""
        from rowvec.models.families.sparse_encoder.encoder import SparseEncoderEmbedder  # noqa: PLC0415  # needs torch

        assert spec.folder is not None
        return SparseEncoderEmbedder(
            spec.folder,
            sha256=spec.sha256,
            device=spec.device,
            half=spec.half,
            route=None if spec.runtime is None else spec.runtime.variant.route,
        )


def _dimensions(folder: Path, way: Modules) -> int:
    """One for each word of the vocabulary, or the width of the last sparse module."""
    for kind, path in reversed(way):
        config: dict[str, Any] = read_json(path / "config.json", missing={})
        if kind.endswith("SparseAutoEncoder"):
            return int(config["hidden_dim"])
        if kind.endswith("SpladePooling") and config.get("embedding_dimension"):
            return int(config["embedding_dimension"])
        if kind.endswith("SparseStaticEmbedding"):
            return tensor_shapes(path / "model.safetensors")["weight"][0]
    path = (way[0][1] if way else folder) / "config.json"
    config = read_json(path)
    if not any(str(a).endswith("ForMaskedLM") for a in config.get("architectures") or ()):
        raise ModelError(f"{path} is of no masked language model")
    return int(config["vocab_size"])
