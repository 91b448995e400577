"""Queues, clients that leave, engines that die, and the end of the worker."""

from __future__ import annotations

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from rowvec.models.families.stand_in import derived_vector
from support.http_worker import Client, StartHttpWorker
from support.waiting import eventually

# Two short texts a batch, so that what waits behind it can be told apart from what runs.
SMALL_BATCHES = ("--max-batch-tokens", "16")


def test_health_needs_nothing(client: Client) -> None:
    assert client.ask("GET", "/healthz", headers={"Host": "10.0.0.7"})[0] == 200
    assert client.ask("GET", "/readyz")[1] == {"ready": True, "reason": None}


def test_the_process_that_answers_has_no_torch_in_it(client: Client) -> None:
    assert client.embed("stand-in", "x")[0] == 200
    assert "torch" not in Path(f"/proc/{client.worker.process.pid}/maps").read_text()


def test_what_waits_beyond_the_bound_is_refused_at_once(start_http_worker: StartHttpWorker) -> None:
    client = start_http_worker("--max-requests", "1", *SMALL_BATCHES)
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


def test_a_client_that_leaves_takes_its_work_with_it(start_http_worker: StartHttpWorker) -> None:
    client = start_http_worker(*SMALL_BATCHES)
    connection = client.connect()
    texts = [f"left {n} " + "w " * 12 for n in range(100)]
    body = json.dumps({"model": "slow", "input": texts})
    connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
    eventually(lambda: client.metric("rowvec_model_texts_total", model="slow") > 0)
    connection.close()
    eventually(lambda: client.metric("rowvec_queue_requests") == 0)
    assert client.metric("rowvec_requests_total", operation="embed", outcome="left") == 1
    # The next one is computed at once: nothing of the hundred stands before it.
    assert client.embed("slow", "next")[0] == 200
    assert client.metric("rowvec_model_texts_total", model="slow") < 50


def test_draining_says_so_and_finishes(start_http_worker: StartHttpWorker) -> None:
    client = start_http_worker(*SMALL_BATCHES)
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


def test_what_the_grace_does_not_cover_is_refused(start_http_worker: StartHttpWorker) -> None:
    client = start_http_worker(*SMALL_BATCHES, "--shutdown-grace-seconds", "0.2")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.embed, "slow", *(f"slow {n} " + "w " * 12 for n in range(100)))
        eventually(lambda: client.metric("rowvec_queue_requests") == 1)
        client.worker.process.send_signal(signal.SIGTERM)
        status, answer = slow.result()
    assert (status, answer["error"]["sqlstate"]) == (503, "57P01")
    assert client.worker.process.wait(timeout=30) == 0


def test_a_dead_engine_is_not_ready_and_then_it_is(start_http_worker: StartHttpWorker) -> None:
    client = start_http_worker()
    (engine,) = psutil.Process(client.worker.process.pid).children()
    engine.kill()
    eventually(lambda: not client.ready())
    assert client.ask("GET", "/healthz")[0] == 200
    eventually(client.ready)
    assert client.metric("rowvec_engine_restarts_total") == 1
    assert client.embed("stand-in", "again")[0] == 200


def test_interactive_requests_pass_bulk_ones(start_http_worker: StartHttpWorker) -> None:
    client = start_http_worker(*SMALL_BATCHES)
    with ThreadPoolExecutor(1) as pool:
        texts = [f"bulk {n} " + "w " * 12 for n in range(30)]
        bulk = pool.submit(client.embed, "slow", *texts, X_Rowvec_Priority="bulk")
        eventually(lambda: client.metric("rowvec_model_texts_total", model="slow") > 0)
        assert client.embed("slow", "first")[0] == 200
        assert not bulk.done()
        assert bulk.result()[0] == 200


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
