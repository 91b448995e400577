"""To a device and back, as far as a machine without one can tell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from rowvec.models.backends.transfer import Widened, fetching, sent
from rowvec.models.backends.variant import DType, Runtime, Variant
from rowvec.models.compiled.proof import cosines
from rowvec.models.description import Description
from rowvec.models.families.sentence_transformers.dense import load_dense
from rowvec.models.families.sentence_transformers.transformer import TransformerEmbedder
from rowvec.models.spec import ModelSpec
from support.library import Vectors
from support.tiny_models import save


def test_arrays_arrive_on_the_device() -> None:
    array = np.arange(6).reshape(2, 3)
    assert np.array_equal(sent(array, "cpu").numpy(), array)


def test_vectors_come_back_as_float32() -> None:
    vectors = torch.tensor([[0.5, -2], [1, 3]], dtype=torch.float16)
    found = fetching(vectors)()
    assert found.dtype == np.float32
    assert found.tolist() == [[0.5, -2], [1, 3]]


def test_pooling_computes_in_float32() -> None:
    given = {"token_embeddings": torch.ones(1).half(), "attention_mask": torch.ones(1).int()}
    found = Widened()(given)
    assert (found["token_embeddings"].dtype, found["attention_mask"].dtype) == (
        torch.float32, torch.int32,
    )  # fmt: skip


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Saves modules as a model; gives its folder."""
    return partial(save, tmp_path / "model")


def test_a_launched_batch_gives_what_forward_gives(
    bert_folder: Callable[..., Path],
    saved: Callable[..., Path],
    texts: list[str],
    embed: Callable[..., Vectors],
) -> None:
    model = load_dense(saved(Transformer(str(bert_folder())), Pooling(32, "mean")))
    assert model.launches
    batch = model.tokenize(texts[:4], "")
    fetch, after = model.launch(batch), model.launch(batch[:1])
    assert cosines(fetch(), embed(model, texts[:4])).min() > 0.9999
    assert after().shape == (1, model.dimensions)


def test_only_the_transformer_computes_in_half_precision(
    bert_folder: Callable[..., Path],
    saved: Callable[..., Path],
    texts: list[str],
    embed: Callable[..., Vectors],
) -> None:
    folder = saved(Transformer(str(bert_folder())), Pooling(32, "mean"), Dense(32, 16), Normalize())
    single, half = load_dense(folder), load_dense(folder, half="float16")
    assert isinstance(half, TransformerEmbedder)
    assert isinstance(single, TransformerEmbedder)
    assert half.memory_bytes is not None
    assert single.memory_bytes is not None
    assert half.memory_bytes < 0.6 * single.memory_bytes
    vectors = embed(half, texts)
    assert cosines(vectors, embed(single, texts)).min() > 0.9999
    assert not np.array_equal(vectors, embed(single, texts))
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6


def test_a_model_that_overflows_in_half_precision_is_computed_as_it_is_stored(
    bert_folder: Callable[..., Path],
    saved: Callable[..., Path],
    texts: list[str],
    embed: Callable[..., Vectors],
    caplog: pytest.LogCaptureFixture,
) -> None:
    transformer = Transformer(str(bert_folder()))
    with torch.no_grad():
        transformer.model.embeddings.word_embeddings.weight.mul_(1e8)
    folder = saved(transformer, Pooling(32, "mean"))
    found = embed(load_dense(folder, half="float16"), texts)
    assert np.array_equal(found, embed(load_dense(folder), texts))
    assert "overflows in float16" in caplog.text


@pytest.mark.parametrize(
    ("device", "stored", "asked", "expected"),
    [
        ("cpu", "float32", None, None),
        ("cuda:0", "float32", None, "float16"),
        ("cuda:0", "bfloat16", None, None),
        ("cuda:0", "float32", "float32", None),
    ],
)
def test_weights_are_halved_for_cuda_unless_asked_for_or_stored_otherwise(
    device: str, stored: str, asked: DType | None, expected: str | None
) -> None:
    runtime = Runtime(Variant(None, asked), device=device)
    description = Description("m", 8, 100, dtype=stored)
    assert ModelSpec(description, "stand-in", runtime=runtime).half == expected
    assert ModelSpec(description, "stand-in").half is None
