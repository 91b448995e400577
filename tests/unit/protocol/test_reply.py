"""Answers as bytes: an empty result set, then the rows."""

from __future__ import annotations

import base64
import struct

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.protocol import reply, wire

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def messages(data: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    while data:
        (length,) = struct.unpack_from("!i", data, 1)
        found.append((data[:1], data[5 : length + 1]))
        data = data[length + 1 :]
    return found


def rows(data: bytes) -> list[list[bytes | None]]:
    found = []
    for kind, body in messages(data):
        if kind != b"D":
            continue
        position, values = 2, []
        for _ in range(struct.unpack_from("!h", body)[0]):
            (length,) = struct.unpack_from("!i", body, position)
            position += 4
            values.append(None if length < 0 else body[position : position + length])
            position += max(0, length)
        found.append(values)
    return found


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_a_vector_written_as_text_is_the_same_vector(numbers: list[float]) -> None:
    vector = np.array(numbers, dtype=np.float32)
    back = np.array(orjson.loads(reply.vector_text(vector)), dtype=np.float32)
    assert (back == vector).all()


def test_a_vector_is_written_with_the_fewest_digits() -> None:
    assert reply.vector_text(np.array([0.1, -1, 1e-30], dtype=np.float32)) == b"[0.1,-1.0,1e-30]"


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 100])
def test_an_answer_is_ready_then_rows_in_order_whatever_the_pieces(count: int) -> None:
    vectors = [None if i % 3 == 1 else np.full(2, i, dtype=np.float32) for i in range(count)]
    tokens = [None if v is None else 7 for v in vectors]
    pieces = list(reply.embeddings(vectors, tokens, "text"))
    assert len(pieces) == max(1, -(-count // reply.ROWS_A_PIECE))
    data = b"".join(pieces)
    kinds = b"".join(kind for kind, _ in messages(data))
    assert kinds == b"TC" + b"T" + b"D" * count + b"CZ"
    assert data.startswith(reply.READY)
    assert data.endswith(wire.command_complete(f"SELECT {count}") + wire.READY_FOR_QUERY)
    assert rows(data) == [[None] if v is None else [b"[%d.0,%d.0]" % (v[0], v[0])] for v in vectors]


def test_ready_says_how_far_away_the_rows_are() -> None:
    assert reply.ready(0) == reply.READY
    assert rows(reply.READY + reply.ready(0.1234)) == [[b"123"]]


def test_base64_holds_little_endian_floats_and_the_tokens() -> None:
    data = b"".join(
        reply.embeddings([np.array([1.5], dtype=np.float32), None], [3, None], "base64")
    )
    assert rows(data) == [[base64.b64encode(struct.pack("<f", 1.5)), b"3"], [None, None]]


def test_everything_that_goes_out_is_ascii() -> None:
    assert rows(b"".join(reply.models([{"name": "m\u00e9"}]))) == [[b'{"name": "m\\u00e9"}']]
    assert rows(b"".join(reply.token_counts([1, None]))) == [[b"1"], [None]]
    assert rows(b"".join(reply.pong())) == [[b"pong"]]
