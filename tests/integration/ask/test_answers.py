"""Questions to narrow collections: what a row answers is answered, what none does is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.models import MINILM
from support.places import ROOT
from support.postgres import Database

pytestmark = pytest.mark.minilm

# What bench/answers.py measures with more models and collections.
LEAST = 0.9


@pytest.fixture(params=["router", "library", "bread"])
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Rows, questions and the rows that answer them."""
    return tomllib.loads((ROOT / "bench/data/answers" / f"{request.param}.toml").read_text())


@pytest.fixture
def conn(database: Database, told: dict[str, Any]) -> Iterator[psycopg.Connection]:
    """The rows with their vectors of the real model."""
    with database.connect() as connection:
        connection.execute("CREATE TABLE answers (name text PRIMARY KEY, body text)")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO answers VALUES (%s, %s)", told["rows"].items())
        connection.execute("SELECT rowvec.create_embedding('answers', %s, 'body')", (MINILM,))
        connection.execute("CALL rowvec.backfill('answers')")
        yield connection


def context(conn: psycopg.Connection, question: str) -> str:
    """The prompt; empty where no row matches."""
    found = conn.execute("SELECT rowvec.context('answers', %s)", (question,)).fetchone()
    assert found is not None
    return found[0] or ""


def test_what_belongs_is_told_from_what_does_not(
    conn: psycopg.Connection, told: dict[str, Any]
) -> None:
    answerable, unanswerable = told["answerable"], told["unanswerable"]["far"]
    assert len(answerable) >= 20
    assert len(unanswerable) >= 20
    missed = [q for q, name in answerable.items() if told["rows"][name] not in context(conn, q)]
    assert len(missed) <= (1 - LEAST) * len(answerable), missed
    answered = [q for q in unanswerable if context(conn, q)]
    assert len(answered) <= (1 - LEAST) * len(unanswerable), answered


@pytest.mark.parametrize("told", ["router"], indirect=True)
def test_a_single_row_can_answer(conn: psycopg.Connection, told: dict[str, Any]) -> None:
    """There is nothing else in the table to hold it against."""
    conn.execute("DELETE FROM answers WHERE name <> 'warranty'")
    assert told["rows"]["warranty"] in context(conn, "How long is the warranty?")
    for question in told["unanswerable"]["far"]:
        assert context(conn, question) == ""


@pytest.mark.parametrize("told", ["router"], indirect=True)
def test_a_table_without_vectors_answers_nothing(conn: psycopg.Connection) -> None:
    conn.execute("UPDATE answers SET embedding = NULL")
    assert context(conn, "How long is the warranty?") == ""
