"""Every family behind a running worker: the library's vectors over the wire, and clear refusals."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Router, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding
from transformers import AutoTokenizer

from rowvec.models.families.stand_in import derived_vector
from support.endpoints import Endpoint, derived_vectors
from support.models import RealModel
from support.postgres import Database
from support.tiny_models import save
from support.workers import StartWorker, point_at

TEXT = "where is the food stored in a yam plant"
INSTRUCTION = "Represent: "
GLOVE_SHA256 = "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15"

LIST = """
[[model]]
name = "sentence-transformers/gtr-t5-tiny"
kind = "sentence-transformers"
path = "dense"
sha256 = "{sha256}"

[[model]]
name = "hkunlp/instructor-tiny"
kind = "instructor"
path = "dense"

[[model]]
name = "static"
kind = "sentence-transformers"
path = "static"

[[model]]
name = "intfloat/e5-small"
aliases = ["e5-small"]
kind = "sentence-transformers"
path = "bert"

[[model]]
name = "router"
kind = "sentence-transformers"
path = "router"

[[model]]
name = "glove"
kind = "word-vectors"
path = "words"

[[model]]
name = "splade"
kind = "sparse-encoder"
path = "{splade}"

[[model]]
name = "reranker"
kind = "cross-encoder"
path = "{reranker}"

[[model]]
name = "remote"
kind = "remote"
url = "{url}"
api_key_file = "key"
dimensions = 8
patience_seconds = 1

[[model]]
name = "changed"
kind = "sentence-transformers"
path = "bert"
sha256 = "{zeros}"
"""


@pytest.fixture(scope="module")
def home(folder: Path, t5_folder: Path, bert_folder: Callable[..., Path]) -> Path:
    """The worker's folder, with the models that its list names by relative paths."""
    home = folder / "families"
    home.mkdir()
    torch.manual_seed(11)
    save(
        home / "dense", Transformer(str(t5_folder)), Pooling(32, "mean"),
        Dense(32, 24, bias=False, activation_function=torch.nn.Identity()), Normalize(),
    )  # fmt: skip
    bert = bert_folder()
    save(home / "bert", Transformer(str(bert)), Pooling(32, "mean"), Normalize())
    tokenizer: Any = AutoTokenizer.from_pretrained(bert)
    save(home / "static", StaticEmbedding(tokenizer, embedding_dim=16))
    # It changes the tokenizer that it is given.
    tokenizer = AutoTokenizer.from_pretrained(bert)
    queries = StaticEmbedding(tokenizer, embedding_dim=32)
    documents = [Transformer(str(bert)), Pooling(32, "mean")]
    save(home / "router", Router.for_query_document([queries], documents))
    (home / "words").mkdir()
    (home / "words" / "glove.2d.txt").write_text("food 1 0\nplant 0 1\n")
    (home / "key").write_text("a key\n")
    return home


@pytest.fixture(scope="module")
def connection(
    home: Path,
    start_module_worker: StartWorker,
    bert_folder: Callable[..., Path],
    endpoint: Endpoint,
) -> Iterator[psycopg.Connection]:
    weights = home / "dense" / "model.safetensors"
    worker = start_module_worker(
        LIST.format(
            splade=bert_folder("BertForMaskedLM"),
            reranker=bert_folder("BertForSequenceClassification"),
            sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
            zeros="0" * 64,
            url=endpoint.url,
        ),
        socket_folder=home,
    )
    with psycopg.connect(worker.conninfo, autocommit=True) as connection:
        yield connection


def ask(connection: psycopg.Connection, op: str, **fields: Any) -> list[Any]:
    cursor = connection.cursor()
    cursor.execute(json.dumps({"v": 1, "op": op, **fields}))
    assert cursor.nextset()
    return [row[0] for row in cursor.fetchall()]


def embed(connection: psycopg.Connection, model: str, text: str, **kwargs: Any) -> np.ndarray:
    (vector,) = ask(connection, "embed", model=model, inputs=[text], kwargs=kwargs)
    return np.array(json.loads(vector), dtype=np.float32)


