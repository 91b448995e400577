"""Sparse encoders: equal to sentence-transformers' own, and to SPLADE's formula written out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SparseEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sparse_encoder.modules import SpladePooling
from transformers import AutoModelForMaskedLM, AutoTokenizer

from rowvec.errors import ModelError
from rowvec.models.families import sparse_encoder
from rowvec.models.families.sparse_encoder.encoder import SparseEncoderEmbedder
from rowvec.models.family import Entry
from rowvec.models.spec import ModelSpec
from support.models import RealModel

SPLADE_SHA256 = "96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a"


def dense(model: SparseEncoderEmbedder, texts: list[str], prompt: str = "") -> np.ndarray:
    return np.stack([v.to_dense() for v in model.forward(model.tokenize(texts, prompt))])


def test_a_masked_language_model_is_pooled_as_splade_is(
    bert_folder: Callable[..., Path], texts: list[str], assert_same: Callable[..., None]
) -> None:
    folder = bert_folder("BertForMaskedLM")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    reference = AutoModelForMaskedLM.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        read = tokenizer(text, truncation=True, max_length=32, return_tensors="pt")
        with torch.inference_mode():
            logits = reference(**read).logits[0]
        rows.append(torch.log1p(torch.relu(logits)).max(dim=0).values.numpy())
    assert_same(dense(SparseEncoderEmbedder(folder), texts), np.stack(rows))


@pytest.mark.parametrize(
    "pooling",
    [
        ("max", "relu", "right"),
        ("max", "relu", "left"),
        ("max", "log1p_relu", "right"),
        ("sum", "relu", "right"),
    ],
)
def test_the_modules_of_a_folder_say_how_it_pools(
    bert_folder: Callable[..., Path],
    texts: list[str],
    tmp_path: Path,
    assert_same: Callable[..., None],
    pooling: tuple[Any, Any, str],
) -> None:
    strategy, activation, side = pooling
    transformer = Transformer(str(bert_folder("BertForMaskedLM")), transformer_task="fill-mask")
    transformer.tokenizer.padding_side = side
    SparseEncoder(
        modules=[transformer, SpladePooling(strategy, activation)], prompts={"query": "query: "}
    ).save(str(tmp_path))
    ours = SparseEncoderEmbedder(tmp_path)
    theirs = SparseEncoder(str(tmp_path), device="cpu")
    expected = theirs.encode(texts, convert_to_sparse_tensor=False).numpy()
    assert_same(dense(ours, texts), expected)
    with_prompt = theirs.encode(texts, prompt_name="query", convert_to_sparse_tensor=False).numpy()
    assert_same(dense(ours, texts, "query: "), with_prompt)
    assert not np.allclose(with_prompt, expected)
    description = sparse_encoder.SparseEncoder.describe(Entry("m", ("m",), tmp_path))
    assert (description.dimensions, description.max_tokens) == (ours.dimensions, ours.max_tokens)
    assert description.gives == "sparse vector"
    assert description.prompts["query"] == "query: "


def test_a_model_of_another_kind_is_one_sentence(bert_folder: Callable[..., Path]) -> None:
    with pytest.raises(ModelError, match=r"config\.json is of no masked language model$"):
        sparse_encoder.SparseEncoder.describe(Entry("m", ("m",), bert_folder("BertModel")))


@pytest.mark.models
def test_real_splade(
    real_model: RealModel, texts: list[str], assert_same: Callable[..., None]
) -> None:
    folder = real_model("splade")
    entry = Entry("splade", ("splade",), folder)
    description = sparse_encoder.SparseEncoder.describe(entry)
    assert (description.dimensions, description.max_tokens) == (30522, 512)
    ours = sparse_encoder.SparseEncoder.load(
        ModelSpec(description, "sparse-encoder", folder=folder, sha256=SPLADE_SHA256)
    )
    assert isinstance(ours, SparseEncoderEmbedder)
    theirs = SparseEncoder(str(folder), device="cpu", local_files_only=True)
    assert_same(dense(ours, texts), theirs.encode(texts, convert_to_sparse_tensor=False).numpy())
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == SPLADE_SHA256


def test_a_batch_is_computed_in_passes_of_bounded_size(
    bert_folder: Callable[..., Path],
    texts: list[str],
    assert_same: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = SparseEncoderEmbedder(bert_folder("BertForMaskedLM"))
    whole = dense(model, texts)
    monkeypatch.setattr("rowvec.models.families.sparse_encoder.encoder._MAX_LOGITS", 1)
    assert_same(dense(model, texts), whole)
