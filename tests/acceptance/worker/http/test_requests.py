"""Headers, bodies and connections that a client of good will does not send."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from rowvec.worker.half_open import MOST_OF_ONE_ADDRESS
from support.commands import Rowvec
from support.http_worker import MODELS, Client, StartHttpWorker
from support.waiting import eventually


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        (("GET", "/nowhere", {}), 404, "no GET /nowhere"),
        (("GET", "/v1/embeddings", {}), 405, "no GET /v1/embeddings"),
        (("POST", "/v1/embeddings", {"Content-Type": "text/plain"}), 400, "application/json"),
        (("POST", "/v1/embeddings", {"Content-Encoding": "gzip"}), 400, "compressed"),
        (("POST", "/v1/embeddings", {"X-Rowvec-Timeout-Ms": "soon"}), 400, "milliseconds"),
        (("POST", "/v1/embeddings", {"X-Rowvec-Priority": "first"}), 400, "interactive or bulk"),
        (("POST", "/v1/embeddings", {"Host": "evil.example"}), 401, "localhost"),
        (("GET", "/metrics", {"Host": "evil.example:80"}), 401, "localhost"),
    ],
)
def test_headers_and_paths_are_checked(
    client: Client, asked: tuple[str, str, dict[str, str]], status: int, words: str
) -> None:
    method, path, headers = asked
    body = {"model": "stand-in", "input": "x"} if method == "POST" else None
    found, answer = client.ask(method, path, body, headers)
    assert (found, words in answer["error"]["message"]) == (status, True), answer


def test_browsers_of_other_sites_are_told_nothing(client: Client) -> None:
    connection = client.connect()
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    status, _, headers = client.exchange(connection, "OPTIONS", "/v1/embeddings", None, preflight)
    connection.close()
    assert status == 405
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_answers_bear_ids_and_no_versions(client: Client) -> None:
    connection = client.connect()
    good = client.exchange(
        connection, "POST", "/v1/embeddings", {"model": "stand-in", "input": "x"}
    )
    bad = client.exchange(
        connection, "POST", "/v1/embeddings", {"model": "no"}, {"X-Request-Id": "mine"}
    )
    connection.close()
    ids = {answer[2]["X-Request-Id"] for answer in (good, bad)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{16}", number) for number in ids)
    assert {answer[2]["Server"] for answer in (good, bad)} == {"rowvec"}


HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_a_huge_body_is_refused_before_it_is_sent(client: Client) -> None:
    """Nothing of it ever travels: the answer comes for the head alone."""
    answer = client.raw(HEAD + b"Content-Length: 100000000\r\n\r\n", b"max_request_bytes")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_too_large_is_refused_on_the_way(client: Client) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = client.raw(head + chunk * 4, b"max_request_bytes")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_asks_first_is_told_to_go_on_or_not(client: Client) -> None:
    body = b'{"model":"stand-in","input":"x"}'
    head = HEAD + b"Expect: 100-continue\r\nConnection: close\r\n"
    answer = client.raw(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    answer = client.raw(head + b"Content-Length: 100000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_arrive_ends_at_the_deadline(client: Client) -> None:
    head = HEAD + b"X-Rowvec-Timeout-Ms: 100\r\nContent-Length: 50\r\nConnection: close\r\n\r\n{"
    answer = client.raw(head, b"did not arrive")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_bytes_that_are_no_http_are_refused(client: Client) -> None:
    assert b" 400 " in client.raw(b"\x16\x03\x01 not http at all\r\n\r\n").split(b"\r\n")[0]
    assert client.ready()


def test_a_connection_serves_request_after_request(client: Client) -> None:
    connection = client.connect()
    for body, status in (("{", 400), ('{"model":"stand-in","input":"x"}', 200)) * 3:
        assert client.exchange(connection, "POST", "/v1/embeddings", body)[0] == status
    connection.close()


def test_keys_open_everything_but_health(
    start_http_worker: StartHttpWorker, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("key-one\nkey-two\n")
    client = start_http_worker("--api-key-file", str(keys))
    for path in ("/v1/models", "/metrics"):
        status, answer = client.ask("GET", path)
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")
    assert client.ask("GET", "/healthz")[0] == 200
    assert client.embed("stand-in", "x", Authorization="Bearer key-three")[0] == 401
    for key in ("key-one", "key-two"):
        header = {"Authorization": f"Bearer {key}"}
        assert client.embed("stand-in", "x", **header)[0] == 200
        assert client.ask("GET", "/metrics", headers={**header, "Host": "any.example"})[0] == 200
    keys.write_text("key-three-is-new\n")
    assert client.embed("stand-in", "x", Authorization="Bearer key-three-is-new")[0] == 200
    assert client.embed("stand-in", "x", Authorization="Bearer key-one")[0] == 401


def test_other_machines_are_let_in_with_keys_only(rowvec: Rowvec, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    (tmp_path / "models.toml").write_text(MODELS)
    done = rowvec(
        "worker", "--listen", str(tmp_path), "--models", str(tmp_path / "models.toml"),
        "--password-file", str(tmp_path / "password"), "--http-listen", "0.0.0.0:0",
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs API keys" in done.stderr
    assert "--api-key-file" in done.stderr


def test_connections_beyond_the_limit_are_turned_away(start_http_worker: StartHttpWorker) -> None:
    client = start_http_worker("--max-connections", "2")
    held = [client.connect() for _ in range(2)]
    try:
        for connection in held:
            assert client.exchange(connection, "GET", "/v1/models")[0] == 200
        assert client.ask("GET", "/healthz")[0] == 503
    finally:
        for connection in held:
            connection.close()
    eventually(lambda: client.ask("GET", "/healthz")[0] == 200)


def test_who_says_nothing_keeps_nobody_out(start_http_worker: StartHttpWorker) -> None:
    """The oldest of them go, and the limit of clients does not count them."""
    client = start_http_worker("--max-connections", "2")
    begun = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"
    with ExitStack() as flood:
        lines = [
            flood.enter_context(socket.create_connection(("127.0.0.1", client.port), timeout=60))
            for _ in range(300)
        ]
        for line in lines:
            with suppress(ConnectionError):
                line.sendall(begun)
        for line in lines[: 300 - MOST_OF_ONE_ADDRESS]:
            with suppress(ConnectionError):
                assert line.recv(1) == b""
        assert [client.ask("GET", "/v1/models")[0] for _ in range(20)] == [200] * 20


def test_a_connection_that_says_nothing_is_closed(start_http_worker: StartHttpWorker) -> None:
    """Sooner than one that is known and idle: it takes a place from those who may come in."""
    client = start_http_worker("--login-timeout-seconds", "0.5")
    assert client.raw(b"") == b""
    assert client.raw(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n") == b""
