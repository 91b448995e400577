"""Compiled models: the library's rows without its libraries, and artifacts that are never stale."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

from rowvec.errors import ModelError
from rowvec.models.backends.variant import Runtime
from rowvec.models.compiled import compiling
from rowvec.models.compiled.artifact import GRAPH, MANIFEST, Artifacts
from rowvec.models.embedder import Embedder, Model
from rowvec.models.family import Entry
from rowvec.models.loading import compiled, load
from rowvec.models.registry import family
from rowvec.models.sparse_vector import SparseEmbedder
from rowvec.models.spec import ModelSpec
from support.library import Encode, Vectors
from support.models import compiled_model
from support.tiny_models import save

Embed = Callable[..., Vectors]
Same = Callable[..., None]

# A process in which nothing that compiles can be imported.
LEAN = """
import json, sys
for name in ("torch", "transformers", "sentence_transformers", "onnx"):
    sys.modules[name] = None
from rowvec.models.loading import compiled, load
from rowvec.models.spec import ModelSpec
given = json.loads(sys.stdin.readline())
spec = ModelSpec.from_json(given["spec"])
model = load(spec, compiled(spec))
rows = model.forward(model.tokenize(given["texts"], ""))
print(json.dumps([row.tolist() for row in rows]))
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return Runtime(compiled=tmp_path / "compiled", threads=2)


def spec_of(folder: Path, runtime: Runtime, kind: str = "sentence-transformers") -> ModelSpec:
    description = family(kind).describe(Entry("tested", ("tested",), folder))
    return ModelSpec(description, kind, folder=folder, runtime=runtime)


def artifact_of(runtime: Runtime) -> Path:
    assert runtime.compiled is not None
    (manifest,) = runtime.compiled.glob(f"*/{MANIFEST}")
    return manifest.parent


def tiny(folder: Path, bert: Path, *after: torch.nn.Module) -> Path:
    return save(folder, Transformer(str(bert)), Pooling(32, "mean"), *after)


@pytest.mark.parametrize("mode", ["cls", "max", "mean", "mean_sqrt_len_tokens", "lasttoken"])
@pytest.mark.parametrize("kind", ["bert", "t5", "decoder"])
def test_pooling_and_what_follows_are_in_the_graph(
    *,
    kind: str,
    mode: str,
    bert_folder: Callable[..., Path],
    t5_folder: Path,
    decoder_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    runtime: Runtime,
    library_encode: Encode,
    embed: Embed,
    assert_same: Same,
) -> None:
    torch.manual_seed(3)
    if kind == "t5":
        transformer = t5_folder
    else:
        transformer = bert_folder() if kind == "bert" else decoder_folder(padding_side="left")
    folder = save(
        tmp_path / "model", Transformer(str(transformer)), Pooling(32, mode),
        Dense(32, 24), LayerNorm(24), Normalize(),
    )  # fmt: skip
    model = compiled_model(folder, runtime)
    assert isinstance(model, Embedder)
    assert model.backend == "onnx", model.reason
    assert_same(embed(model, texts), library_encode(folder, texts))


def test_a_prompt_that_is_not_pooled(
    *,
    t5_folder: Path,
    tmp_path: Path,
    texts: list[str],
    instruction: str,
    runtime: Runtime,
    embed: Embed,
    assert_same: Same,
) -> None:
    folder = save(tmp_path / "model", Transformer(str(t5_folder)), Pooling(32, "mean"))
    model = compiled_model(folder, runtime, "instructor")
    assert isinstance(model, Embedder)
    assert model.backend == "onnx", model.reason
    library = SentenceTransformer(str(folder), device="cpu")
    library.set_pooling_include_prompt(include_prompt=False)
    for prompt in ("", instruction):
        theirs = library.encode(texts, prompt=prompt or None)
        assert_same(embed(model, texts, prompt), theirs)


def test_a_cross_encoder(
    bert_folder: Callable[..., Path], texts: list[str], tmp_path: Path, runtime: Runtime
) -> None:
    CrossEncoder(str(bert_folder("BertForSequenceClassification")), device="cpu").save(
        str(tmp_path / "model")
    )
    model = compiled_model(tmp_path / "model", runtime, "cross-encoder")
    assert model.backend == "onnx", model.reason
    query = "where is the food stored"
    theirs = CrossEncoder(str(tmp_path / "model"), device="cpu").predict(
        [(query, text) for text in texts]
    )
    np.testing.assert_allclose(
        model.forward(model.tokenize(texts, query))[:, 0], theirs, rtol=1e-5, atol=1e-6
    )


def test_a_sparse_encoder(
    bert_folder: Callable[..., Path],
    texts: list[str],
    tmp_path: Path,
    runtime: Runtime,
    assert_same: Same,
) -> None:
    library = SparseEncoder(str(bert_folder("BertForMaskedLM")), device="cpu")
    library.save(str(tmp_path / "model"))
    model = compiled_model(tmp_path / "model", runtime, "sparse-encoder")
    assert isinstance(model, SparseEmbedder)
    assert model.backend == "onnx", model.reason
    ours = np.stack([v.to_dense() for v in model.forward(model.tokenize(texts, ""))])
    assert_same(ours, library.encode(texts, convert_to_sparse_tensor=False).numpy())


def test_without_the_libraries_that_made_it_it_gives_the_same(
    *,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    runtime: Runtime,
    library_encode: Encode,
    assert_same: Same,
) -> None:
    folder = tiny(tmp_path / "model", bert_folder())
    spec = spec_of(folder, runtime)
    # Made here by a process, as the engine has it made.
    assert compiled(spec) == artifact_of(runtime)
    given = json.dumps({"spec": asdict(spec), "texts": texts}, default=str)
    done = subprocess.run(
        [sys.executable, "-c", LEAN], input=given, capture_output=True, text=True, check=True
    )
    assert_same(np.asarray(json.loads(done.stdout), np.float32), library_encode(folder, texts))


