"""What is known of a model before it is loaded: read from the json files of its folder.

So the worker answers `models()` and checks kwargs at once, without torch and without the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rowvec.errors import ModelError

# What `max_tokens` says of a model that reads texts of any length: the largest int of Postgres.
NO_LIMIT = 2**31 - 1

Reads = Literal["text", "image"]
Gives = Literal["vector", "sparse vector", "score"]


@dataclass(frozen=True)
class Description:
    """What requests are checked against. `prompts` maps a name to a prefix.

    A `sparse vector` is `dimensions` long and nearly all zeros; a `score` is of a pair of texts.
    """

    name: str
    dimensions: int
    max_tokens: int
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    normalizes: bool = False
    revision: str | None = None
    reads: tuple[Reads, ...] = ("text",)
    gives: Gives = "vector"
    takes_instruction: bool = False


def describe_folder(name: str, folder: Path, revision: str | None = None) -> Description:
    """The description of a sentence-transformers folder; raises ModelError naming the file."""
    modules = _read(folder / "modules.json")
    if not isinstance(modules, list) or not modules:
        raise ModelError(f"{folder / 'modules.json'} lists no modules")
    kinds = [
        (str(m.get("type", "")).rpartition(".")[2], folder / m.get("path", "")) for m in modules
    ]
    config = _read(folder / "config_sentence_transformers.json", missing={})
    prompts = {k: v or "" for k, v in (config.get("prompts") or {}).items()}
    default = config.get("default_prompt_name")
    return Description(
        name=name,
        dimensions=_dimensions(folder, kinds),
        max_tokens=_max_tokens(kinds[0][1]),
        prompts=prompts,
        default_prompt=prompts.get(default, "") if default is not None else "",
        normalizes=kinds[-1][0] == "Normalize",
        revision=revision,
    )


def _dimensions(folder: Path, kinds: list[tuple[str, Path]]) -> int:
    """The width that the last module which sets one gives."""
    for kind, path in reversed(kinds):
        if kind == "Dense":
            return int(_read(path / "config.json")["out_features"])
        if kind == "Pooling":
            return _pooled_width(_read(path / "config.json"))
    config = _read(folder / "config.json")
    if "hidden_size" not in config:
        raise ModelError(f"{folder / 'config.json'} does not say how many dimensions there are")
    return int(config["hidden_size"])


def _pooled_width(config: Mapping[str, Any]) -> int:
    # Several ways of pooling stand side by side in the vector. Old files have a flag for each.
    width = config.get("embedding_dimension") or config.get("word_embedding_dimension") or 0
    modes = config.get("pooling_mode")
    if modes is None:
        count = sum(bool(v) for k, v in config.items() if k.startswith("pooling_mode_"))
    else:
        count = 1 if isinstance(modes, str) else len(modes)
    return int(width) * max(1, count)


def _max_tokens(folder: Path) -> int:
    said = _read(folder / "sentence_bert_config.json", missing={}).get("max_seq_length")
    if said:
        return int(said)
    tokenizer = _read(folder / "tokenizer_config.json", missing={}).get("model_max_length")
    positions = _read(folder / "config.json", missing={}).get("max_position_embeddings")
    limits = [int(limit) for limit in (tokenizer, positions) if limit]
    if not limits:
        raise ModelError(f"no file in {folder} says how many tokens the model reads")
    return min(limits)


def _read(path: Path, *, missing: Any = None) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if missing is not None:
            return missing
        raise ModelError(f"{path} is missing") from exc
    except (OSError, ValueError) as exc:
        raise ModelError(f"cannot read {path}: {exc}") from exc
