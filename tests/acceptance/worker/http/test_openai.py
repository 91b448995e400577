"""OpenAI's protocol: what is asked in it, and the errors that its clients tell apart."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from rowvec.models.families.stand_in import derived_vector
from support.http_worker import Client


def test_many_texts_come_in_order_and_whole(client: Client) -> None:
    texts = [f"text {n}" for n in range(500)]
    status, answer = client.embed("stand-in", *texts)
    assert status == 200
    vectors = np.array([item["embedding"] for item in answer["data"]], np.float32)
    assert (vectors == np.stack([derived_vector(text, 8) for text in texts])).all()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("{", 400, "not valid JSON"),
        ("", 400, "not a JSON object"),
        ({"model": "stand-in", "input": [[1, 2]]}, 400, "send texts"),
        ({"model": "stand-in", "input": [1, 2]}, 400, "send texts"),
        ({"model": "stand-in", "input": []}, 400, "at least one text"),
        ({"model": "nope", "input": "x"}, 404, "no 'nope'"),
        ({"model": "../../etc", "input": "x"}, 404, "etc"),
        ({"model": "stand-in", "input": "x", "dimensions": 9}, 400, "9"),
        ({"model": "stand-in", "input": "x", "kwargs": {"colour": "red"}}, 400, "'colour'"),
        ({"model": "stand-in", "input": "x", "colour": "red"}, 400, "'colour'"),
        ({"model": "stand-in", "input": "x" * 1001}, 413, "input 1: the input has 1001 bytes"),
        ({"model": "stand-in", "input": ["x" * 900] * 120}, 413, "the worker takes 100000"),
    ],
)
def test_an_error_is_openais_envelope(client: Client, body: Any, status: int, words: str) -> None:
    found, answer = client.ask("POST", "/v1/embeddings", body)
    assert (found, set(answer)) == (status, {"error"})
    assert words in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert re.fullmatch(r"[0-9A-Z]{5}", answer["error"]["sqlstate"])
