"""Workers that answer HTTP, and a client of few words."""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import eventually
from support.workers import StartWorker, Worker

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
"""
JSON = {"Content-Type": "application/json"}


class Client:
    """Plain HTTP to a worker, a connection for each request."""

    def __init__(self, worker: Worker) -> None:
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

    def raw(self, sent: bytes, until: bytes = b"") -> bytes:
        """What comes back for these bytes, until the line closes or `until` was seen."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as line:
            line.sendall(sent)
            while piece := line.recv(65536):
                received += piece
                if until and until in received:
                    break
        return received

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


StartHttpWorker = Callable[..., Client]


@pytest.fixture(scope="module")
def start_http_worker(start_module_worker: StartWorker) -> StartHttpWorker:
    """A worker of its own, ready, with the given arguments."""

    def start(*arguments: str, verbose: bool = False) -> Client:
        listening = ("--http-listen", "127.0.0.1:0")
        client = Client(start_module_worker(MODELS, *listening, *arguments, verbose=verbose))
        eventually(client.ready)
        return client

    return start


@pytest.fixture(scope="module")
def client(start_http_worker: StartHttpWorker) -> Client:
    """The worker that most tests of HTTP in a module share."""
    return start_http_worker("--max-request-bytes", "100000", "--max-input-bytes", "1000")
