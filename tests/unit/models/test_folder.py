"""What a model's folder must not hold, and what its files say before anything is loaded."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rowvec.errors import ModelError
from rowvec.models.description import NO_LIMIT, Description
from rowvec.models.families.sentence_transformers import SentenceTransformers
from rowvec.models.family import Entry
from rowvec.models.folder import check_folder

TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}
POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
NORMALIZE = {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
STATIC = {"path": "", "type": "sentence_transformers.models.StaticEmbedding"}


def safetensors(**shapes: list[int]) -> bytes:
    """The header of a file; nothing here reads further."""
    header = {name: {"dtype": "F32", "shape": shape} for name, shape in shapes.items()}
    text = json.dumps({"__metadata__": {}, **header}).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all that describing reads."""
    files: dict[str, Any] = {
        "modules.json": [TRANSFORMER, POOLING, NORMALIZE],
        "config.json": {"hidden_size": 32, "max_position_embeddings": 512},
        "tokenizer_config.json": {"model_max_length": 128},
        "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True},
        "config_sentence_transformers.json": {},
    }
    for name, content in files.items():
        write(tmp_path, name, content)
    (tmp_path / "model.safetensors").write_bytes(safetensors(x=[1]))
    return tmp_path


def write(folder: Path, name: str, content: Any) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def describe(folder: Path, *names: str) -> Description:
    return SentenceTransformers.describe(Entry("m", ("m", *names), folder))


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def remote_code(folder: Path) -> None:
    write(folder, "config.json", {"auto_map": {"AutoModel": "modeling.Mine"}})


def a_module_of_its_own(folder: Path) -> None:
    write(folder, "modules.json", [{"path": "", "type": "custom_st.Transformer"}])


def no_config(folder: Path) -> None:
    for file in folder.rglob("*.json"):
        file.unlink()


def broken_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (only_pickles, r"has no safetensors file for pytorch_model\.bin, which could run code"),
        (no_weights, r"has no safetensors file$"),
        (remote_code, r"config\.json names code of its own \(auto_map\), which is never run$"),
        (a_module_of_its_own, r"modules\.json names code of its own, which is never run$"),
        (no_config, r"has neither modules\.json nor config\.json: it is no model$"),
        (broken_json, r"cannot read .*config\.json: "),
    ],
)
def test_a_folder_that_cannot_be_trusted(
    folder: Path, spoil: Callable[[Path], None], message: str
) -> None:
    check_folder(folder, None)
    spoil(folder)
    with pytest.raises(ModelError, match=message) as raised:
        check_folder(folder, None)
    assert raised.value.sqlstate == "F0000"


def test_the_pinned_hash_is_of_the_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    check_folder(folder, hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match=r"has the sha256 [0-9a-f]{64}, the list of models pins 0"):
        check_folder(folder, "0" * 64)


def test_the_pinned_hash_of_shards_is_of_their_bytes_in_order(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"second")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"first")
    check_folder(folder, hashlib.sha256(b"firstsecond").hexdigest())


def test_a_transformer_is_described_by_its_files(folder: Path) -> None:
    described = describe(folder)
    assert (described.name, described.dimensions, described.max_tokens) == ("m", 32, 128)
    assert described.normalizes


def test_a_limit_that_is_none_is_the_largest_int(folder: Path) -> None:
    """Transformers writes 10^30 for a tokenizer without a limit; T5 has no positions either."""
    write(folder, "tokenizer_config.json", {"model_max_length": int(1e30)})
    write(folder, "config.json", {"d_model": 32})
    assert describe(folder).max_tokens == NO_LIMIT
    write(folder, "sentence_bert_config.json", {"max_seq_length": 256})
    assert describe(folder).max_tokens == 256


def test_a_static_embedding_is_as_wide_as_its_weights(folder: Path) -> None:
    write(folder, "modules.json", [STATIC])
    (folder / "model.safetensors").write_bytes(safetensors(**{"embedding.weight": [100, 16]}))
    assert (describe(folder).dimensions, describe(folder).max_tokens) == (16, NO_LIMIT)
    (folder / "model.safetensors").write_bytes(safetensors(embeddings=[100, 24]))
    assert describe(folder).dimensions == 24


def test_ways_of_pooling_stand_side_by_side(folder: Path) -> None:
    modes = {"embedding_dimension": 32, "pooling_mode": ["cls", "mean"]}
    write(folder, "1_Pooling/config.json", modes)
    assert describe(folder).dimensions == 64


def test_prompts_of_the_model_go_before_those_of_its_family(folder: Path) -> None:
    assert describe(folder, "intfloat/e5-small").prompts == {
        "query": "query: ", "document": "passage: ",
    }  # fmt: skip
    assert describe(folder).prompts == {}
    config = {"prompts": {"query": "mine: ", "document": ""}, "default_prompt_name": "query"}
    write(folder, "config_sentence_transformers.json", config)
    described = describe(folder, "intfloat/e5-small")
    assert described.prompts == {"query": "mine: ", "document": ""}
    assert described.default_prompt == "mine: "


def test_placeholders_are_no_prompts(folder: Path) -> None:
    """The library writes empty ones into every folder that it saves."""
    config = {"prompts": {"query": "", "document": ""}, "default_prompt_name": None}
    write(folder, "config_sentence_transformers.json", config)
    described = describe(folder, "intfloat/e5-small")
    assert described.prompts == {"query": "query: ", "document": "passage: "}
    assert described.default_prompt == "", "a bare text stays bare"


def test_a_transformer_alone_says_not_how_tokens_become_a_vector(folder: Path) -> None:
    (folder / "modules.json").unlink()
    with pytest.raises(ModelError, match=r"modules\.json is missing, so nothing says how tokens"):
        describe(folder)
