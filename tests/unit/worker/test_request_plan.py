"""What a request asks of the engine: a model of the right kind, its kwargs; and its answer."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from rowvec.chunking.cutting import Chunking
from rowvec.errors import InvalidRequest, InvalidText, NotAllowed, RequestTooLarge
from rowvec.models.description import Description
from rowvec.models.listing import Listing
from rowvec.models.sparse_vector import SparseVector
from rowvec.models.spec import ModelSpec
from rowvec.protocol.request import Request, parse
from rowvec.worker.answers import chunk_objects, dense, ranked, sparse_texts, split_objects
from rowvec.worker.cache import Cached, KeyMaker
from rowvec.worker.request_plan import Planner, plan

DENSE = Description("dense", dimensions=8, max_tokens=64, prompts={"query": "q: "})
SPARSE = Description("sparse", dimensions=9, max_tokens=64, gives="sparse vector")
LISTING = Listing(
    [
        ModelSpec(description, kind="any")
        for description in (
            DENSE,
            Description("clip", dimensions=8, max_tokens=64, reads=("text", "image")),
            Description("eyes", dimensions=8, max_tokens=64, reads=("image",)),
            Description("cross", dimensions=1, max_tokens=64, gives="score"),
            SPARSE,
        )
    ]
)


def ask(op: str, **fields: Any) -> Request:
    query = json.dumps({"v": 1, "op": op, "model": "dense", "inputs": ["x"], **fields}).encode()
    return parse(query, max_input_bytes=100, max_image_bytes=1000)


@pytest.mark.parametrize(
    "fields",
    [
        {"op": "embed"},
        {"op": "embed", "kwargs": {"input_type": "query"}},
        {"op": "count_tokens"},
        {"op": "rerank", "model": "cross", "query": "who?"},
        {"op": "rerank", "model": "cross", "query": ""},
        {"op": "chunk", "kwargs": {"max_tokens": 9}},
    ],
)
def test_a_plan_that_is_remembered_is_the_plan(fields: dict[str, Any]) -> None:
    """Asked for again, and after one of another query or other kwargs."""
    planner = Planner(LISTING, "cpu")
    wanted, other = ask(**fields), ask(**fields | {"inputs": ["y"]})
    assert planner.plan(wanted) == planner.plan(other) == plan(wanted, LISTING)
    keys = planner.plan(wanted).keys
    assert keys.key("x") == KeyMaker(wanted.op, fields.get("model", "dense"), None,
                                     plan(wanted, LISTING).encoding).key("x")  # fmt: skip


def test_a_remembered_plan_is_for_roles_that_may_have_it() -> None:
    planner = Planner(Listing([ModelSpec(DENSE, kind="any", roles=("analyst",))]), "cpu")
    for _ in range(2):
        assert planner.plan(ask("embed", roles=["analyst"])).spec.name == "dense"
        with pytest.raises(NotAllowed):
            planner.plan(ask("embed", roles=["guest"]))


def test_a_client_with_many_roles_is_not_remembered_for_ever() -> None:
    planner = Planner(LISTING, "cpu")
    for number in range(3000):
        planner.plan(ask("embed", roles=[f"role {number}"]))
    assert len(planner._bare) <= 1000


def test_a_chunk_request() -> None:
    planned = plan(ask("chunk", kwargs={"max_tokens": 9, "input_type": "query"}), LISTING)
    assert planned.chunking == Chunking(9)
    assert planned.encoding.prompt == "q: "


def test_a_rerank_request_has_its_query_where_others_have_their_prompt() -> None:
    planned = plan(ask("rerank", model="cross", query="who?", kwargs={"top_k": 2}), LISTING)
    assert planned.encoding.prompt == "who?"
    assert planned.top_k == 2


@pytest.mark.parametrize(
    ("op", "model", "message"),
    [
        ("embed", "cross", "cross gives a score, not a vector"),
        ("embed", "sparse", "sparse gives a sparse vector, not a vector"),
        ("embed_sparse", "dense", "dense gives a vector, not a sparse vector"),
        ("rerank", "dense", "dense gives a vector, not a score"),
        ("embed", "eyes", "eyes reads images, not texts"),
        ("chunk", "eyes", "eyes reads images, not texts"),
        ("embed_image", "dense", "dense reads texts, not images"),
    ],
)
def test_a_model_of_another_kind(op: str, model: str, message: str) -> None:
    query = {"query": "q"} if op == "rerank" else {}
    with pytest.raises(InvalidRequest, match=message):
        plan(ask(op, model=model, **query), LISTING)


def test_an_unlisted_model() -> None:
    with pytest.raises(NotAllowed):
        plan(ask("chunk", model="/etc/passwd"), LISTING)


def test_an_image_may_be_larger_than_a_text() -> None:
    content = "a" * 1000
    assert ask("embed_image", inputs=[content]).inputs == (content,)
    with pytest.raises(RequestTooLarge, match="input 1: the input has 1401 bytes") as caught:
        ask("embed_image", inputs=["a" * 1401])
    assert "max_image_bytes" in str(caught.value.hint)
    with pytest.raises(RequestTooLarge) as caught:
        ask("chunk", inputs=[content])
    assert "max_input_bytes" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"op": "rerank"}, InvalidRequest, "query is not a text"),
        ({"op": "rerank", "query": 3}, InvalidRequest, "query is not a text"),
        ({"op": "rerank", "query": "a\0b"}, InvalidText, "query contains U\\+0000"),
        ({"op": "rerank", "query": "q" * 101}, RequestTooLarge, "query has 101 bytes"),
        ({"op": "embed", "query": "q"}, InvalidRequest, "query goes with rerank only"),
    ],
)
def test_a_query_that_is_wrong(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ask(**fields)


def entry(*numbers: float) -> Cached:
    return Cached(np.array(numbers, dtype="<f4").tobytes(), 3)


def test_scores_come_best_first_and_equal_ones_in_order() -> None:
    entries = [entry(0.5), None, entry(2), entry(0.5), entry(-1)]
    assert [row["ordinality"] for row in ranked(entries, None)] == [3, 1, 4, 5]
    assert ranked(entries, 1) == [{"ordinality": 3, "score": 2.0}]


def test_vectors_and_tokens() -> None:
    vectors, tokens = dense([entry(1, 2), None])
    assert vectors[0] is not None
    assert (vectors[0].tolist(), vectors[1], tokens) == ([1, 2], None, [3, None])


def test_sparse_vectors_as_text() -> None:
    vector = SparseVector.from_dense(np.array([0, 0.5, 0, 0, 0, 0, 0, 0, 2], dtype=np.float32))
    assert sparse_texts([Cached(vector.to_bytes(), 1), None], SPARSE) == ["{2:0.5,9:2.0}/9", None]


def test_chunks_are_numbered_within_their_input() -> None:
    spans = np.array([(0, 2, 1), (3, 5, 1)], np.int32)
    (first, second) = chunk_objects(1, "ab cd", spans, 0)
    assert first == {
        "input": 2, "ordinality": 1, "chunk": "ab", "start_char": 0, "end_char": 2, "tokens": 1
    }  # fmt: skip
    assert (second["ordinality"], second["chunk"]) == (2, "cd")
    assert list(chunk_objects(1, "ab cd", spans[1:], 1)) == [second]
    assert list(split_objects(0, ["x"])) == [{"input": 1, "chunk_index": 1, "chunk": "x"}]
