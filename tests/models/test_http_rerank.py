"""Reranking over HTTP, beside the library itself; what a model is not for is refused."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sentence_transformers import CrossEncoder

from support.workers import StartWorker

QUERY = "where is the food stored in a yam plant"

MODELS = """
[[model]]
name = "cross"
kind = "cross-encoder"
path = "{cross}"

[[model]]
name = "stand-in"
kind = "stand-in"
"""

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def cross(bert_folder: Callable[..., Path]) -> Path:
    return bert_folder("BertForSequenceClassification")


@pytest.fixture(scope="module")
def ask(start_module_worker: StartWorker, cross: Path) -> Ask:
    worker = start_module_worker(MODELS.format(cross=cross), "--http-listen", "127.0.0.1:0")
    found = re.search(r"answering HTTP on http://(\S+)", worker.log.read_text())
    assert found is not None
    address = found[1]

    def ask(path: str, **body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(address, timeout=60)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    return ask


def test_scores_are_the_librarys(ask: Ask, cross: Path, texts: list[str]) -> None:
    theirs = CrossEncoder(str(cross), device="cpu", local_files_only=True).rank(QUERY, texts)
    status, answer = ask("/v1/rerank", model="cross", query=QUERY, documents=texts)
    assert (status, answer["model"]) == (200, "cross")
    assert [r["index"] for r in answer["results"]] == [hit["corpus_id"] for hit in theirs]
    assert [r["relevance_score"] for r in answer["results"]] == pytest.approx(
        [hit["score"] for hit in theirs], abs=1e-5
    )


def test_the_best_with_their_documents(ask: Ask, texts: list[str]) -> None:
    asked = {"model": "cross", "query": QUERY, "documents": [{"text": text} for text in texts]}
    _, everything = ask("/v1/rerank", **asked)
    status, best = ask("/v1/rerank", **asked, top_n=2, return_documents=True)
    assert status == 200
    assert [r["index"] for r in best["results"]] == [r["index"] for r in everything["results"][:2]]
    assert all(r["document"] == {"text": texts[r["index"]]} for r in best["results"])


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v1/rerank", {"model": "stand-in", "query": "q", "documents": ["a"]}, 400, "score"),
        ("/v1/rerank", {"model": "nope", "query": "q", "documents": ["a"]}, 404, "nope"),
        ("/v1/rerank", {"model": "cross", "query": "q", "documents": [7]}, 400, "input 1"),
        ("/v1/embeddings", {"model": "cross", "input": "a"}, 400, "use rerank"),
    ],
)
def test_what_is_refused(ask: Ask, path: str, body: Any, status: int, words: str) -> None:
    found, answer = ask(path, **body)
    assert (found, words in answer["error"]["message"]) == (status, True), answer
