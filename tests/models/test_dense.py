"""Dense text models: equal to `SentenceTransformer.encode` on the same weights, each family."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from transformers import AutoTokenizer, T5EncoderModel

from rowvec.chunking.cutting import Chunking, ModelTokenizer, cut
from rowvec.errors import ModelError
from rowvec.models.description import NO_LIMIT
from rowvec.models.families.sentence_transformers import SentenceTransformers
from rowvec.models.families.sentence_transformers.dense import load_dense
from rowvec.models.family import Entry
from support.library import Encode, Vectors
from support.models import RealModel
from support.tiny_models import save


@pytest.fixture
def same_as_library(
    texts: list[str],
    embed: Callable[..., Vectors],
    assert_same: Callable[..., None],
    library_encode: Encode,
) -> Callable[..., Vectors]:
    """Compares a folder's vectors with the library's and its description with the loaded model."""
    # Loading takes seconds where it finds out which backend is the fastest.
    load = functools.cache(load_dense)

    def check(folder: Path, prompt: str = "") -> Vectors:
        ours = load(folder)
        vectors = embed(ours, texts, prompt)
        assert_same(vectors, library_encode(folder, texts, prompt))
        description = SentenceTransformers.describe(Entry("m", ("m",), folder))
        assert (description.dimensions, description.max_tokens) == (
            vectors.shape[1], ours.max_tokens,
        )  # fmt: skip
        return vectors

    return check


def test_gtr_t5_is_mean_then_dense_then_unit_length(
    t5_folder: Path,
    tmp_path: Path,
    texts: list[str],
    same_as_library: Callable[..., Vectors],
    assert_same: Callable[..., None],
) -> None:
    torch.manual_seed(1)
    dense = Dense(32, 48, bias=False, activation_function=torch.nn.Identity())
    vectors = same_as_library(
        save(tmp_path, Transformer(str(t5_folder)), Pooling(32, "mean"), dense, Normalize())
    )
    tokenizer = AutoTokenizer.from_pretrained(t5_folder)
    encoder = T5EncoderModel.from_pretrained(t5_folder).eval()
    rows = []
    for text in texts:
        read = tokenizer(text, truncation=True, max_length=32, return_tensors="pt")
        with torch.inference_mode():
            mean = encoder(**read).last_hidden_state[0].mean(dim=0)
            projected = dense.linear(mean)
            rows.append((projected / projected.norm()).numpy())
    assert_same(vectors, np.stack(rows))


MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


@pytest.mark.parametrize("mode", [*MODES, ("cls", "mean")])
def test_every_way_of_pooling(
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    same_as_library: Callable[..., Vectors],
    mode: str | tuple[str, ...],
) -> None:
    same_as_library(save(tmp_path, Transformer(str(bert_folder())), Pooling(32, mode)))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("mode", ["lasttoken", "mean", "weightedmean"])
def test_decoders_padded_on_either_side(
    decoder_folder: Callable[..., Path],
    tmp_path: Path,
    same_as_library: Callable[..., Vectors],
    mode: str,
    side: str,
) -> None:
    same_as_library(
        save(tmp_path, Transformer(str(decoder_folder(padding_side=side))), Pooling(32, mode))
    )


def test_ways_of_pooling_differ(
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    embed: Callable[..., Vectors],
) -> None:
    transformer = Transformer(str(bert_folder()))
    first = {
        mode: embed(load_dense(save(tmp_path / mode, transformer, Pooling(32, mode))), texts)[0]
        for mode in MODES
    }
    for i, mode in enumerate(MODES):
        for other in MODES[i + 1 :]:
            assert not np.allclose(first[mode], first[other], atol=1e-3), (mode, other)


def test_a_prompt_changes_the_vector_as_the_library_has_it(
    bert_folder: Callable[..., Path], tmp_path: Path, same_as_library: Callable[..., Vectors]
) -> None:
    folder = save(tmp_path, Transformer(str(bert_folder())), Pooling(32, "mean"), Normalize())
    without, with_prompt = same_as_library(folder), same_as_library(folder, "query: ")
    assert not np.allclose(without, with_prompt, atol=1e-3)


def test_what_is_beyond_the_limit_changes_nothing(
    bert_folder: Callable[..., Path], tmp_path: Path, embed: Callable[..., Vectors]
) -> None:
    ours = load_dense(save(tmp_path, Transformer(str(bert_folder())), Pooling(32, "mean")))
    long = " ".join(["row"] * 40)
    vectors = embed(ours, [long, long + " fox", "row"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[2], atol=1e-3)
    whole, cut = ours.tokenize(["row", long], "")
    assert (whole.count, whole.length) == (3, 3)
    assert (cut.count, cut.length) == (42, 32)


def test_a_matryoshka_folder_gives_its_short_vectors(
    bert_folder: Callable[..., Path], tmp_path: Path, same_as_library: Callable[..., Vectors]
) -> None:
    folder = save(
        tmp_path, Transformer(str(bert_folder())), Pooling(32, "mean"), Normalize(), truncate_dim=8
    )
    assert same_as_library(folder).shape[1] == 8


def test_static_embeddings(
    bert_folder: Callable[..., Path], tmp_path: Path, same_as_library: Callable[..., Vectors]
) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(bert_folder())
    torch.manual_seed(3)
    folder = save(tmp_path, StaticEmbedding(tokenizer, embedding_dim=16), Normalize())
    vectors = same_as_library(folder)
    assert not np.allclose(vectors, same_as_library(folder, "query: "), atol=1e-3)
    assert not vectors[1].any(), "the empty text has no tokens"
    description = SentenceTransformers.describe(Entry("m", ("m",), folder))
    assert (description.max_tokens, description.normalizes) == (NO_LIMIT, True)


def test_static_embeddings_read_texts_whole(
    bert_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """The tokenizer file may have a limit of its own, left from training; `encode` has none."""
    tokenizer: Any = AutoTokenizer.from_pretrained(bert_folder())
    folder = save(tmp_path, StaticEmbedding(tokenizer, embedding_dim=16))
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["truncation"] = {
        "max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right",
    }  # fmt: skip
    file.write_text(json.dumps(content))
    assert load_dense(folder).tokenize(["row " * 100], "")[0].length == 100


def test_static_embeddings_cut_texts(
    bert_folder: Callable[..., Path], tmp_path: Path, texts: list[str]
) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(bert_folder())
    model = load_dense(save(tmp_path, StaticEmbedding(tokenizer, embedding_dim=16)))
    text = "\n\n".join(texts)
    found = list(cut(text, ModelTokenizer(model), Chunking(12, overlap=3)))
    assert len(found) > 5
    for chunk in found:
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.tokens == model.tokenize([chunk.text], "")[0].count <= 12
    assert not text[: found[0].start].strip()
    assert not text[found[-1].end :].strip()


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "dimensions", "max_tokens"),
    [("minilm", 384, 256), ("e5", 384, 512), ("mpnet", 768, 384)],
)
def test_real_models(
    real_model: RealModel,
    same_as_library: Callable[..., Vectors],
    name: str,
    dimensions: int,
    max_tokens: int,
) -> None:
    folder = real_model(name)
    description = SentenceTransformers.describe(Entry("m", ("m",), folder))
    assert (description.dimensions, description.max_tokens) == (dimensions, max_tokens)
    assert description.normalizes
    same_as_library(folder)


@pytest.mark.models
def test_real_e5_with_its_prompts(
    real_model: RealModel, same_as_library: Callable[..., Vectors]
) -> None:
    folder = real_model("e5")
    queries, passages = same_as_library(folder, "query: "), same_as_library(folder, "passage: ")
    cosines = (queries * passages).sum(axis=1)
    assert cosines.max() < 0.9999


def test_pickled_weights_of_a_later_module_are_refused(
    bert_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """The library would fall back to the pickle without a word."""
    folder = save(tmp_path, Transformer(str(bert_folder())), Pooling(32, "mean"), Dense(32, 8))
    weights = folder / "2_Dense" / "model.safetensors"
    torch.save({}, weights.with_name("pytorch_model.bin"))
    load_dense(folder)
    weights.unlink()
    with pytest.raises(ModelError, match=r"no safetensors file for 2_Dense/pytorch_model\.bin"):
        load_dense(folder)
