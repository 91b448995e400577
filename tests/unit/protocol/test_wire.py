"""Bytes to messages: whole, in pieces, too large, and wrong in every way that comes to mind."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec.errors import InvalidRequest, ProtocolError
from rowvec.protocol import wire


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def startup(body: bytes, code: int = wire.PROTOCOL_3_0) -> bytes:
    return struct.pack("!ii", len(body) + 8, code) + body


def opening(data: bytes, limit: int = 10_000) -> object:
    reader = wire.Reader(limit)
    reader.feed(data)
    return reader.opening()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (startup(b"", 80877103), wire.Opening.TLS),
        (startup(b"", 80877104), wire.Opening.GSS_ENCRYPTION),
        (startup(struct.pack("!iI", 7, 0xFFFFFFFF), 80877102), wire.Cancel(7, 0xFFFFFFFF)),
        (startup(b"\0"), wire.Startup(wire.PROTOCOL_3_0, {})),
        (
            startup(b"user\0rowvec\0client_encoding\0LATIN1\0\0"),
            wire.Startup(wire.PROTOCOL_3_0, {"user": "rowvec", "client_encoding": "LATIN1"}),
        ),
        (startup(b"user\0\0\0"), wire.Startup(wire.PROTOCOL_3_0, {"user": ""})),
        (startup(b"a\0b\0\0", 196610), wire.Startup(196610, {"a": "b"})),
        (b"\0\0\0", None),
        (startup(b"user\0rowvec\0\0")[:-1], None),
    ],
)
def test_what_comes_before_the_login(data: bytes, expected: object) -> None:
    assert opening(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!ii", 7, wire.PROTOCOL_3_0),
        struct.pack("!ii", -1, wire.PROTOCOL_3_0),
        struct.pack("!ii", 10_001, wire.PROTOCOL_3_0),
        b"GET / HTTP/1.1\r\n\r\n",
        startup(b"", 2 << 16),
        startup(b"user\0rowvec\0"),
        startup(b"user\0rowvec"),
        startup(b"user\0rowvec\0x\0\0"),
        startup(b"", wire.PROTOCOL_3_0),
        startup(b"1234", 80877102),
    ],
)
def test_a_bad_opening_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        opening(data)


@given(
    messages=st.lists(st.tuples(st.sampled_from("QXSPBDEHpf"), st.binary(max_size=60)), max_size=6),
    cuts=st.lists(st.integers(1, 40), min_size=1),
)
def test_messages_come_out_as_they_went_in_however_the_bytes_are_cut(
    messages: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    limit = 40
    data = b"".join(message(kind.encode(), body) for kind, body in messages)
    reader = wire.Reader(limit)
    found: list[object] = []
    position = turn = 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        reader.feed(data[position : position + size])
        position, turn = position + size, turn + 1
        while (part := reader.message()) is not None:
            found.append(part)
        assert reader.buffered <= limit + 5
    assert found == [
        wire.Message(kind.encode(), body)
        if len(body) <= limit
        else wire.TooLarge(kind.encode(), len(body))
        for kind, body in messages
    ]


@given(st.binary(max_size=200))
def test_noise_is_a_message_or_a_protocol_error_and_nothing_else(data: bytes) -> None:
    for read in (wire.Reader.opening, wire.Reader.message):
        reader = wire.Reader(100)
        reader.feed(data)
        try:
            while read(reader) is not None:
                pass
        except ProtocolError:
            pass


@pytest.mark.parametrize("data", [message(b"z", b""), b"Q" + struct.pack("!i", 3), b"\0\0\0\0\0"])
def test_a_message_that_cannot_be_is_a_protocol_error(data: bytes) -> None:
    reader = wire.Reader(100)
    reader.feed(data)
    with pytest.raises(ProtocolError):
        reader.message()


def test_a_query_without_its_terminator_is_a_protocol_error() -> None:
    assert wire.query_text(b"x\0") == b"x"
    with pytest.raises(ProtocolError):
        wire.query_text(b"x")


@pytest.mark.parametrize(
    "body", [b"", b"SCRAM\0", b"SCRAM\0\0\0\0\5abc", b"SCRAM\0\xff\xff\xff\xff"]
)
def test_a_malformed_first_sasl_message_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        wire.sasl_initial(body)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (wire.READY_FOR_QUERY, b"Z\0\0\0\5I"),
        (wire.command_complete("SET"), b"C\0\0\0\x08SET\0"),
        (wire.parameter_status("a", "b"), b"S\0\0\0\x08a\0b\0"),
        (wire.backend_key_data(1, 0xFFFFFFFF), b"K\0\0\0\x0c\0\0\0\1\xff\xff\xff\xff"),
        (wire.data_row([b"ab", None]), b"D\0\0\0\x10\0\2\0\0\0\2ab\xff\xff\xff\xff"),
        (
            wire.row_description("x"),
            b"T\0\0\0\x1a\0\1x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
        ),
        (
            wire.error_response(InvalidRequest("m", hint="h")),
            b"E\0\0\0\x20SERROR\0VERROR\0C22023\0Mm\0Hh\0\0",
        ),
        (
            wire.error_response(InvalidRequest("m", input_number=7)),
            b'E\0\0\0\x2bSERROR\0VERROR\0C22023\0Mm\0D{"input": 7}\0\0',
        ),
        (wire.negotiate_version(["_pq_.x"]), b"v\0\0\0\x13\0\3\0\0\0\0\0\1_pq_.x\0"),
        (wire.sasl_mechanisms("A"), b"R\0\0\0\x0b\0\0\0\x0aA\0\0"),
    ],
)
def test_what_the_worker_says(data: bytes, expected: bytes) -> None:
    assert data == expected


@given(st.text())
def test_an_error_message_is_ascii_and_cannot_end_early(text: str) -> None:
    data = wire.error_response(InvalidRequest(text))
    assert data.isascii() or max(data[1:5]) > 127
    assert data[5:].count(b"\0") == 5