@pytest.mark.parametrize("change", ["weights", "pooling", "tokenizer"])
def test_a_model_that_changed_is_compiled_anew(
    *,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    runtime: Runtime,
    embed: Embed,
    assert_same: Same,
    change: str,
) -> None:
    folder = tiny(tmp_path / "model", bert_folder())
    before = embed(compiled_model(folder, runtime), texts)
    if change == "weights":
        weights = load_file(folder / "model.safetensors")
        weights = {name: tensor * 1.5 for name, tensor in weights.items()}
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    elif change == "pooling":
        path = folder / "1_Pooling" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "pooling_mode": "cls"}))
    else:
        path = folder / "tokenizer.json"
        path.write_text(path.read_text().replace('"lowercase":true', '"lowercase":false').replace(
            '"lowercase": true', '"lowercase": false'
        ))  # fmt: skip
    after = embed(compiled_model(folder, runtime), texts)
    library = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    assert_same(after, library.encode(texts))
    assert not np.allclose(before, after)


def test_many_who_want_one_model_compile_it_once(
    bert_folder: Callable[..., Path], tmp_path: Path, runtime: Runtime
) -> None:
    spec = spec_of(tiny(tmp_path / "model", bert_folder()), runtime)
    made: list[Path] = []

    def make(spec: ModelSpec) -> Path:
        made.append(compiling.compile_model(spec))
        return made[-1]

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: compiled(spec, make), range(4)))
    assert found == set(made)
    assert len(made) == 1


def test_what_ends_in_the_middle_leaves_nothing(
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compiling, "fuse", interrupted)
    spec = spec_of(tiny(tmp_path / "model", bert_folder()), runtime)
    with pytest.raises(KeyboardInterrupt):
        compiled(spec, compiling.compile_model)
    assert runtime.compiled is not None
    assert [path.name for path in runtime.compiled.iterdir()] == [".lock"]
    monkeypatch.undo()
    assert load(spec, compiled(spec, compiling.compile_model)).backend == "onnx"


def test_a_disk_that_takes_nothing_is_one_sentence(
    bert_folder: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    spec = spec_of(tiny(tmp_path / "model", bert_folder()), Runtime(compiled=tmp_path / "file"))
    with pytest.raises(ModelError, match="cannot keep a compiled model in"):
        compiled(spec)


def test_what_cannot_be_loaded_is_the_same_sentence_from_the_other_process(
    bert_folder: Callable[..., Path], tmp_path: Path, runtime: Runtime
) -> None:
    folder = tiny(tmp_path / "model", bert_folder())
    spec = spec_of(folder, runtime)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"has no .*safetensors"):
        compiled(spec)


def test_what_is_left_to_torch_is_found_out_once(
    bert_folder: Callable[..., Path], tmp_path: Path, runtime: Runtime
) -> None:
    folder = save(
        tmp_path / "model", Transformer(str(bert_folder())),
        Pooling(32, "weightedmean", include_prompt=False),
    )  # fmt: skip
    model = compiled_model(folder, runtime)
    assert model.backend == "torch"
    assert model.reason is not None
    assert model.reason.startswith("it weighs tokens by their place")
    spec = spec_of(folder, runtime)
    assert compiled(spec, refuse_to_make) == artifact_of(runtime)


def refuse_to_make(_spec: ModelSpec) -> Path:
    raise AssertionError


def test_another_onnxruntime_proves_the_graph_again(
    *,
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    runtime: Runtime,
    embed: Embed,
    assert_same: Same,
) -> None:
    folder = tiny(tmp_path / "model", bert_folder())
    spec = spec_of(folder, runtime)
    before = embed(compiled_model(folder, runtime), texts)
    artifact = artifact_of(runtime)
    manifest: dict[str, Any] = json.loads((artifact / MANIFEST).read_text())
    manifest["made_with"]["onnxruntime"] = "1.0"
    (artifact / MANIFEST).write_text(json.dumps(manifest))
    assert_same(embed(load(spec, artifact), texts), before)

    other = tiny(tmp_path / "other", bert_folder("BertForMaskedLM"), Normalize())
    elsewhere = Runtime(compiled=tmp_path / "elsewhere", threads=2)
    compiled_model(other, elsewhere)
    shutil.copy(artifact_of(elsewhere) / GRAPH, artifact / GRAPH)
    for packed in artifact.glob("packed-*"):
        shutil.rmtree(packed)
    with pytest.raises(ModelError, match="the compiled graph computes something else here"):
        load(spec, artifact)


def test_a_pinned_hash_holds_for_the_artifact_too(
    bert_folder: Callable[..., Path], tmp_path: Path, runtime: Runtime
) -> None:
    folder = tiny(tmp_path / "model", bert_folder())
    compiled_model(folder, runtime)
    spec = spec_of(folder, runtime)
    pinning = ModelSpec(**{**vars(spec), "sha256": "0" * 64})
    with pytest.raises(ModelError, match="pins 0000"):
        load(pinning, compiled(pinning))
    assert Artifacts(tmp_path / "compiled").find(pinning) == artifact_of(runtime)


def test_a_batch_and_a_text_alone_agree(
    bert_folder: Callable[..., Path], tmp_path: Path, texts: list[str], runtime: Runtime
) -> None:
    model: Model[Any] = compiled_model(tiny(tmp_path / "model", bert_folder()), runtime)
    work = model.tokenize(texts, "")
    together = model.forward_in_stream(work)
    for row, each in zip(together, work, strict=True):
        np.testing.assert_allclose(row, model.forward([each])[0], atol=1e-5)
