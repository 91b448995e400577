"""rowvec.chunk in SQL, through a real worker: offsets as Postgres counts, tokens as the model."""

from __future__ import annotations

import inspect
import re
from typing import Any

import psycopg
import pytest

from support.models import MINILM
from support.postgres import Database

MIXED = (
    "A vector for every row. It belongs beside the row!\n\nВектор для каждой строки. 每行一个向量。"  # noqa: RUF001
    "👩‍👩‍👧‍👦 e\u0301 é ﷺ — ﬁn.\r\n\r\n" + " ".join(f"word{n}" for n in range(60))
)


def chunks(connection: psycopg.Connection, model: str, text: str | None, kwargs: str) -> list[Any]:
    return connection.execute(
        "SELECT ordinality, chunk, start_char, end_char, tokens FROM rowvec.chunk(%s, %s, %s)",
        (model, text, kwargs),
    ).fetchall()


@pytest.mark.parametrize("border", ["paragraph", "sentence", "tokens"])
@pytest.mark.parametrize("model", [pytest.param(MINILM, marks=pytest.mark.minilm), "stand-in"])
def test_offsets_are_those_of_substr(
    connection: psycopg.Connection, model: str, border: str
) -> None:
    row = connection.execute(
        """
        SELECT bool_and(substr(t, start_char + 1, end_char - start_char) = chunk),
            bool_and(tokens = rowvec.count_tokens(%(model)s, chunk)),
            max(tokens), array_agg(ordinality)
        FROM (VALUES (%(text)s::text)) AS v(t),
            rowvec.chunk(
                %(model)s, t,
                jsonb_build_object('max_tokens', 24, 'overlap', 6, 'border', %(border)s::text))
        """,
        {"model": model, "text": MIXED, "border": border},
    ).fetchone()
    assert row is not None
    same, counted, most, ordinalities = row
    assert same
    assert counted
    assert most <= 24
    assert len(ordinalities) > 2
    assert ordinalities == list(range(1, len(ordinalities) + 1))


@pytest.mark.minilm
def test_a_page_of_prose(connection: psycopg.Connection) -> None:
    text = inspect.getdoc(re) or ""
    found = chunks(connection, MINILM, text, "{}")
    assert len(found) > 1
    assert [text[start:end] for _, _, start, end, _ in found] == [chunk for _, chunk, *_ in found]
    assert max(tokens for *_, tokens in found) <= 256


def test_the_prompt_counts(connection: psycopg.Connection) -> None:
    text = " ".join(f"w{n}" for n in range(40))
    without = chunks(connection, "stand-in", text, '{"max_tokens": 10}')
    beside = chunks(connection, "stand-in", text, '{"max_tokens": 10, "prompt": "a passage: "}')
    assert [tokens for *_, tokens in without] == [10] * 4
    assert [tokens for *_, tokens in beside] == [10] * 5
    assert [len(chunk.split()) for _, chunk, *_ in beside] == [8] * 5


@pytest.mark.parametrize("text", [None, "", " \n\n\t "])
def test_nothing_to_chunk(connection: psycopg.Connection, text: str | None) -> None:
    assert chunks(connection, "stand-in", text, "{}") == []


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ('{"max_tokens": 300}', "max_tokens 300 is more than the 256 that stand-in reads"),
        ('{"chunk_size": 300}', "unknown kwargs: 'chunk_size'"),
        ('{"border": "page"}', "border must be one of"),
        ('{"max_tokens": 1, "prompt": "a b"}', "leaves no room for text"),
        ("[]", "kwargs must be a JSON object"),
    ],
)
def test_what_is_wrong_is_said(connection: psycopg.Connection, kwargs: str, message: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
        chunks(connection, "stand-in", "a text", kwargs)


def test_an_unlisted_model(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"has no '\.\./m'"):
        chunks(connection, "../m", "a text", "{}")


def test_who_may(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("CREATE ROLE chunker LOGIN")
        try:
            with database.connect("chunker") as theirs:
                call = "SELECT count(*) FROM rowvec.chunk('stand-in', 'a text')"
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    theirs.execute(call)
                connection.execute("GRANT rowvec_user TO chunker")
                assert theirs.execute(call).fetchone() == (1,)
        finally:
            connection.execute("DROP ROLE chunker")
