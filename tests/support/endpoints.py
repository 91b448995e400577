"""Servers of HTTP in this process, which a worker's remote models ask."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rowvec.models.families.stand_in import derived_vector
from support.waiting import WAIT_SECONDS


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    key: str | None
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What is sent back."""

    content: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def listening(answer: Callable[[Asked], Reply]) -> Iterator[str]:
    """The URL under which `answer` is asked, a thread for each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = answer(Asked(self.path, self.headers.get("Authorization"), body))
            # Who was killed meanwhile does not hear it.
            with contextlib.suppress(ConnectionError):
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def derived_vectors(body: dict[str, Any]) -> dict[str, Any]:
    """The vectors of the stand-in, in OpenAI's form, the last first."""
    rows = [
        {"index": i, "embedding": derived_vector(text, body.get("dimensions", 8)).tolist()}
        for i, text in enumerate(body["input"])
    ]
    return {"object": "list", "data": rows[::-1]}


@dataclass
class Endpoint:
    """A server of OpenAI's form: what it was asked, and what it answers instead of vectors."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Any] = derived_vectors

    def reply(self, asked: Asked) -> Reply:
        self.asked.append({"path": asked.path, **asked.body})
        self.keys.append(asked.key)
        if self.failures:
            status, headers, content = self.failures.pop(0)
            return Reply(content, status, headers)
        return Reply(json.dumps(self.answer(asked.body)).encode())


@dataclass
class Gate:
    """A model that answers at once, or when the test lets it; it counts what it was asked.

    A single text always passes: a job asks for one to see whether the model is there.
    """

    url: str = ""
    met: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    _left: int | None = None
    _turn: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def listed(self, name: str) -> str:
        """An entry for a list of models; its vectors are those of a stand-in of 8 dimensions."""
        return f'[[model]]\nname = "{name}"\nkind = "remote"\nurl = "{self.url}"\ndimensions = 8\n'

    def hold(self, after: int = 0) -> None:
        """From now on who asks waits, once so many texts were answered; who waited goes on."""
        self._turn_to(after)

    def open(self) -> None:
        """From now on everybody is answered at once, who waited too."""
        self._turn_to(None)

    def again(self) -> int:
        """Texts of rows that it was asked for again, each time counted."""
        return sum(times - 1 for text, times in self.met.items() if text.startswith("text "))

    def answer(self, asked: Asked) -> Reply:
        """What the endpoint does."""
        texts = asked.body["input"]
        with self._changed:
            self.met.update(texts)
            if len(texts) > 1 and self._left is not None:
                self._wait(len(texts), self._turn)
        return Reply(json.dumps(derived_vectors(asked.body)).encode())

    def _wait(self, texts: int, turn: int) -> None:
        def may_pass() -> bool:
            return self._turn != turn or (self._left or 0) >= texts

        self.waiting += 1
        try:
            assert self._changed.wait_for(may_pass, WAIT_SECONDS), "nobody opened the gate"
        finally:
            self.waiting -= 1
        if self._turn == turn:
            self._left = (self._left or 0) - texts

    def _turn_to(self, left: int | None) -> None:
        with self._changed:
            self._turn += 1
            self._left = left
            self._changed.notify_all()


@pytest.fixture(scope="module")
def module_gate() -> Iterator[Gate]:
    """A gate that the list of a module's worker names."""
    gate = Gate()
    with listening(gate.answer) as gate.url:
        yield gate
        gate.open()


@pytest.fixture
def gate(module_gate: Gate) -> Iterator[Gate]:
    """The gate, open, with nothing counted."""
    module_gate.met.clear()
    yield module_gate
    module_gate.open()
