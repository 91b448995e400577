"""OpenAI's bodies: what they become, what is refused and with which words, what is answered."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from rowvec.errors import (
    InvalidRequest,
    InvalidText,
    NotARequest,
    RequestTooLarge,
    RowvecError,
)
from rowvec.protocol.large_request import Body
from rowvec.protocol.openai import Answers, Terms, embeddings_request
from rowvec.protocol.request import Request

TERMS = Terms(deadline_ms=1000)


def parse(body: Any, terms: Terms = TERMS) -> Request:
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    arrived = Body("input", max_input_bytes=100)
    arrived.feed(encoded)
    return embeddings_request(arrived, terms, max_input_bytes=100)


def test_a_text_is_a_list_of_one() -> None:
    assert parse({"model": "m", "input": "one"}) == Request(
        "embed", "m", ("one",), {}, 1000, "interactive", "text"
    )


def test_everything_that_openai_has() -> None:
    request = parse(
        {
            "model": "m",
            "input": ["one", ""],
            "encoding_format": "base64",
            "dimensions": 8,
            "user": "someone",
        },
        Terms(5, "bulk"),
    )
    assert request == Request("embed", "m", ("one", ""), {"truncate_dim": 8}, 5, "bulk", "base64")


def test_kwargs_are_those_of_sql() -> None:
    request = parse(
        {"model": "m", "input": "x", "kwargs": {"input_type": "query"}, "dimensions": 4}
    )
    assert request.kwargs == {"input_type": "query", "truncate_dim": 4}


def test_a_timeout_in_kwargs_outdoes_the_header() -> None:
    assert parse({"model": "m", "input": "x", "kwargs": {"timeout_ms": 7}}).deadline_ms == 7


def test_null_counts_as_not_given() -> None:
    body = {"model": "m", "input": "x", "dimensions": None, "encoding_format": None, "user": None}
    assert parse(body) == parse({"model": "m", "input": "x"})


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", NotARequest, "not a JSON object"),
        (b"[1]", NotARequest, "not a JSON object"),
        (b'{"model":', NotARequest, "not valid JSON"),
        (b'{"model":"\xff"}', InvalidText, "not valid UTF-8"),
        (b'{"model":"m","input":"\\ud800"}', InvalidText, "surrogate"),
        ({"model": "m"}, InvalidRequest, "at least one text"),
        ({"model": "m", "input": []}, InvalidRequest, "at least one text"),
        ({"model": "m", "input": {}}, InvalidRequest, "at least one text"),
        ({"model": "m", "input": ["a", None]}, InvalidRequest, "input 2: the input is not a text"),
        ({"model": "m", "input": ["a", 3]}, InvalidRequest, "input 2: the input is not a text"),
        ({"model": "m", "input": [1, 2]}, InvalidRequest, "send texts"),
        ({"model": "m", "input": [[1, 2], [3]]}, InvalidRequest, "send texts"),
        (
            {"model": "m", "input": ["a", "b" * 101]},
            RequestTooLarge,
            "input 2: .* has 101 bytes",
        ),
        ({"model": "m", "input": "a\0b"}, InvalidText, "U\\+0000"),
        ({"input": "a"}, InvalidRequest, "model must be the name"),
        ({"model": 3, "input": "a"}, InvalidRequest, "model must be the name"),
        ({"model": "m", "input": "a", "encoding_format": "int8"}, InvalidRequest, "base64"),
        ({"model": "m", "input": "a", "encoding_format": []}, InvalidRequest, "base64"),
        ({"model": "m", "input": "a", "dimensions": 0}, InvalidRequest, "dimensions must be"),
        ({"model": "m", "input": "a", "dimensions": True}, InvalidRequest, "dimensions must be"),
        ({"model": "m", "input": "a", "stream": True}, InvalidRequest, "'stream'"),
        ({"model": "m", "input": "a", "kwargs": []}, InvalidRequest, "kwargs must be"),
        (
            {"model": "m", "input": "a", "dimensions": 4, "kwargs": {"truncate_dim": 4}},
            InvalidRequest,
            "give one of them",
        ),
        (
            {"model": "m", "input": "a", "kwargs": {"timeout_ms": "soon"}},
            InvalidRequest,
            "deadline_ms must be",
        ),
    ],
)
def test_what_is_refused(body: Any, kind: type[RowvecError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        parse(body)
    assert type(caught.value) is kind


def test_refused_tokens_come_with_langchains_way_out() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse({"model": "m", "input": [[1, 2]]})
    assert "check_embedding_ctx_length=False" in (caught.value.hint or "")


@pytest.mark.parametrize("count", [1, 32, 33, 100])
@pytest.mark.parametrize("encoding_format", ["text", "base64"])
def test_an_answer_in_pieces_is_one_document(count: int, encoding_format: Any) -> None:
    vectors = [np.array([n, 0.5], np.float32) for n in range(count)]
    pieces = list(Answers("m", 0).embeddings(vectors, [2] * count, encoding_format))
    assert len(pieces) == (count - 1) // 32 + 1
    answer = json.loads(b"".join(pieces))
    assert answer["usage"] == {"prompt_tokens": 2 * count, "total_tokens": 2 * count}
    assert (answer["object"], answer["model"]) == ("list", "m")
    for n, item in enumerate(answer["data"]):
        assert (item["object"], item["index"]) == ("embedding", n)
        value = item["embedding"]
        if encoding_format == "base64":
            value = np.frombuffer(base64.b64decode(value), "<f4").tolist()
        assert value == [n, 0.5]


def test_models_are_openais_with_what_we_know_beside() -> None:
    listed = [
        {"name": "m", "kind": "stand-in", "dimensions": 8, "max_tokens": 16, "loaded": False,
         "revision": None}
    ]  # fmt: skip
    (piece,) = Answers("", 1700000000).models(listed)
    assert json.loads(piece) == {
        "object": "list",
        "data": [
            {
                "id": "m",
                "object": "model",
                "created": 1700000000,
                "owned_by": "rowvec",
                "kind": "stand-in",
                "dimensions": 8,
                "max_tokens": 16,
                "loaded": False,
            }
        ],
    }
