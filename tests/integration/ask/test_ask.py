"""Questions to a table: the passages, the prompt's budget, the endpoint, the citations."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.commands import Rowvec
from support.models import MINILM
from support.postgres import Database, refused

pytestmark = pytest.mark.minilm

NOTES = [
    "The backups of the database run every night at two and are kept for thirty days.",
    "The office is closed on public holidays and in the last week of December.",
    "Travel costs are paid back within two weeks after the receipts were handed in.",
    "New colleagues get their laptop on the first day from the desk on the second floor.",
    "The cafeteria serves lunch from half past eleven to two, with a vegetarian dish every day.",
]
BACKUPS = "How long are database backups kept?"


@pytest.fixture
def notes(database: Database) -> Iterator[psycopg.Connection]:
    """Five notes with their vectors of the real model."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE notes (id int PRIMARY KEY, body text)")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO notes VALUES (%s, %s)", list(enumerate(NOTES, 1)))
        connection.execute("SELECT rowvec.create_embedding('notes', %s, 'body')", (MINILM,))
        connection.execute("CALL rowvec.backfill('notes')")
        yield connection


@dataclass
class Endpoint:
    """A server of OpenAI's form that answers always the same."""

    url: str = ""
    answer: str = ""
    streams: bool = True
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append({"path": self.path, **body})
            state.keys.append(self.headers.get("Authorization"))
            if state.streams:
                events = [{"choices": [{"delta": {"content": c}}]} for c in state.answer]
                lines = [f"data: {json.dumps(e)}\n\n" for e in [{"choices": []}, *events]]
                content, kind = "".join([*lines, ": end\n\ndata: [DONE]\n\n"]), "text/event-stream"
            else:
                message = {"role": "assistant", "content": state.answer}
                content, kind = json.dumps({"choices": [{"message": message}]}), "application/json"
            self.send_response(state.status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def context(connection: psycopg.Connection, question: str, *arguments: Any) -> str | None:
    places = ", %s" * len(arguments)
    found = connection.execute(
        f"SELECT rowvec.context('notes', %s{places})", (question, *arguments)
    ).fetchone()
    assert found is not None
    text: str | None = found[0]
    return text


def test_the_prompt_holds_numbered_sources_and_the_question(notes: psycopg.Connection) -> None:
    prompt = context(notes, BACKUPS)
    assert prompt is not None
    assert f"[1] {NOTES[0]}" in prompt
    assert prompt.endswith(f"\n\nQuestion: {BACKUPS}")
    assert NOTES[4] not in prompt, "what does not match is no source"


def test_a_question_that_no_row_matches_has_no_context(notes: psycopg.Connection) -> None:
    assert context(notes, "Which moons of Jupiter are larger than Mercury?") is None


@pytest.mark.parametrize("max_tokens", [130, 150, 200])
def test_the_budget_holds(notes: psycopg.Connection, max_tokens: int) -> None:
    notes.execute("UPDATE notes SET body = body || repeat(' The backups are kept.', 40)")
    prompt = context(notes, BACKUPS, max_tokens)
    assert prompt is not None
    assert "[1] The backups" in prompt
    counted = notes.execute("SELECT rowvec.count_tokens(%s, %s)", (MINILM, prompt)).fetchone()
    assert counted is not None
    assert counted[0] <= max_tokens


def test_a_budget_too_small_for_the_question_is_refused(notes: psycopg.Connection) -> None:
    with refused("22023", "max_tokens must be at least"):
        context(notes, BACKUPS, 20)


def test_the_filter_holds(notes: psycopg.Connection) -> None:
    found = notes.execute(
        "SELECT rowvec.context('notes', %s, filter => 'id > $1::int', filter_args => '[1]')",
        (BACKUPS,),
    ).fetchone()
    assert found is not None
    assert found[0] is None or NOTES[0] not in found[0]


def ask(rowvec: Rowvec, dsn: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = rowvec("ask", "notes", *arguments, "--dsn", dsn)
    return done


@pytest.mark.usefixtures("notes")
def test_an_answer_is_streamed_and_its_citations_are_checked(
    rowvec: Rowvec, database: Database, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.answer = "For thirty days [1], in Ürümqi [4]."
    key = tmp_path / "key"
    key.write_text("secret\n")
    named = ("--endpoint", endpoint.url, "--model", "tiny", "--api-key-file", str(key))
    done = ask(rowvec, database.dsn, BACKUPS, *named)
    assert (done.returncode, done.stdout) == (0, "For thirty days [1], in Ürümqi [4].\n")
    assert "[1] key 1: The backups of the database" in done.stderr
    assert "[4], which is no source" in done.stderr
    (asked,) = endpoint.asked
    assert (asked["path"], asked["model"]) == ("/v1/chat/completions", "tiny")
    assert f"[1] {NOTES[0]}" in asked["messages"][0]["content"]
    assert endpoint.keys == ["Bearer secret"]

    endpoint.streams = False
    answer = json.loads(ask(rowvec, database.dsn, BACKUPS, *named, "--json").stdout)
    assert (answer["cited"], answer["invented"]) == ([1], [4])
    assert answer["sources"][0]["key"] == 1
    assert 0.3 < answer["sources"][0]["relevance"] < 1


@pytest.mark.usefixtures("notes")
def test_without_a_matching_row_nobody_is_asked(
    rowvec: Rowvec, database: Database, endpoint: Endpoint
) -> None:
    named = ("--endpoint", endpoint.url, "--model", "tiny")
    done = ask(rowvec, database.dsn, "Which moons of Jupiter are larger than Mercury?", *named)
    assert (done.returncode, done.stdout) == (1, "")
    assert "No row of notes matches the question." in done.stderr
    assert endpoint.asked == []
    # As near as the rows are to each other counts as nothing; where the nearest is, that is said.
    strict = ask(rowvec, database.dsn, BACKUPS, *named, "--relevance", "0.99")
    found = re.search(r"The nearest has a relevance of (0\.\d\d)", strict.stderr)
    assert found is not None, strict.stderr
    assert float(found[1]) > 0.3


@pytest.mark.usefixtures("notes")
def test_the_prompt_alone(rowvec: Rowvec, database: Database) -> None:
    done = ask(rowvec, database.dsn, BACKUPS, "--context-only")
    assert done.returncode == 0, done.stderr
    assert f"[1] {NOTES[0]}" in done.stdout


@pytest.mark.usefixtures("notes")
def test_an_endpoint_that_fails_is_one_sentence(
    rowvec: Rowvec, database: Database, endpoint: Endpoint
) -> None:
    named = ("--endpoint", endpoint.url, "--model", "tiny")
    endpoint.status = 401
    done = ask(rowvec, database.dsn, BACKUPS, *named)
    assert (done.returncode, "refuses the key (HTTP 401)" in done.stderr) == (2, True)
    done = ask(rowvec, database.dsn, BACKUPS, "--endpoint", "ftp://x", "--model", "tiny")
    assert (done.returncode, "http://" in done.stderr) == (2, True)
    assert ask(rowvec, database.dsn, BACKUPS).returncode == 2
