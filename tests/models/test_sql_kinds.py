"""rerank, embed_sparse and embed_image through a real worker, in SQL and by the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from PIL import Image
from sentence_transformers import CrossEncoder, SentenceTransformer, SparseEncoder

from rowvec.client import TextChunk, WorkerClient
from support.postgres import Database
from support.workers import StartWorker, Worker, point_at

QUERY = "where is the food stored in a yam plant"

MODELS = """
[[model]]
name = "cross"
kind = "cross-encoder"
path = "{cross}"

[[model]]
name = "sparse"
kind = "sparse-encoder"
path = "{sparse}"

[[model]]
name = "clip"
kind = "sentence-transformers"
path = "{clip}"

[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
max_tokens = 64
"""


@pytest.fixture(scope="module")
def folders(bert_folder: Callable[..., Path], clip_folder: Path) -> dict[str, Path]:
    return {
        "cross": bert_folder("BertForSequenceClassification"),
        "sparse": bert_folder("BertForMaskedLM"),
        "clip": clip_folder,
    }


@pytest.fixture(scope="module")
def worker(start_module_worker: StartWorker, folders: dict[str, Path]) -> Any:
    """Each kind by its smallest model; images of at most a million pixels."""
    return start_module_worker(MODELS.format(**folders), "--max-image-pixels", "1000000")


@pytest.fixture
def conn(migrated_database: Database, worker: Worker) -> Iterator[psycopg.Connection]:
    point_at(migrated_database, worker)
    with migrated_database.connect() as connection:
        yield connection


def one(conn: psycopg.Connection, statement: str, *parameters: object) -> Any:
    row = conn.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0]


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 32)) -> bytes:
    noise = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    content = BytesIO()
    Image.fromarray(noise).save(content, kind)
    return content.getvalue()


def reranked(
    conn: psycopg.Connection, documents: list[Any] | None, kwargs: str = "{}"
) -> list[Any]:
    return conn.execute(
        "SELECT * FROM rowvec.rerank('cross', %s, %s, %s)", (QUERY, documents, kwargs)
    ).fetchall()


def test_rerank_is_the_librarys_rank(
    conn: psycopg.Connection, folders: dict[str, Path], texts: list[str]
) -> None:
    theirs = CrossEncoder(str(folders["cross"]), device="cpu", local_files_only=True)
    expected = theirs.rank(QUERY, texts)
    found = reranked(conn, texts)
    assert [row[0] for row in found] == [int(hit["corpus_id"]) + 1 for hit in expected]
    assert [row[1] for row in found] == pytest.approx([hit["score"] for hit in expected], abs=1e-5)
    assert [row[2] for row in found] == [texts[row[0] - 1] for row in found]


def test_the_best_only(conn: psycopg.Connection, texts: list[str]) -> None:
    best = reranked(conn, texts, '{"top_k": 2, "return_documents": false}')
    assert [(row[0], row[2]) for row in best] == [
        (row[0], None) for row in reranked(conn, texts)[:2]
    ]


def test_documents_that_are_not_there(conn: psycopg.Connection, texts: list[str]) -> None:
    with_nulls = [None, texts[0], None, texts[2]]
    assert {(row[0], row[2]) for row in reranked(conn, with_nulls)} == {
        (2, texts[0]),
        (4, texts[2]),
    }
    assert reranked(conn, []) == reranked(conn, None) == reranked(conn, [None]) == []
    assert one(conn, "SELECT count(*) FROM rowvec.rerank('cross', NULL, '{a,b}')") == 0
    # An array of Postgres may begin anywhere; the place counts from 1 all the same.
    assert one(conn, "SELECT ordinality FROM rowvec.rerank('cross', 'q', '[7:7]={x}')") == 1
    assert one(conn, "SELECT document FROM rowvec.rerank('cross', 'q', '[7:7]={x}')") == "x"


def test_sparse_is_the_librarys_encode(
    conn: psycopg.Connection, folders: dict[str, Path], texts: list[str]
) -> None:
    theirs = SparseEncoder(str(folders["sparse"]), device="cpu", local_files_only=True)
    expected = theirs.encode(texts, convert_to_sparse_tensor=False).numpy()
    for _ in ("computed", "cached"):
        found = [one(conn, "SELECT rowvec.embed_sparse('sparse', %s)::vector", t) for t in texts]
        np.testing.assert_allclose([json.loads(v) for v in found], expected, atol=1e-4)
    assert one(conn, "SELECT pg_typeof(rowvec.embed_sparse('sparse', 'x'))") == "sparsevec"
    assert one(conn, "SELECT rowvec.embed_sparse('sparse', NULL)") is None


def test_an_image_and_a_text_in_one_space(
    conn: psycopg.Connection, folders: dict[str, Path]
) -> None:
    theirs = SentenceTransformer(str(folders["clip"]), device="cpu", local_files_only=True)
    image = one(conn, "SELECT rowvec.embed_image('clip', %s)", picture())
    expected = theirs.encode(Image.open(BytesIO(picture())))
    np.testing.assert_allclose(json.loads(image), expected, atol=1e-5)
    text = one(conn, "SELECT rowvec.embed('clip', 'a red square')")
    np.testing.assert_allclose(json.loads(text), theirs.encode("a red square"), atol=1e-5)
    assert one(conn, "SELECT rowvec.embed_image('clip', %s)", picture()) == image
    assert one(conn, "SELECT rowvec.embed_image('clip', NULL)") is None
    half = one(conn, "SELECT rowvec.embed_image('clip', %s, '{\"truncate_dim\": 5}')", picture())
    assert json.loads(half) == json.loads(image)[:5]


def test_the_text_of_an_image_is_a_text(conn: psycopg.Connection) -> None:
    """Base64 of an image, embedded as the text that it is, is not answered from the cache."""
    image = picture("PNG", (4, 4))
    of_image = one(conn, "SELECT rowvec.embed_image('clip', %s)", image)
    of_text = one(conn, "SELECT rowvec.embed('clip', encode(%s, 'base64'))", image)
    assert of_image != of_text


@pytest.mark.parametrize(
    ("statement", "sqlstate", "message"),
    [
        ("embed_image('clip', '')", "22023", "the image has no bytes"),
        ("embed_image('clip', 'no image')", "22023", "the bytes are no image"),
        ("embed_image('stand-in', 'x')", "22023", "stand-in reads texts, not images"),
        ("embed_image('sparse', 'x')", "22023", "sparse gives a sparse vector, not a vector"),
        ("embed('cross', 'x')", "22023", "cross gives a score, not a vector"),
        ("embed('sparse', 'x')", "22023", "sparse gives a sparse vector, not"),
        ("embed_sparse('stand-in', 'x')", "22023", "stand-in gives a vector, not a sparse vector"),
        ("rerank('stand-in', 'q', '{x}')", "22023", "stand-in gives a vector, not a score"),
        ("rerank('cross', 'q', '{{x},{y}}')", "22023", "must be a one-dimensional array"),
        ("rerank('cross', 'q', '{x}', '{\"top_k\": 0}')", "22023", "top_k must be"),
        ("rerank('cross', 'q', '{x}', '{\"prompt\": \"p\"}')", "22023", "unknown kwargs of rerank"),
    ],
)
def test_what_is_wrong_is_said(
    conn: psycopg.Connection, statement: str, sqlstate: str, message: str
) -> None:
    with pytest.raises(psycopg.Error, match=message) as caught:
        conn.execute(f"SELECT rowvec.{statement}")
    assert caught.value.sqlstate == sqlstate


def test_too_many_pixels(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.Error, match="1001 x 1000 pixels, the worker takes 1000000") as no:
        conn.execute("SELECT rowvec.embed_image('clip', %s)", (picture("PNG", (1001, 1000)),))
    assert no.value.sqlstate == "54000"
    # The connection to the worker and the worker itself are as before.
    assert one(conn, "SELECT rowvec.embed_image('clip', %s) IS NOT NULL", picture("JPEG"))


@pytest.fixture
def asked(worker: Worker) -> Callable[..., Any]:
    """What a client's method answers: `asked(lambda client: client.models())`."""

    def ask(call: Callable[[WorkerClient], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with await WorkerClient.connect(worker.conninfo) as client:
                return await call(client)

        return asyncio.run(run())

    return ask


def test_the_client_ranks(conn: psycopg.Connection, asked: Callable[..., Any]) -> None:
    documents = ["in the tuber", None, "on the table"]
    found = asked(lambda client: client.rerank("cross", QUERY, documents))
    rows = reranked(conn, documents)
    assert [one.position for one in found] == [place - 1 for place, _, _ in rows]
    assert [one.score for one in found] == pytest.approx([score for _, score, _ in rows])


def test_the_client_reads_images(conn: psycopg.Connection, asked: Callable[..., Any]) -> None:
    found = asked(lambda client: client.embed_images("clip", [picture(), None]))
    in_sql = one(conn, "SELECT rowvec.embed_image('clip', %s)::real[]", picture())
    assert found.vectors[0] == pytest.approx(np.array(in_sql), abs=1e-6)
    assert found.nulls.tolist() == [False, True]


def test_the_client_reads_sparse_vectors(
    conn: psycopg.Connection, asked: Callable[..., Any]
) -> None:
    vector, null = asked(lambda client: client.embed_sparse("sparse", [QUERY, None]))
    assert null is None
    assert vector.to_text() == one(conn, "SELECT rowvec.embed_sparse('sparse', %s)::text", QUERY)


def test_the_client_cuts_texts(asked: Callable[..., Any]) -> None:
    chunks = asked(
        lambda client: client.chunk("stand-in", ["one two three", None, " "], {"max_tokens": 2})
    )
    assert chunks == [[TextChunk("one two", 0, 7, 2), TextChunk("three", 8, 13, 1)], [], []]


def test_the_client_lists_models(asked: Callable[..., Any]) -> None:
    listed = asked(lambda client: client.models())
    assert [model["name"] for model in listed] == ["cross", "sparse", "clip", "stand-in"]
    assert listed[3]["dimensions"] == 8