def test_models_are_described_before_any_is_loaded(connection: psycopg.Connection) -> None:
    rows = {row["name"]: row for row in map(json.loads, ask(connection, "models"))}
    assert {name: row["dimensions"] for name, row in rows.items()} == {
        "sentence-transformers/gtr-t5-tiny": 24, "hkunlp/instructor-tiny": 24, "static": 16,
        "intfloat/e5-small": 32, "glove": 2, "splade": 200, "reranker": 1, "remote": 8,
        "changed": 32, "router": 32,
    }  # fmt: skip
    assert rows["intfloat/e5-small"]["query_prompt"] == "query: "
    assert rows["intfloat/e5-small"]["document_prompt"] == "passage: "
    assert rows["splade"]["kind"] == "sparse-encoder"


@pytest.mark.parametrize(
    ("model", "saved"),
    [
        ("sentence-transformers/gtr-t5-tiny", "dense"),
        ("static", "static"),
        ("e5-small", "bert"),
    ],
)
def test_a_bare_text_is_what_encode_makes_of_it(
    connection: psycopg.Connection, home: Path, model: str, saved: str
) -> None:
    expected = SentenceTransformer(str(home / saved), device="cpu").encode([TEXT])[0]
    np.testing.assert_allclose(embed(connection, model, TEXT), expected, atol=1e-6)


def test_an_input_type_adds_the_prefix_of_the_family(connection: psycopg.Connection) -> None:
    for side, prefix in (("query", "query: "), ("document", "passage: ")):
        by_type = embed(connection, "e5-small", TEXT, input_type=side)
        by_hand = embed(connection, "e5-small", prefix + TEXT)
        np.testing.assert_allclose(by_type, by_hand, atol=1e-6)
        assert not np.allclose(by_type, embed(connection, "e5-small", TEXT), atol=1e-3)


def test_an_input_type_chooses_the_route(connection: psycopg.Connection, home: Path) -> None:
    library = SentenceTransformer(str(home / "router"), device="cpu")
    ways: list[tuple[dict[str, Any], str]] = [
        ({"input_type": "query"}, "encode_query"),
        ({}, "encode"),
        ({"input_type": "document"}, "encode_document"),
        ({"input_type": "query"}, "encode_query"),
    ]
    for kwargs, method in ways:
        expected = getattr(library, method)([TEXT])[0]
        np.testing.assert_allclose(embed(connection, "router", TEXT, **kwargs), expected, atol=1e-5)
    with pytest.raises(psycopg.Error, match="router is of a kind that has no choice of backend"):
        embed(connection, "router", TEXT, backend="onnx")


def test_an_instruction_is_left_out_of_the_pooling(
    connection: psycopg.Connection, home: Path
) -> None:
    library = SentenceTransformer(str(home / "dense"), device="cpu")
    library.set_pooling_include_prompt(include_prompt=False)
    expected = library.encode([TEXT], prompt=INSTRUCTION)[0]
    vector = embed(connection, "hkunlp/instructor-tiny", TEXT, instruction=INSTRUCTION)
    np.testing.assert_allclose(vector, expected, atol=1e-6)


def test_what_changes_the_vector_is_never_answered_from_the_cache(
    connection: psycopg.Connection,
) -> None:
    ways: list[dict[str, Any]] = [
        {}, {"instruction": INSTRUCTION}, {"instruction": "Other: "}, {"truncate_dim": 8}
    ]  # fmt: skip
    name = "hkunlp/instructor-tiny"
    first = [embed(connection, name, "a vector", **kwargs) for kwargs in ways]
    again = [embed(connection, name, "a vector", **kwargs) for kwargs in ways]
    for i, vector in enumerate(first):
        np.testing.assert_array_equal(vector, again[i])
        for other in first[i + 1 :]:
            assert vector.shape != other.shape or not np.allclose(vector, other, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(first[-1]), 1, rtol=1e-5)


def test_words_are_looked_up(connection: psycopg.Connection) -> None:
    assert embed(connection, "glove", TEXT).tolist() == [0.5, 0.5]


