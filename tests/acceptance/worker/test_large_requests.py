"""Requests of many megabytes: read as they arrive, right to the last text, and nobody waits."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest

from rowvec.client import WorkerClient
from rowvec.models.families.stand_in import derived_vector
from support.workers import StartWorker, Worker

MODELS = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
max_tokens = 1000000
"""

# Two megabytes and more: words, what JSON escapes, characters of one to four bytes.
LARGE = ['"\\ é€🐘 word ' * 5000 + str(number) for number in range(20)]


@pytest.fixture(scope="module")
def own_worker(start_module_worker: StartWorker) -> Any:
    return start_module_worker(
        MODELS, "--http-listen", "127.0.0.1:0", "--max-input-bytes", "1000000", "--cache-bytes", "0"
    )


@pytest.fixture
def connection(own_worker: Worker) -> Iterator[psycopg.Connection]:
    with psycopg.connect(own_worker.conninfo, autocommit=True) as connection:
        yield connection


def vectors(connection: psycopg.Connection, query: str | bytes) -> list[Any]:
    cursor = connection.execute(query)
    assert cursor.nextset()
    return [None if row[0] is None else json.loads(row[0]) for row in cursor.fetchall()]


def request(inputs: list[Any], *, ascii_only: bool = True, **fields: Any) -> str:
    asked = {"v": 1, "op": "embed", "model": "stand-in", "inputs": inputs, **fields}
    return json.dumps(asked, ensure_ascii=ascii_only)


@pytest.mark.parametrize("ascii_only", [True, False])
def test_every_text_gets_its_vector(connection: psycopg.Connection, *, ascii_only: bool) -> None:
    inputs = [*LARGE[:10], None, "", *LARGE[10:]]
    found = vectors(connection, request(inputs, ascii_only=ascii_only, kwargs={}))
    for text, vector in zip(inputs, found, strict=True):
        if text is None:
            assert vector is None
        else:
            assert (np.array(vector, dtype=np.float32) == derived_vector(text, 8)).all()


def test_many_short_texts(own_worker: Worker) -> None:
    """The answer, too, comes in pieces."""

    async def scenario() -> None:
        async with await WorkerClient.connect(own_worker.conninfo) as client:
            inputs = [f"a text of a few words, number {number}" for number in range(60_000)]
            answer = await client.embed("stand-in", inputs)
            for number in (0, 1, 32_767, 59_999):
                assert (answer.vectors[number] == derived_vector(inputs[number], 8)).all()
            assert not answer.nulls.any()

    asyncio.run(scenario())


def test_in_another_encoding(connection: psycopg.Connection) -> None:
    """A character of two bytes may lie in two pieces."""
    connection.execute("SET client_encoding TO 'EUC_JP'")
    inputs = ["日本語の文" * 30_000 + str(number) for number in range(8)]
    found = vectors(connection, request(inputs, ascii_only=False).encode("euc_jp"))
    for text, vector in zip(inputs, found, strict=True):
        assert (np.array(vector, dtype=np.float32) == derived_vector(text, 8)).all()


@pytest.mark.parametrize(
    ("query", "sqlstate"),
    [
        (request([*LARGE, "a\0b"]), "22021"),
        (request([*LARGE, 1]), "22023"),
        (request([*LARGE, "x" * 1_000_001]), "54000"),
        (request([*LARGE, "x" * 9_000_000]), "54000"),
        (request(LARGE, op="fly"), "22023"),
        (request(LARGE, model="other"), "42501"),
        (request(LARGE, colour="red"), "22023"),
        (request(LARGE)[:-1], "42601"),
        (request(LARGE) + "x", "42601"),
        ("SELECT '" + "x" * 2_000_000, "42601"),
        (request(LARGE).replace('"inputs"', '"in"'), "54000"),
    ],
)
def test_what_is_wrong_is_an_error_and_the_connection_goes_on(
    connection: psycopg.Connection, query: str, sqlstate: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(query)
    assert caught.value.sqlstate == sqlstate
    assert len(vectors(connection, request(["next"]))) == 1


def test_others_are_answered_while_one_arrives(own_worker: Worker) -> None:
    """Also where it never arrives whole, and its client leaves in the middle."""
    body = request(LARGE).encode() + b"\0"
    message = b"Q" + struct.pack("!i", len(body) + 4) + body
    with psycopg.connect(own_worker.conninfo, autocommit=True) as slow:
        line = slow.pgconn.socket
        # Bytes that libpq would not send.
        sent = os.write(line, message[:50_000])
        assert sent > 0
        with psycopg.connect(own_worker.conninfo, autocommit=True) as other:
            for number in range(20):
                text = f"meanwhile {number}"
                (vector,) = vectors(other, request([text]))
                assert (np.array(vector, dtype=np.float32) == derived_vector(text, 8)).all()
    with psycopg.connect(own_worker.conninfo, autocommit=True) as other:
        assert len(vectors(other, request(["after"]))) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_over_http(own_worker: Worker, *, chunked: bool) -> None:
    found = re.search(r"answering HTTP on http://127\.0\.0\.1:(\d+)", own_worker.log.read_text())
    assert found is not None
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
    body = json.dumps({"model": "stand-in", "input": LARGE}).encode()
    pieces = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    connection.request(
        "POST", "/v1/embeddings", pieces if chunked else body,
        {"Content-Type": "application/json"}, encode_chunked=chunked,
    )  # fmt: skip
    answer = json.loads(connection.getresponse().read())
    connection.close()
    for text, each in zip(LARGE, answer["data"], strict=True):
        assert (np.array(each["embedding"], dtype=np.float32) == derived_vector(text, 8)).all()
