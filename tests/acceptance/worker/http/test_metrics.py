"""What is counted and logged, and what never is."""

from __future__ import annotations

import json

import pytest

from support.http_worker import Client, StartHttpWorker
from support.models import MINILM
from support.workers import Worker


def test_metrics_say_what_happened(start_http_worker: StartHttpWorker) -> None:
    client = start_http_worker()
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


@pytest.mark.minilm
def test_padding_is_counted_where_it_is_computed(worker: Worker) -> None:
    """This model is computed without padding by torch."""
    client = Client(worker)
    names = ("rowvec_model_tokens_total", "rowvec_model_padding_tokens_total")
    before = [client.metric(name, model=MINILM) for name in names]
    texts = ["short enough", "a text that has a few more words in it than that"]
    body = {"model": MINILM, "input": texts, "kwargs": {"backend": "torch"}}
    status, answer = client.ask("POST", "/v1/embeddings", body)
    assert (status, answer["usage"]["total_tokens"]) == (200, 18)
    after = [client.metric(name, model=MINILM) for name in names]
    assert [new - old for new, old in zip(after, before, strict=True)] == [18, 0]
    assert client.metric("rowvec_model_memory_bytes", model=MINILM) > 80 << 20


HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\n"
MARKER = "Xenophon's secret"


def test_no_text_of_a_user_is_logged_or_counted(
    start_http_worker: StartHttpWorker,
) -> None:
    """However it came: as a text, a name, a key, a header, a path, a credential, or as garbage."""
    client = start_http_worker("--log-format", "json", "--max-input-bytes", "1000", verbose=True)
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
    client.raw(f"{MARKER}\r\n\r\n".encode())
    client.raw(HEAD + f"{MARKER}\r\n\r\n".encode())
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
