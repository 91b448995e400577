"""Several backfills of one table at once, each with a model of its own that counts its calls."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from rowvec.models.stand_in import derived_vector
from support.postgres import Database

ROWVEC = Path(sys.executable).parent / "rowvec"

# By the same name as a model of the worker that all tests share, and with the same vectors.
STAND_IN = """
[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
delay_ms_per_text = {delay}
"""
COUNTED = """
[[model]]
name = "slow"
kind = "remote"
url = "{url}"
dimensions = 8
"""


@dataclass
class CountedModel:
    """A model behind an endpoint that any number of workers ask; how often it met each text."""

    url: str = ""
    met: Counter[str] = field(default_factory=Counter)

    @property
    def listed(self) -> str:
        """The list of models that a worker reads."""
        return COUNTED.format(url=self.url)

    def again(self) -> int:
        """Rows' texts that came again, each time counted."""
        return sum(times - 1 for text, times in self.met.items() if text.startswith("text "))


@pytest.fixture
def counted() -> Iterator[CountedModel]:
    model = CountedModel()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            model.met.update(texts)
            time.sleep(0.004 * len(texts))  # as a model that computes
            content = json.dumps(
                {
                    "data": [
                        {"index": number, "embedding": derived_vector(text, 8).tolist()}
                        for number, text in enumerate(texts)
                    ]
                }
            ).encode()
            # Who was killed does not hear it.
            with contextlib.suppress(ConnectionError):
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model.url = f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield model
    httpd.shutdown()
    thread.join()
    httpd.server_close()


class Reviews:
    """The table `reviews`, with an embedding by the model `slow`."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def make(self, rows: int) -> None:
        """So many rows; `writes` counts how often the vector of each was written."""
        for statement in (
            "CREATE TABLE reviews (id bigint PRIMARY KEY, body text, writes int DEFAULT 0)",
            f"INSERT INTO reviews SELECT i, 'text ' || i FROM generate_series(1, {rows}) AS i",
            """CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END'""",
            "SELECT rowvec.create_embedding('reviews', 'slow', 'body')",
            """CREATE TRIGGER count_write BEFORE UPDATE OF embedding ON reviews
            FOR EACH ROW EXECUTE FUNCTION count_write()""",
        ):
            self.connection.execute(statement.encode())

    def one(self, statement: str) -> Any:
        """The only value of a query."""
        row = self.connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0]

    def filled(self) -> int:
        """Rows that have a vector."""
        return int(self.one("SELECT count(embedding) FROM reviews"))

    def are_right(self) -> bool:
        """Whether every row has the vector of its text, written once."""
        return bool(
            self.one(
                "SELECT bool_and(embedding IS NOT DISTINCT FROM"
                " rowvec.embed('stand-in-small', body)"
                " AND embedding_of IS NOT DISTINCT FROM hashtextextended(body, 0)"
                " AND writes = 1) FROM reviews"
            )
        )


@pytest.fixture
def reviews(database: Database) -> Iterator[Reviews]:
    with database.connect() as connection:
        yield Reviews(connection)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Iterator[Start]:
    """Starts `rowvec backfill` with a list of models of its own."""
    started: list[subprocess.Popen[str]] = []
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG", "RAY_"))}

    def run(
        *arguments: str, delay: float = 5, models: str | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        listed = tmp_path / "models.toml"
        listed.write_text(models or STAND_IN.format(delay=delay))
        process = subprocess.Popen(
            [ROWVEC, "backfill", "reviews", "--json", "--dsn", database.dsn, "--models", listed,
             *arguments],
            env={**clean, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def done() -> Callable[[subprocess.Popen[str]], dict[str, Any]]:
    """Waits for the end of a command, which goes well, and gives its summary."""

    def wait(process: subprocess.Popen[str]) -> dict[str, Any]:
        output, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors
        summary: dict[str, Any] = json.loads(output)
        return summary

    return wait


@pytest.fixture
def private_workers(tmp_path: Path) -> Callable[[], list[psutil.Process]]:
    """Workers that the jobs of a test started, and that live."""

    def find() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if (process.info["cmdline"] or [])[-2:] == ["rowvec", "worker"]:
                with contextlib.suppress(psutil.Error):
                    if process.environ().get("ROWVEC_MODELS") == str(tmp_path / "models.toml"):
                        found.append(process)
        return found

    return find
