"""Texts through a job and the real MiniLM, against the model in this process."""

from __future__ import annotations

import json
import random

import numpy as np
import psycopg
import pytest

from rowvec.models.compiled.proof import cosines
from support.commands import Rowvec
from support.library import Encode
from support.models import MINILM, RealModel
from support.places import ROOT
from support.postgres import Database


@pytest.mark.minilm
@pytest.mark.timeout(300)
def test_vectors_equal_those_of_encode(
    *,
    database: Database,
    connection: psycopg.Connection,
    rowvec: Rowvec,
    library_encode: Encode,
    real_model: RealModel,
) -> None:
    words = (ROOT / "LICENSE").read_text().split()
    shuffled = random.Random(1)  # noqa: S311
    # Mostly short, so that the test is; some are near 256 tokens, nine beyond, one is empty.
    lengths = shuffled.choices((1, 2, 5, 12, 40, 150), (30, 30, 25, 10, 4, 1), k=490)
    texts = [" ".join(shuffled.choices(words, k=length)) for length in [*lengths, *[400] * 9, 0]]
    connection.execute("CREATE TABLE docs (id int PRIMARY KEY, doc text)")
    with connection.cursor() as cursor, cursor.copy("COPY docs FROM STDIN") as copy:
        for number, text in enumerate(texts):
            copy.write_row((number, text))
    connection.execute("SELECT rowvec.create_embedding('docs', %s, 'doc')", (MINILM,))
    done = rowvec("backfill", "docs", "--json", "--dsn", database.dsn)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["written"], summary["truncated"]) == (500, 9)
    rows = connection.execute("SELECT embedding::text FROM docs ORDER BY id").fetchall()
    found = np.array([json.loads(row[0]) for row in rows], np.float32)
    assert cosines(found, library_encode(real_model("minilm"), texts)).min() >= 0.99999
