"""rowvec.chunk in SQL, through a real worker: offsets as Postgres counts, tokens as the model."""

from __future__ import annotations

import ast
import inspect
import logging
import os
import random
import re
import socket
import unicodedata
import unittest
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.postgres import Database

MINILM = "sentence-transformers/all-MiniLM-L6-v2"

MIXED = (
    "A vector for every row. It belongs beside the row!\n\nВектор для каждой строки. 每行一个向量。"  # noqa: RUF001
    "👩‍👩‍👧‍👦 e\u0301 é ﷺ — ﬁn.\r\n\r\n" + " ".join(f"word{n}" for n in range(60))
)


SCRIPTS = (
    "ar", "bg", "bn", "el", "fa", "he", "hi", "hy", "ja", "ka", "km", "ko", "ml", "mn", "ne", "ru",
    "ta", "te", "th", "uk", "vi", "zh_Hans", "zh_Hant",
)  # fmt: skip


def real_texts() -> list[str]:
    """What the standard library says of itself, and what Django says in 22 other languages."""
    english = [
        doc
        for module in (inspect, logging, os, random, socket, unittest)
        for value in vars(module).values()
        if isinstance(doc := getattr(value, "__doc__", None), str) and len(doc) > 80
    ]
    django = files("django")
    assert isinstance(django, Path)
    said: dict[str, None] = {}
    for language in SCRIPTS:
        for catalog in sorted(django.glob(f"**/locale/{language}/LC_MESSAGES/django.po")):
            said |= dict.fromkeys(messages(catalog.read_text("utf-8")))
    return [*dict.fromkeys(english)][:200] + sorted(said, key=len)[-800:]


def messages(catalog: str) -> Iterator[str]:
    """The translations in a gettext catalog; its first message is about itself."""
    _, *found = re.findall(r'^msgstr(?:\[\d])? ((?:".*"\n)+)', catalog, re.MULTILINE)
    for message in found:
        yield "".join(ast.literal_eval(line) for line in message.splitlines())


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect() as connection:
        yield connection


def chunks(conn: psycopg.Connection, model: str, text: str | None, kwargs: str) -> list[Any]:
    return conn.execute(
        "SELECT ordinality, chunk, start_char, end_char, tokens FROM rowvec.chunk(%s, %s, %s)",
        (model, text, kwargs),
    ).fetchall()


@pytest.mark.parametrize("border", ["paragraph", "sentence", "tokens"])
@pytest.mark.parametrize("model", [MINILM, "stand-in"])
def test_offsets_are_those_of_substr(conn: psycopg.Connection, model: str, border: str) -> None:
    row = conn.execute(
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


def test_a_thousand_real_texts_in_many_scripts(conn: psycopg.Connection) -> None:
    texts = real_texts()
    written = {unicodedata.name(c).split()[0] for t in texts for c in t if c.isalpha()}
    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI"} < written
    assert {"HANGUL", "HIRAGANA", "CJK", "GEORGIAN", "ARMENIAN", "BENGALI"} < written
    conn.execute("CREATE TABLE texts (id serial, t text)")
    with conn.cursor().copy("COPY texts (t) FROM STDIN") as copy:
        for text in texts:
            copy.write_row((text,))
    row = conn.execute(
        """
        SELECT count(DISTINCT t), count(DISTINCT id), count(*), max(tokens),
            max(rowvec.count_tokens(%(model)s, chunk)),
            bool_and(substr(t, start_char + 1, end_char - start_char) = chunk)
        FROM texts, rowvec.chunk(%(model)s, t, '{"max_tokens": 32, "overlap": 8}')
        """,
        {"model": MINILM},
    ).fetchone()
    assert row is not None
    different, chunked, found, said, counted, same = row
    assert different == chunked == 1000
    assert found > 3000
    assert said <= 32
    assert counted <= 32
    assert same


def test_a_page_of_prose(conn: psycopg.Connection) -> None:
    text = inspect.getdoc(re) or ""
    found = chunks(conn, MINILM, text, "{}")
    assert len(found) > 1
    assert [text[start:end] for _, _, start, end, _ in found] == [chunk for _, chunk, *_ in found]
    assert max(tokens for *_, tokens in found) <= 256


def test_the_prompt_counts(conn: psycopg.Connection) -> None:
    text = " ".join(f"w{n}" for n in range(40))
    without = chunks(conn, "stand-in", text, '{"max_tokens": 10}')
    beside = chunks(conn, "stand-in", text, '{"max_tokens": 10, "prompt": "a passage: "}')
    assert [tokens for *_, tokens in without] == [10] * 4
    assert [tokens for *_, tokens in beside] == [10] * 5
    assert [len(chunk.split()) for _, chunk, *_ in beside] == [8] * 5


@pytest.mark.parametrize("text", [None, "", " \n\n\t "])
def test_nothing_to_chunk(conn: psycopg.Connection, text: str | None) -> None:
    assert chunks(conn, "stand-in", text, "{}") == []


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
def test_what_is_wrong_is_said(conn: psycopg.Connection, kwargs: str, message: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
        chunks(conn, "stand-in", "a text", kwargs)


def test_an_unlisted_model(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"has no '\.\./m'"):
        chunks(conn, "../m", "a text", "{}")


def test_who_may(database: Database) -> None:
    with database.connect() as conn:
        conn.execute("CREATE ROLE chunker LOGIN")
        try:
            with database.connect("chunker") as theirs:
                call = "SELECT count(*) FROM rowvec.chunk('stand-in', 'a text')"
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    theirs.execute(call)
                conn.execute("GRANT rowvec_user TO chunker")
                assert theirs.execute(call).fetchone() == (1,)
        finally:
            conn.execute("DROP ROLE chunker")
