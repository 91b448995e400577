"""`rowvec plan`, `rowvec verify`, `rowvec retry` as a person meets them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from subprocess import CompletedProcess

import psycopg
import pytest

from support.postgres import Database

Rowvec = Callable[..., CompletedProcess[str]]


@pytest.fixture
def run(database: Database, rowvec: Rowvec) -> Rowvec:
    return lambda *arguments: rowvec(*arguments, ROWVEC_DSN=database.dsn)


def define(connection: psycopg.Connection, texts: list[str], model: str) -> None:
    connection.execute("CREATE TABLE reviews (id int PRIMARY KEY, body text)")
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO reviews VALUES (%s, %s)", list(enumerate(texts)))
    connection.execute("SELECT rowvec.create_embedding('reviews', %s, 'body')", (model,))


def test_plan(connection: psycopg.Connection, run: Rowvec) -> None:
    define(connection, ["four words are here"] * 90 + ["word " * 20] * 10, "stand-in-small")
    done = run(
        "plan", "reviews", "--json", "--price-per-hour", "3.6", "--price-per-million-tokens", "10"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["rows"], found["rows_are_exact"], found["sampled_rows"]) == (100, True, 100)
    assert (found["tokens"], found["long_rows"]) == (90 * 4 + 10 * 20, 10)
    assert found["hosted_cost"] == pytest.approx(560 / 1e6 * 10)
    assert found["cost"] == pytest.approx(found["seconds"] / 1000)
    assert found["vector_bytes"] > 100 * 8 * 4
    assert "longer than the 16 tokens" in found["warnings"][0]
    assert connection.execute("SELECT count(embedding) FROM reviews").fetchone() == (0,)
    told = run("plan", "reviews")
    assert "rows to embed" in told.stdout
    assert "10 rows are longer" in told.stderr


def test_plan_counts_the_index_that_stands(connection: psycopg.Connection, run: Rowvec) -> None:
    define(connection, [f"text {n}" for n in range(200)], "stand-in-small")
    connection.execute("CALL rowvec.backfill('reviews')")
    chosen = json.loads(run("plan", "reviews", "--json").stdout)["index_bytes"]
    assert run("index", "reviews", "--kind", "hnsw").returncode == 0
    # Each row's neighbours stand beside its vector.
    assert json.loads(run("plan", "reviews", "--json").stdout)["index_bytes"] > 2 * chosen > 0


def test_plan_of_nothing(connection: psycopg.Connection, run: Rowvec) -> None:
    define(connection, [], "stand-in-small")
    found = json.loads(run("plan", "reviews", "--json").stdout)
    assert (found["rows"], found["seconds"], found["warnings"]) == (0, None, [])


def test_verify_says_which_vector_is_another(connection: psycopg.Connection, run: Rowvec) -> None:
    define(connection, [f"text {n}" for n in range(30)], "stand-in-small")
    assert "no vector" in run("verify", "reviews").stdout
    connection.execute("CALL rowvec.backfill('reviews')")
    done = run("verify", "reviews", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sampled"] == 30
    connection.execute(
        "UPDATE reviews SET embedding = rowvec.embed('stand-in-small', 'x') WHERE id = 7"
    )
    done = run("verify", "reviews", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["keys"] == [7]
    assert "1 of 30 vectors" in run("verify", "reviews").stderr


def test_retry(connection: psycopg.Connection, run: Rowvec) -> None:
    define(connection, ["good", "refuse me", "refuse me too"], "refusing")
    assert json.loads(run("backfill", "reviews", "--json").stdout)["failed"] == 2
    assert json.loads(run("backfill", "reviews", "--json").stdout)["failed"] == 0
    assert json.loads(run("retry", "reviews", "--sqlstate", "57000", "--json").stdout) == {"due": 0}
    assert "2 rows will be tried again" in run("retry", "reviews").stdout
    assert "rowvec backfill public.reviews" in run("retry", "public.reviews").stdout
    assert json.loads(run("backfill", "reviews", "--json").stdout)["failed"] == 2


MISTAKES = {
    "rows a transaction": (("--commit-rows", "0"), 2, "--commit-rows"),
    "rows a second": (("--max-rows-per-second", "0"), 2, "--max-rows-per-second"),
    "a lease of nothing": (("--lease-seconds", "0"), 2, "--lease-seconds"),
    "no workers": (("--workers", "0"), 2, "--workers"),
    "an address without Ray": (("--address", "localhost:1"), 2, "--engine ray"),
    "an unknown engine": (("--engine", "steam"), 2, "steam"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_changes_nothing(
    connection: psycopg.Connection, run: Rowvec, mistake: tuple[tuple[str, ...], int, str]
) -> None:
    arguments, code, said = mistake
    define(connection, ["text"], "stand-in-small")
    done = run("backfill", "reviews", *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert connection.execute("SELECT count(embedding) FROM reviews").fetchone() == (0,)


def test_a_lease_shorter_than_a_batch(connection: psycopg.Connection, run: Rowvec) -> None:
    # Texts that nobody sent before: the worker knows the others by heart.
    define(connection, [f"text {n} of {uuid.uuid4()}" for n in range(20)], "slow")
    done = run("backfill", "reviews", "--lease-seconds", "0.05")
    assert done.returncode == 2
    assert "a lease of 0.05 s is shorter than a batch takes" in done.stderr
    assert connection.execute("SELECT count(embedding) FROM reviews").fetchone() == (0,)


def test_paused_is_said_and_renamed_is_followed(
    connection: psycopg.Connection, run: Rowvec
) -> None:
    define(connection, ["text"], "stand-in-small")
    connection.execute("SELECT rowvec.pause_embedding('reviews')")
    done = run("backfill", "reviews")
    assert (done.returncode, "is paused" in done.stderr) == (1, True)
    connection.execute("SELECT rowvec.resume_embedding('reviews')")
    connection.execute("ALTER TABLE reviews RENAME body TO words")
    assert run("backfill", "reviews").returncode == 0
    assert connection.execute("SELECT count(embedding) FROM reviews").fetchone() == (1,)