@pytest.mark.models
def test_germany_and_paris_without_france_is_berlin_in_sql(
    real_model: RealModel, start_worker: StartWorker, migrated_database: Database
) -> None:
    entry = f"""
[[model]]
name = "glove"
kind = "word-vectors"
path = "{real_model("glove")}"
sha256 = "{GLOVE_SHA256}"
"""
    point_at(migrated_database, start_worker(entry))
    with migrated_database.connect() as connection:
        cursor = connection.execute(
            """
            SELECT word
            FROM unnest(ARRAY['berlin', 'munich', 'vienna', 'germany', 'paris', 'london', 'dog'])
                AS word
            ORDER BY rowvec.embed('glove', word) <=> (
                SELECT rowvec.embed('glove', 'germany') + rowvec.embed('glove', 'paris')
                    - rowvec.embed('glove', 'france'))
            """
        )
        assert cursor.fetchone() == ("berlin",)


def test_a_remote_model_is_asked_with_its_key(
    connection: psycopg.Connection, endpoint: Endpoint
) -> None:
    vector = embed(connection, "remote", "one", prompt="query: ")
    np.testing.assert_allclose(vector, derived_vector("query: one", 8), atol=1e-7)
    assert endpoint.keys[-1] == "Bearer a key"
    assert endpoint.asked[-1]["model"] == "remote"


def test_local_models_do_not_wait_for_a_remote_one(
    connection: psycopg.Connection, endpoint: Endpoint
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold(body: dict[str, Any]) -> Any:
        asked.set()
        answer.wait(60)
        return {"data": [{"index": 0, "embedding": [1.0] * 8} for _ in body["input"]]}

    endpoint.answer = hold
    try:
        with psycopg.connect(
            connection.info.dsn, password="a password of the tests", autocommit=True
        ) as other:
            waiting = threading.Thread(target=embed, args=(other, "remote", "held"))
            waiting.start()
            assert asked.wait(60)
            assert embed(connection, "static", "not held").shape == (16,)
            answer.set()
            waiting.join()
    finally:
        answer.set()
        endpoint.answer = derived_vectors


def test_an_endpoint_that_fails_fails_the_request_once(
    connection: psycopg.Connection, endpoint: Endpoint
) -> None:
    endpoint.failures = [(500, {}, b"")] * 50
    before = len(endpoint.asked)
    try:
        with pytest.raises(psycopg.Error, match=r"the endpoint failed \(HTTP 500\)") as raised:
            ask(connection, "embed", model="remote", inputs=["a", "b", "c", "d"])
    finally:
        endpoint.failures = []
    assert raised.value.sqlstate == "58000"
    assert len(endpoint.asked) - before == 2, "tried twice within its patience, halved never"


@pytest.mark.parametrize(
    ("model", "kwargs", "sqlstate", "message"),
    [
        ("splade", {}, "22023", "splade gives a sparse vector, not a vector"),
        ("reranker", {}, "22023", "reranker gives a score, not a vector"),
        ("static", {"instruction": "x"}, "0A000", "static takes no instruction"),
        ("static", {"truncate_dim": 17}, "22023", "truncate_dim 17 is more than the 16"),
        ("static", {"device": "cuda"}, "0A000", "the worker has no device 'cuda'"),
        (
            "hkunlp/instructor-tiny", {"instruction": "x", "input_type": "query"}, "22023",
            "input_type and instruction exclude each other",
        ),
        ("changed", {}, "F0000", "the list of models pins 0000"),
        ("../../etc/passwd", {}, "42501", "the worker's list of models has no"),
        ("https://example.com/model", {}, "42501", "the worker's list of models has no"),
    ],
)  # fmt: skip
def test_a_bad_call_is_one_sentence(
    connection: psycopg.Connection, model: str, kwargs: dict[str, Any], sqlstate: str, message: str
) -> None:
    with pytest.raises(psycopg.Error) as raised:
        ask(connection, "embed", model=model, inputs=["secret text"], kwargs=kwargs)
    assert raised.value.sqlstate == sqlstate
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)
