"""A running worker, spoken to by Postgres's own clients and by bytes that no client sends."""

from __future__ import annotations

import base64
import itertools
import json
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import psycopg
import pytest

from rowvec.embedded.postgres import PostgresCluster
from rowvec.models.families.stand_in import derived_vector
from support.waiting import eventually
from support.workers import StartWorker, Worker


def ask(op: str, **fields: Any) -> str:
    return json.dumps({"v": 1, "op": op, **fields})


def embed(*inputs: str | None, model: str = "stand-in", **fields: Any) -> str:
    return ask("embed", model=model, inputs=inputs, **fields)


def run(connection: psycopg.Connection, query: str | bytes) -> list[tuple[Any, ...]]:
    """The rows of the second result set; the first one is empty."""
    cursor = connection.cursor()
    cursor.execute(query)
    assert cursor.rowcount == 0
    assert cursor.nextset()
    rows = cursor.fetchall()
    assert not cursor.nextset()
    return rows


@pytest.fixture
def connection(worker: Worker) -> Iterator[psycopg.Connection]:
    with psycopg.connect(worker.conninfo, autocommit=True) as connection:
        yield connection


@pytest.fixture
def line(worker: Worker) -> Iterator[socket.socket]:
    """A plain socket to the worker."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(f"{worker.folder}/.s.PGSQL.5466")
        yield line


def everything(line: socket.socket) -> bytes:
    """What comes until the worker closes the line."""
    data = b""
    while piece := line.recv(65536):
        data += piece
    return data


def test_embed_gives_a_row_an_input(connection: psycopg.Connection) -> None:
    rows = run(connection, embed("one", None, "two", "one"))
    vectors = [None if row[0] is None else json.loads(row[0]) for row in rows]
    assert vectors[1] is None
    for i, text in ((0, "one"), (2, "two"), (3, "one")):
        assert (np.array(vectors[i], dtype=np.float32) == derived_vector(text, 384)).all()


def test_no_input_gives_no_row(connection: psycopg.Connection) -> None:
    assert run(connection, embed()) == []


def test_an_error_may_come_after_the_answer_was_announced(connection: psycopg.Connection) -> None:
    """Once a short text was quick, the empty set comes before the next one is computed."""
    numbers = itertools.count()

    def announced() -> bool:
        run(connection, embed(f"fine {next(numbers)}", model="refusing"))
        connection.pgconn.send_query(embed("refuse me", model="refusing").encode())
        results = list(iter(connection.pgconn.get_result, None))
        assert results[-1].status == psycopg.pq.ExecStatus.FATAL_ERROR
        assert len(results) in (1, 2)
        return len(results) == 2

    eventually(announced)
    assert len(run(connection, embed("fine", model="refusing"))) == 1


def test_who_waits_in_line_is_told_for_how_long(worker: Worker) -> None:
    """As those before waited; the rows then come as ever."""
    numbers = itertools.count()
    with ExitStack() as stack:
        lines = [
            stack.enter_context(psycopg.connect(worker.conninfo, autocommit=True)).pgconn
            for _ in range(6)
        ]

        def told() -> bool:
            texts = [f"in line {next(numbers)}" for _ in lines]
            for line, text in zip(lines, texts, strict=True):
                line.send_query(embed(text, model="slow").encode())
            waits = []
            for line, text in zip(lines, texts, strict=True):
                ready, rows = iter(line.get_result, None)
                found = np.array(json.loads(rows.get_value(0, 0) or b""), dtype=np.float32)
                assert (found == derived_vector(text, len(found))).all()
                waits += [int(ready.get_value(row, 0) or b"") for row in range(ready.ntuples)]
            assert all(10 <= wait <= 10_000 for wait in waits)
            return len(waits) > 2

        eventually(told)


def test_base64_comes_with_token_counts(connection: psycopg.Connection) -> None:
    query = embed("two words", None, encoding_format="base64", model="stand-in-small")
    (vector, tokens), null = run(connection, query)
    assert (np.frombuffer(base64.b64decode(vector), "<f4") == derived_vector("two words", 8)).all()
    assert (tokens, null) == ("2", (None, None))


def test_tokens_are_counted_before_truncation(connection: psycopg.Connection) -> None:
    query = ask("count_tokens", model="stand-in-small", inputs=["a", None, "w " * 20])
    assert run(connection, query) == [("1",), (None,), ("20",)]


def test_models_say_what_they_are(connection: psycopg.Connection) -> None:
    listed = {m["name"]: m for m in (json.loads(row[0]) for row in run(connection, ask("models")))}
    assert {"stand-in", "refusing", "slow"} < set(listed)
    minilm = listed["sentence-transformers/all-MiniLM-L6-v2"]
    assert (minilm["dimensions"], minilm["max_tokens"]) == (384, 256)
    assert set(minilm) == {
        "name", "aliases", "kind", "dimensions", "max_tokens", "query_prompt", "document_prompt",
        "revision", "roles", "loaded", "requests", "texts", "tokens", "memory_bytes", "last_use",
        "backend", "backend_reason", "device",
    }  # fmt: skip


def test_ping(connection: psycopg.Connection) -> None:
    assert run(connection, ask("ping")) == [("pong",)]


@pytest.mark.parametrize(
    ("query", "sqlstate", "words"),
    [
        ("select 1", "42601", "not SQL"),
        ('{"v":1,', "42601", "not valid JSON"),
        (ask("fly"), "22023", "op must be one of"),
        (embed("x", model="nope"), "42501", "no 'nope'"),
        (embed("x", model="../../etc"), "42501", "etc"),
        (embed("x", model="/etc"), "42501", "etc"),
        (embed("x", kwargs={"colour": "red"}), "22023", "'colour'"),
        (embed("x", kwargs={"instruction": "do"}), "0A000", "instruction"),
        (embed("x", kwargs={"truncate_dim": 9999}), "22023", "9999"),
        (embed("x", "\ud800"), "22021", "surrogate"),
        (embed("x", "a\0b"), "22021", "U.0000"),
        (embed("x", "fine", "please refuse me", model="refusing"), "22023", "refuses"),
        (
            embed("x", "w " * 20, model="stand-in-small", kwargs={"on_truncate": "error"}),
            "22001",
            "the text has 20 tokens, the model reads 16",
        ),
        (embed("x", deadline_ms=0), "57000", "deadline"),
        (embed("x" * (9 << 20)), "54000", "bytes"),
    ],
)
def test_an_error_says_what_is_wrong_and_leaves_the_connection_usable(
    connection: psycopg.Connection, query: str, sqlstate: str, words: str
) -> None:
    with pytest.raises(psycopg.Error, match=words) as caught:
        connection.execute(query)
    assert caught.value.sqlstate == sqlstate
    assert "please refuse me" not in str(caught.value)
    assert len(run(connection, embed("next"))) == 1


def test_a_truncated_text_is_an_error_also_when_its_vector_is_remembered(
    connection: psycopg.Connection,
) -> None:
    text = "remembered " * 20
    assert len(run(connection, embed(text, model="stand-in-small"))) == 1
    with pytest.raises(psycopg.Error, match="the text has 20 tokens") as caught:
        run(connection, embed(text, model="stand-in-small", kwargs={"on_truncate": "error"}))
    assert caught.value.diag.message_detail == '{"input": 1}'


@pytest.mark.parametrize(
    ("query", "number"),
    [
        (embed("x", "a\0b"), 2),
        (embed("x", "fine", "please refuse me", model="refusing"), 3),
        (embed(None, "please refuse me", "x", "please refuse me", model="refusing"), 2),
        (embed("x", "w " * 20, model="stand-in-small", kwargs={"on_truncate": "error"}), 2),
    ],
)
def test_which_input_failed_is_a_field_and_not_in_the_message(
    connection: psycopg.Connection, query: str, number: int
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(query)
    assert caught.value.diag.message_detail == f'{{"input": {number}}}'
    assert f"input {number}" not in str(caught.value.diag.message_primary)


def test_an_error_about_no_input_has_no_detail(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(embed("input 7", kwargs={"input 7": "red"}))
    assert caught.value.diag.message_detail is None


def test_the_extended_protocol_is_refused_and_the_connection_stays_usable(
    connection: psycopg.Connection,
) -> None:
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="simple query protocol"):
        connection.execute("select %s", ["x"])
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        connection.execute(embed("x"), prepare=True)
    assert run(connection, ask("ping")) == [("pong",)]


def test_settings_and_empty_queries_are_taken(connection: psycopg.Connection) -> None:
    for query in ("", ";", "SET application_name = 'x'", "set datestyle to iso"):
        connection.execute(query)
    assert run(connection, ask("ping")) == [("pong",)]


def test_a_client_with_another_encoding_is_understood(worker: Worker) -> None:
    text = "Stra\u00dfe"
    with psycopg.connect(worker.conninfo, client_encoding="latin1", autocommit=True) as connection:
        query = '{"v":1,"op":"embed","model":"stand-in","inputs":["Stra\u00dfe"]}'.encode("latin1")
        ((vector,),) = run(connection, query)
        connection.execute("set client_encoding to 'UTF8'")
        assert run(connection, query.decode("latin1")) == [(vector,)]
    assert (np.array(json.loads(vector), dtype=np.float32) == derived_vector(text, 384)).all()


@pytest.mark.minilm
@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\U0001f9be\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u202e",
        "".join(map(chr, range(1, 32))) + "\x7f\x85",
        "https://example.com/x.png",
        "/etc/passwd",
        "data:image/png;base64,AAAA",
        "lorem ipsum " * 8500,
    ],
    ids=["empty", "blank", "emoji", "right-to-left", "control", "url", "path", "data", "100 kB"],
)
def test_any_text_is_text(connection: psycopg.Connection, text: str) -> None:
    for model in ("stand-in", "all-MiniLM-L6-v2"):
        ((vector,),) = run(connection, embed(text, model=model))
        numbers = np.array(json.loads(vector))
        assert numbers.shape == (384,)
        assert np.linalg.norm(numbers) == pytest.approx(1, abs=1e-5)


def test_a_request_beyond_the_limit_is_dropped_and_the_connection_stays_usable(
    start_worker: StartWorker,
) -> None:
    worker = start_worker(
        '[[model]]\nname = "stand-in"\nkind = "stand-in"\n', "--max-request-bytes", "2000"
    )
    with psycopg.connect(worker.conninfo, autocommit=True) as connection:
        for _ in range(3):
            with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="the worker takes 2000"):
                connection.execute(embed("x" * 500_000))
        assert len(run(connection, embed("x"))) == 1


@pytest.mark.parametrize(("user", "password"), [("rowvec", "wrong"), ("postgres", None)])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(
    worker: Worker, user: str, password: str | None
) -> None:
    with pytest.raises(psycopg.OperationalError, match=f'failed for user "{user}"'):
        psycopg.connect(worker.conninfo, user=user, password=password or worker.password)


def test_the_sqlstate_of_a_wrong_password(line: socket.socket) -> None:
    body = b"user\0rowvec\0\0"
    line.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
    first = b"n,,n=,r=abc"
    initial = b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
    line.sendall(b"p" + struct.pack("!i", len(initial) + 4) + initial)
    challenge = b""
    while b",i=" not in challenge:
        challenge += line.recv(4096)
    nonce = challenge[challenge.index(b"r=") :].partition(b",")[0]
    final = b"c=biws," + nonce + b",p=" + base64.b64encode(bytes(32))
    line.sendall(b"p" + struct.pack("!i", len(final) + 4) + final)
    assert b"C28P01\0" in everything(line)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!ii", 2**31 - 1, 196608),
        struct.pack("!ii", 8, 131072),
        struct.pack("!ii", 9, 196608) + b"x",
        struct.pack("!ii", 9, 196608) + b"\0" + b"Q\0\0\0\5\0",
        struct.pack("!ii", 9, 196608) + b"\0" + b"p\x7f\xff\xff\xff",
        struct.pack("!ii", 9, 196608) + b"\0" + b"p\0\0\0\x0cSCRAM-X\0",
    ],
)
def test_bytes_that_are_no_client_end_that_connection_only(
    line: socket.socket, connection: psycopg.Connection, data: bytes
) -> None:
    line.sendall(data)
    line.shutdown(socket.SHUT_WR) if data[4:5] == b"\x7f" else None
    assert b"SFATAL\0" in everything(line) or data.endswith(b"\xff\xff\xff")
    assert run(connection, ask("ping")) == [("pong",)]


def test_tls_and_gss_are_declined_where_there_is_none(line: socket.socket) -> None:
    for code in (80877103, 80877104):
        line.sendall(struct.pack("!ii", 8, code))
        assert line.recv(1) == b"N"


def test_a_newer_minor_version_is_negotiated_down(worker: Worker) -> None:
    with psycopg.connect(worker.conninfo, max_protocol_version="3.2", autocommit=True) as newer:
        assert run(newer, ask("ping")) == [("pong",)]


def test_psql_is_a_client(worker: Worker, cluster: PostgresCluster) -> None:
    done = subprocess.run(
        [cluster.binary("psql"), worker.conninfo, "-XAtc", embed("x", model="stand-in-small")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert len(json.loads(done.stdout)) == 8


def test_requests_sent_ahead_are_answered_in_order(worker: Worker) -> None:
    with psycopg.connect(worker.conninfo, autocommit=True) as connection:
        bodies = [embed(f"ahead {i}").encode() + b"\0" for i in range(50)]
        data = b"".join(b"Q" + struct.pack("!i", len(body) + 4) + body for body in bodies)
        with socket.socket(fileno=socket.dup(connection.fileno())) as line:
            line.settimeout(30)
            line.sendall(data)
            answer = b""
            while answer.count(b"Z\0\0\0\5I") < 50:
                answer += line.recv(65536)
    vectors = [
        json.loads(part[: part.index(b"]") + 1].decode())
        for part in (b"[" + piece for piece in answer.split(b"[")[1:])
    ]
    for i, vector in enumerate(vectors):
        assert (np.array(vector, dtype=np.float32) == derived_vector(f"ahead {i}", 384)).all()


def test_an_encoding_without_a_codec_is_refused_by_a_sentence(worker: Worker) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not know this client_encoding"):
        psycopg.connect(worker.conninfo, client_encoding="EUC_TW")
