"""rowvec.chunk of what Django says in many languages: its catalogs are the texts."""

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

import psycopg
import pytest

from support.models import MINILM

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


@pytest.mark.minilm
def test_a_thousand_real_texts_in_many_scripts(connection: psycopg.Connection) -> None:
    texts = real_texts()
    written = {unicodedata.name(c).split()[0] for t in texts for c in t if c.isalpha()}
    assert {"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI"} < written
    assert {"HANGUL", "HIRAGANA", "CJK", "GEORGIAN", "ARMENIAN", "BENGALI"} < written
    connection.execute("CREATE TABLE texts (id serial, t text)")
    with connection.cursor().copy("COPY texts (t) FROM STDIN") as copy:
        for text in texts:
            copy.write_row((text,))
    row = connection.execute(
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
