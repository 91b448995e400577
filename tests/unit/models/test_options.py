"""kwargs of chunk and rerank: what is meant, or one sentence that says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from rowvec.chunking.cutting import Chunking
from rowvec.chunking.options import resolve_chunking
from rowvec.errors import InvalidRequest
from rowvec.models.description import NO_LIMIT, Description
from rowvec.models.rank_options import resolve_ranking

MODEL = Description("minilm", dimensions=384, max_tokens=256)
ENDLESS = Description("glove", dimensions=50, max_tokens=NO_LIMIT)


@pytest.mark.parametrize(
    ("kwargs", "chunking"),
    [
        ({}, Chunking(256, 0, "paragraph")),
        ({"max_tokens": None, "overlap": None, "border": None}, Chunking(256, 0, "paragraph")),
        ({"max_tokens": 64, "overlap": 32, "border": "tokens"}, Chunking(64, 32, "tokens")),
    ],
)
def test_chunking(kwargs: dict[str, Any], chunking: Chunking) -> None:
    assert resolve_chunking(kwargs, MODEL) == (chunking, {})


def test_what_the_encoding_takes_is_left_for_it() -> None:
    chunking, rest = resolve_chunking({"max_tokens": 9, "input_type": "document"}, MODEL)
    assert chunking.max_tokens == 9
    assert rest == {"input_type": "document"}


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"max_tokens": 257}, "max_tokens 257 is more than the 256 that minilm reads"),
        ({"max_tokens": 0}, "max_tokens must be a whole number, at least 1"),
        ({"max_tokens": "64"}, "max_tokens must be a whole number"),
        ({"overlap": True}, "overlap must be a whole number, at least 0"),
        ({"max_tokens": 20, "overlap": 11}, "overlap 11 is more than half of max_tokens 20"),
        ({"border": "page"}, "border must be one of paragraph, sentence, tokens"),
        ({"border": ["tokens"]}, "border must be one of"),
        ({"chunk_size": 9, "size": 1}, "unknown kwargs: 'chunk_size', 'size'"),
    ],
)
def test_chunking_that_is_wrong(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        resolve_chunking(kwargs, MODEL)


def test_a_model_without_limit_wants_one() -> None:
    with pytest.raises(InvalidRequest, match="glove reads texts of any length: say max_tokens"):
        resolve_chunking({}, ENDLESS)
    assert resolve_chunking({"max_tokens": 5}, ENDLESS)[0] == Chunking(5)


def test_ranking() -> None:
    assert resolve_ranking({}) == (None, {})
    kwargs = {"top_k": 3, "return_documents": True, "batch_size": 8}
    assert resolve_ranking(kwargs) == (3, {"batch_size": 8})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"top_k": 0}, "top_k must be a whole number, at least 1"),
        ({"top_k": True}, "top_k must be"),
        ({"return_documents": "yes"}, "return_documents must be true or false"),
        ({"prompt": "query: "}, "unknown kwargs of rerank: 'prompt'"),
    ],
)
def test_ranking_that_is_wrong(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        resolve_ranking(kwargs)
