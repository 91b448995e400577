"""Bodies of reranking: what they become, what is refused, what is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rowvec.errors import InvalidRequest, RequestTooLarge, RowvecError
from rowvec.protocol.large_request import Body
from rowvec.protocol.openai import Terms
from rowvec.protocol.reply import Form
from rowvec.protocol.request import Request
from rowvec.protocol.rerank import rerank_request

TERMS = Terms(deadline_ms=1000)
SCORES = [{"ordinality": 2, "score": 0.75}, {"ordinality": 1, "score": -1.5}]


def parse(**body: Any) -> tuple[Request, Form]:
    arrived = Body("documents", max_input_bytes=100)
    arrived.feed(json.dumps(body).encode())
    return rerank_request(arrived, TERMS, max_input_bytes=100)


def test_documents_are_inputs_and_top_n_is_top_k() -> None:
    request, _ = parse(model="m", query="q", documents=["a", {"text": "b"}], top_n=1)
    assert request == Request(
        "rerank", "m", ("a", "b"), {"top_k": 1}, 1000, "interactive", "text", "q"
    )


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"query": "q"}, InvalidRequest, "documents must be a list"),
        ({"query": "q", "documents": []}, InvalidRequest, "at least one"),
        (
            {"query": "q", "documents": ["a", {"title": "b"}]},
            InvalidRequest,
            "input 2: ",
        ),
        ({"query": "q", "documents": ["a", 3]}, InvalidRequest, "input 2: the input is not a text"),
        (
            {"query": "q", "documents": ["a" * 101]},
            RequestTooLarge,
            "input 1: .* has 101 bytes",
        ),
        ({"documents": ["a"]}, InvalidRequest, "query is not a text"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, InvalidRequest, "top_n must be"),
        ({"query": "q", "documents": ["a"], "return_documents": 1}, InvalidRequest, "true or"),
        ({"query": "q", "documents": ["a"], "stream": True}, InvalidRequest, "'stream'"),
        (
            {"query": "q", "documents": ["a"], "top_n": 1, "kwargs": {"top_k": 1}},
            InvalidRequest,
            "give one of them",
        ),
    ],
)
def test_what_is_refused(body: Any, kind: type[RowvecError], words: str) -> None:
    with pytest.raises(kind, match=words):
        parse(model="m", **body)


def test_an_answer_counts_from_zero_and_keeps_the_order() -> None:
    _, form = parse(model="m", query="q", documents=["a", "b"])
    assert json.loads(b"".join(form.scores(SCORES, 7))) == {
        "object": "list",
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
        "results": [
            {"index": 1, "relevance_score": 0.75},
            {"index": 0, "relevance_score": -1.5},
        ],
    }


def test_documents_come_back_where_they_are_asked_for() -> None:
    _, form = parse(model="m", query="q", documents=["a", "b"], return_documents=True)
    results = json.loads(b"".join(form.scores(SCORES, 7)))["results"]
    assert [result["document"] for result in results] == [{"text": "b"}, {"text": "a"}]
