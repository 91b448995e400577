"""Models with a way of their own for queries: equal to sentence-transformers' own, each route."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer, SparseEncoder
from sentence_transformers.base.modules import Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
from transformers import AutoTokenizer

from rowvec.errors import ModelError
from rowvec.models.backends.variant import AUTOMATIC, Runtime, Variant
from rowvec.models.description import Description
from rowvec.models.encoding import resolve
from rowvec.models.families.sentence_transformers import SentenceTransformers
from rowvec.models.families.sentence_transformers.dense import load_dense
from rowvec.models.families.sparse_encoder import SparseEncoder as SparseFamily
from rowvec.models.families.sparse_encoder.encoder import SparseEncoderEmbedder
from rowvec.models.family import Entry
from rowvec.models.folder import weights

Vectors = np.ndarray

# How a request asks, and what the library calls it.
SIDES = [({}, "encode"), ({"input_type": "query"}, "encode_query"),
         ({"input_type": "document"}, "encode_document")]  # fmt: skip


def static_queries(bert_folder: Callable[..., Path]) -> list[Any]:
    torch.manual_seed(11)
    tokenizer: Any = AutoTokenizer.from_pretrained(bert_folder())
    return [StaticEmbedding(tokenizer, embedding_dim=32)]


def attending(bert_folder: Callable[..., Path], mode: str) -> list[Any]:
    return [Transformer(str(bert_folder())), Pooling(32, mode)]


@pytest.fixture(params=["static queries", "two transformers", "queries unless said", "mapped"])
def folder(
    request: pytest.FixtureRequest, bert_folder: Callable[..., Path], tmp_path: Path
) -> Path:
    """A model of each form that the library's documentation has."""
    documents = attending(bert_folder, "mean")
    match request.param:
        case "static queries":
            router = Router.for_query_document(static_queries(bert_folder), documents)
        case "two transformers":
            router = Router.for_query_document(attending(bert_folder, "cls"), documents)
        case "queries unless said":
            router = Router.for_query_document(
                static_queries(bert_folder), documents, default_route="query"
            )
        case _:
            router = Router(
                {"fast": static_queries(bert_folder), "slow": documents},
                route_mappings={("query", "text"): "fast", (None, None): "slow"},
            )
    model = SentenceTransformer(
        modules=[router, Normalize()], prompts={"query": "query: "}, device="cpu"
    )
    model.save(str(tmp_path))
    return tmp_path


def described(folder: Path) -> Description:
    return SentenceTransformers.describe(Entry("m", ("m",), folder))


def test_every_side_takes_its_route(
    folder: Path,
    texts: list[str],
    embed: Callable[..., Vectors],
    assert_same: Callable[..., None],
) -> None:
    library = SentenceTransformer(str(folder), device="cpu")
    found = {}
    for kwargs, method in SIDES:
        asked = resolve(kwargs, described(folder))
        ours = load_dense(folder, runtime=Runtime(asked.variant))
        found[method] = embed(ours, texts, asked.prompt)
        assert_same(found[method], getattr(library, method)(texts))
        assert ours.dimensions == described(folder).dimensions == 32
    assert not np.allclose(found["encode_query"], found["encode_document"], atol=1e-3)


def test_what_goes_the_usual_way_is_the_usual_model(
    bert_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """Two ways in memory, not three; and each has answers of its own in the cache."""
    router = Router.for_query_document(static_queries(bert_folder), attending(bert_folder, "mean"))
    SentenceTransformer(modules=[router], device="cpu").save(str(tmp_path))
    model = described(tmp_path)
    bare, query, document = (resolve(kwargs, model) for kwargs, _ in SIDES)
    assert bare == document
    assert bare.variant == AUTOMATIC
    assert query.variant == Variant(route="query")
    assert model.reads == ("text",)


def test_an_inference_free_query_and_a_splade_document(
    bert_folder: Callable[..., Path],
    tmp_path: Path,
    texts: list[str],
    assert_same: Callable[..., None],
) -> None:
    transformer = Transformer(str(bert_folder("BertForMaskedLM")), transformer_task="fill-mask")
    torch.manual_seed(12)
    words = len(transformer.tokenizer.get_vocab())
    idf = SparseStaticEmbedding(transformer.tokenizer, weight=torch.rand(words), frozen=True)
    router = Router.for_query_document([idf], [transformer, SpladePooling("max")])
    SparseEncoder(modules=[router], device="cpu").save(str(tmp_path))
    library = SparseEncoder(str(tmp_path), device="cpu")
    description = SparseFamily.describe(Entry("m", ("m",), tmp_path))
    found = {}
    for kwargs, method in SIDES:
        asked = resolve(kwargs, description)
        ours = SparseEncoderEmbedder(tmp_path, route=asked.variant.route)
        rows = ours.forward(ours.tokenize(texts, asked.prompt))
        found[method] = np.stack([row.to_dense() for row in rows])
        theirs = getattr(library, method)(texts, convert_to_sparse_tensor=False).numpy()
        assert_same(found[method], theirs)
        assert description.dimensions == ours.dimensions == words
    assert not np.allclose(found["encode_query"], found["encode_document"])


def saved(bert_folder: Callable[..., Path], folder: Path) -> Path:
    router = Router.for_query_document(static_queries(bert_folder), attending(bert_folder, "mean"))
    SentenceTransformer(modules=[router], device="cpu").save(str(folder))
    return folder


def test_the_pin_is_of_all_routes(bert_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = saved(bert_folder, tmp_path)
    assert {file.parent.name for file in weights(folder)} == {
        "query_0_StaticEmbedding", "document_0_Transformer",
    }  # fmt: skip


def test_a_route_is_checked_as_a_folder_is(
    bert_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = saved(bert_folder, tmp_path)
    (config_file,) = folder.rglob("router_config.json")
    config = json.loads(config_file.read_text())

    def written(**changes: Any) -> Path:
        config_file.write_text(json.dumps({**config, **changes}))
        return folder

    with pytest.raises(ModelError, match="names code of its own"):
        load_dense(written(types={**config["types"], "query_0_StaticEmbedding": "evil.Module"}))
    with pytest.raises(ModelError, match="has no route for a document"):
        described(written(structure={"query": config["structure"]["query"]},
                          parameters={"default_route": "query"}))  # fmt: skip
    with pytest.raises(ModelError, match="does not say which modules its routes have"):
        described(written(structure={"query": ["../../etc"], "document": ["../../etc"]},
                          types={"../../etc": "sentence_transformers.models.Pooling"}))  # fmt: skip
    written()
    (pinned,) = (f for f in weights(folder) if f.parent.name == "query_0_StaticEmbedding")
    torch.save({}, pinned.with_name("pytorch_model.bin"))
    pinned.unlink()
    with pytest.raises(ModelError, match="no safetensors file for"):
        load_dense(folder)
