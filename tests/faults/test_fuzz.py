"""Fault 13: bytes that no client would send, before the login, within it and after it."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.workers import Worker

FUZZ = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

LENGTHS = st.sampled_from([-(2**31), -1, 0, 3, 4, 5, 8, 9, 100, 9_999, 10_001, 2**31 - 1])
CODES = st.sampled_from([196608, 196610, 131072, 80877102, 80877103, 80877104, 0, -1, 2**31 - 1])
STARTUP = struct.pack("!ii", 21, 196608) + b"user\0rowvec\0\0"


def framed(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    return kind + struct.pack("!i", len(body) + 4 if length is None else length) + body


def opening(code: int, body: bytes, length: int | None) -> bytes:
    return struct.pack("!ii", len(body) + 8 if length is None else length, code) + body


OPENINGS = st.builds(
    opening,
    CODES,
    st.binary(max_size=60) | st.just(b"user\0rowvec\0\0") | st.just(b"user\0rowvec\0_pq_.x\0y\0\0"),
    st.none() | LENGTHS,
)

NONCES = st.binary(max_size=30) | st.just(b"abc")
FIRSTS = st.builds(
    lambda header, name, nonce, more: header + b"n=" + name + b",r=" + nonce + more,
    st.sampled_from([b"n,,", b"y,,", b"p=tls-server-end-point,,", b"n,a=x,", b"", b","]),
    st.binary(max_size=10),
    NONCES,
    st.sampled_from([b"", b",", b",m=x", b",r=again"]),
)


def initial(mechanism: bytes, first: bytes, length: int | None) -> bytes:
    size = struct.pack("!i", len(first) if length is None else length)
    return framed(b"p", mechanism + b"\0" + size + first)


INITIALS = st.builds(
    initial,
    st.sampled_from([b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-1", b"", b"\xff"]),
    FIRSTS,
    st.none() | LENGTHS,
)
FINALS = st.builds(
    lambda body: framed(b"p", body),
    st.binary(max_size=60)
    | st.sampled_from([b"c=biws,r=abc,p=AAAA", b"c=biws,r=,p=", b",p=", b"c=biws,r=abc,p=!"]),
)
MESSAGES = st.builds(
    framed,
    st.sampled_from([bytes([byte]) for byte in range(256)]),
    st.binary(max_size=60),
    st.none() | LENGTHS,
)


def exchange(line: socket.socket, data: bytes) -> bytes:
    """What comes back until the other end has closed; it is told that nothing more comes."""
    answer = b""
    try:
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        while piece := line.recv(65536):
            answer += piece
    except ConnectionError:
        # The other end had enough before it had all.
        return answer
    return answer


def lives(worker: Worker) -> None:
    """The process is there, and others are answered."""
    assert worker.process.poll() is None
    with psycopg.connect(worker.conninfo, autocommit=True) as connection:
        cursor = connection.execute('{"v":1,"op":"ping"}')
        assert cursor.nextset()
        assert cursor.fetchall() == [("pong",)]


@FUZZ
@given(
    parts=st.lists(OPENINGS | INITIALS | FINALS | MESSAGES | st.binary(max_size=80), max_size=5),
    begins_well=st.booleans(),
)
def test_fault_13_before_and_within_the_login(
    shared_worker: Worker, parts: list[bytes], *, begins_well: bool
) -> None:
    """That connection ends, nobody is let in, and the process lives."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(f"{shared_worker.folder}/.s.PGSQL.5466")
        answer = exchange(line, (STARTUP if begins_well else b"") + b"".join(parts))
    # AuthenticationOk
    assert b"R\0\0\0\x08\0\0\0\0" not in answer


@FUZZ
@given(parts=st.lists(MESSAGES | st.binary(max_size=80), max_size=6))
def test_fault_13_after_the_login(shared_worker: Worker, parts: list[bytes]) -> None:
    """Errors, or the end of that connection."""
    with (
        psycopg.connect(shared_worker.conninfo, autocommit=True) as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as line,
    ):
        line.setblocking(True)  # noqa: FBT003  # its only parameter
        line.settimeout(60)
        exchange(line, b"".join(parts))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(
    ["v", "op", "model", "inputs", "query", "kwargs", "deadline_ms", "priority", "encoding_format",
     "page", "other"]
)  # fmt: skip
LIKELY = {
    "v": st.just(1),
    "op": st.sampled_from(["embed", "embed_sparse", "embed_image", "rerank", "chunk", "split",
                           "count_tokens", "models", "ping"]),
    "model": st.sampled_from(["stand-in", "refusing", "recursive_character", "../x"]),
    "inputs": st.lists(st.none() | st.text(max_size=20), max_size=4),
    "query": st.text(max_size=20),
    "kwargs": st.dictionaries(
        st.sampled_from(["normalize", "truncate_dim", "input_type", "prompt", "max_tokens",
                         "overlap", "top_k", "on_truncate", "dtype", "backend", "batch_size"]),
        VALUES, max_size=3,
    ),
    "deadline_ms": st.integers(-1, 60_000),
}  # fmt: skip
REQUESTS = st.fixed_dictionaries({}, optional=LIKELY).flatmap(
    lambda fields: st.dictionaries(KEYS, VALUES, max_size=2).map(lambda odd: {**fields, **odd})
)


@pytest.fixture(scope="module")
def connections(shared_worker: Worker) -> Iterator[psycopg.Connection]:
    """One connection for all requests: it has to stay usable."""
    with psycopg.connect(shared_worker.conninfo, autocommit=True) as connection:
        yield connection


def refusal(connection: psycopg.Connection, query: bytes) -> str | None:
    """The SQLSTATE that a query is answered with, None where it is answered well."""
    try:
        connection.execute(query)
    except psycopg.Error as exc:
        return str(exc.sqlstate)
    return None


@FUZZ
@given(fields=REQUESTS)
def test_fault_13_requests(connections: psycopg.Connection, fields: dict[str, Any]) -> None:
    """An answer, or an error that is the client's own; never one of ours, and the line stays."""
    sqlstate = refusal(connections, json.dumps(fields).encode())
    assert sqlstate is None or sqlstate[:2] in ("22", "42", "54", "0A", "57")
    cursor = connections.execute('{"v":1,"op":"ping"}')
    assert cursor.nextset()


@FUZZ
@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda b: "{" + b.decode("latin1")))
def test_fault_13_no_json(connections: psycopg.Connection, text: str) -> None:
    """Refused with a sentence, unless it is one of the few statements that drivers send."""
    query = text.replace("\0", "").encode(errors="replace")
    assert refusal(connections, query) in (None, "42601", "22021", "22023")


def test_fault_13_the_worker_lives_after_all_of_it(shared_worker: Worker) -> None:
    lives(shared_worker)
    assert "Traceback" not in shared_worker.log.read_text()
