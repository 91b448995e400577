"""Folders of the sentence-transformers library: dense vectors of texts, of images, or of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rowvec.errors import ModelError
from rowvec.models.backends.variant import BACKENDS, Backend
from rowvec.models.description import NO_LIMIT, Description, Reads
from rowvec.models.embedder import Embedder
from rowvec.models.family import Entry, Family
from rowvec.models.folder import modules, tensor_shapes, weights
from rowvec.models.json_file import read_json
from rowvec.models.known_prompts import known_prompts
from rowvec.models.router import router_of, ways
from rowvec.models.spec import ModelSpec

# The name of this file followed the model in early releases of the library.
_TRANSFORMER_CONFIGS = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)

# What the library computes of a folder without modules.json is a vector only for these.
_IMAGE_AND_TEXT_TYPES = (
    "CLIPModel",
    "SiglipModel",
    "Siglip2Model",
    "ChineseCLIPModel",
    "AltCLIPModel",
)


class SentenceTransformers(Family):
    """What `SentenceTransformer(folder)` loads: transformers, static embeddings, CLIP."""

    @classmethod
    def compiles(cls, description: Description) -> bool:
        """Where there is a choice of what computes it."""
        return bool(description.backends)

    @classmethod
    def describe(cls, entry: Entry) -> Description:
        """From the json files of the folder, and for static embeddings the weights' header."""
        assert entry.folder is not None
        return describe_folder(entry, entry.folder)

    @classmethod
    def load(cls, spec: ModelSpec) -> Embedder:
        """The model on the device of the runtime."""
        from rowvec.models.families.sentence_transformers.dense import load_dense  # noqa: PLC0415  # seconds, and needs torch

        assert spec.folder is not None
        return load_dense(spec.folder, sha256=spec.sha256, runtime=spec.runtime, half=spec.half)


def describe_folder(entry: Entry, folder: Path) -> Description:
    """The description of a sentence-transformers folder; raises ModelError naming the file."""
    listed = modules(folder)
    router = router_of(listed)
    every = [[(kind.rpartition(".")[2], path) for kind, path in way] for way in ways(listed)]
    if not listed:
        if not _reads_both_without_modules(folder):
            raise ModelError(
                f"{folder / 'modules.json'} is missing, so nothing says how tokens become a vector"
            )
        every = [[("Transformer", folder)]]
    found = every[0]
    config = read_json(folder / "config_sentence_transformers.json", missing={})
    prompts = own_prompts(config, entry.names)
    default = config.get("default_prompt_name")
    dimensions = _dimensions(folder, found)
    for way in every:
        if _dimensions(folder, way) != dimensions:
            raise ModelError(f"the routes in {folder} give vectors of different lengths")
    return Description(
        name=entry.name,
        dimensions=min(dimensions, config.get("truncate_dim") or dimensions),
        max_tokens=_max_tokens(found[0]),
        prompts=prompts,
        default_prompt=prompts.get(default, "") if default is not None else "",
        # A folder that shortens its vectors does so after the last module, as `encode` does.
        normalizes=all(way[-1][0] == "Normalize" for way in every)
        and not config.get("truncate_dim"),
        revision=entry.revision,
        reads=_reads(found[0]) if router is None else ("text",),
        backends=_backends(found[0]) if all(_backends(way[0]) for way in every) else (),
        dtype=_dtype(found[0]),
        routes={} if router is None else router.others,
    )


def own_prompts(config: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """The model's own prompts; where none has any text, those that its family is known for."""
    own = {k: v or "" for k, v in (config.get("prompts") or {}).items()}
    return {**own, **({} if any(own.values()) else known_prompts(names))}


def max_tokens_of(folder: Path) -> int:
    """Tokens that a transformer reads, as the library works it out; raises ModelError."""
    for name in _TRANSFORMER_CONFIGS:
        if said := read_json(folder / name, missing={}).get("max_seq_length"):
            return int(said)
    tokenizer = read_json(folder / "tokenizer_config.json", missing={}).get("model_max_length")
    config = read_json(folder / "config.json", missing={})
    positions = config.get("text_config", config).get("max_position_embeddings")
    limits = [int(limit) for limit in (tokenizer, positions) if limit]
    return min([*limits, NO_LIMIT])


def _dimensions(folder: Path, found: list[tuple[str, Path]]) -> int:
    """The width that the last module which sets one gives."""
    for kind, path in reversed(found):
        if kind == "Dense":
            return int(read_json(path / "config.json")["out_features"])
        if kind == "Pooling":
            return _pooled_width(read_json(path / "config.json"))
        if kind == "StaticEmbedding":
            own = path / "model.safetensors"
            shapes = tensor_shapes(own if own.exists() else weights(folder)[0])
            return int(shapes.get("embedding.weight", shapes.get("embeddings", [0, 0]))[1])
    path = found[0][1] / "config.json"
    config = read_json(path)
    for key in ("projection_dim", "hidden_size", "d_model"):
        width = config.get(key) or config.get("text_config", {}).get(key)
        if width:
            return int(width)
    raise ModelError(f"{path} does not say how many dimensions there are")


def _pooled_width(config: Mapping[str, Any]) -> int:
    # Several ways of pooling stand side by side in the vector. Old files have a flag for each.
    width = config.get("embedding_dimension") or config.get("word_embedding_dimension") or 0
    modes = config.get("pooling_mode")
    if modes is None:
        count = sum(bool(v) for k, v in config.items() if k.startswith("pooling_mode_"))
    else:
        count = 1 if isinstance(modes, str) else len(modes)
    return int(width) * max(1, count)


def _max_tokens(first: tuple[str, Path]) -> int:
    kind, path = first
    return NO_LIMIT if kind == "StaticEmbedding" else max_tokens_of(path)


def _reads(first: tuple[str, Path]) -> tuple[Reads, ...]:
    kind, path = first
    if kind == "StaticEmbedding":
        return ("text",)
    processor = read_json(path / "processor_config.json", missing={})
    images = "image_processor" in processor or (path / "preprocessor_config.json").exists()
    texts = any((path / name).exists() for name in ("tokenizer.json", "tokenizer_config.json"))
    if not (texts or images):
        raise ModelError(f"{path} has neither a tokenizer nor an image processor")
    reads: list[Reads] = ["text"] if texts else []
    return (*reads, "image") if images else tuple(reads)


def _backends(first: tuple[str, Path]) -> tuple[Backend, ...]:
    """A choice there is for transformers that read texts alone."""
    return BACKENDS if first[0] == "Transformer" and _reads(first) == ("text",) else ()


def _dtype(first: tuple[str, Path]) -> str:
    config = read_json(first[1] / "config.json", missing={})
    # Its name in files of transformers before 5 was torch_dtype.
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def _reads_both_without_modules(folder: Path) -> bool:
    config = read_json(folder / "config.json")
    return any(a in _IMAGE_AND_TEXT_TYPES for a in config.get("architectures") or ())
