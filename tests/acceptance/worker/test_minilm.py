"""The real all-MiniLM-L6-v2 behind a worker gives what sentence-transformers gives."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rowvec.client import Embeddings, WorkerClient
from support.models import MINILM, RealModel
from support.workers import Worker

pytestmark = pytest.mark.minilm


@pytest.fixture(scope="module")
def reference(real_model: RealModel) -> Any:
    from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - slow to import

    return SentenceTransformer(str(real_model("minilm")), device="cpu")


def embed(worker: Worker, inputs: list[str], kwargs: dict[str, Any] | None = None) -> Embeddings:
    async def ask() -> Embeddings:
        async with await WorkerClient.connect(worker.conninfo) as client:
            return await client.embed(MINILM, inputs, kwargs)

    return asyncio.run(ask())


def docstrings(count: int) -> list[str]:
    """Texts of mixed length, from the standard library."""
    found: dict[str, None] = {}
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (
                text := ast.get_docstring(node)
            ):
                found[text] = None
    texts = sorted(found, key=hash_of)
    return texts[:count]


def hash_of(text: str) -> bytes:
    """An order that has nothing to do with length."""
    return hashlib.sha256(text.encode()).digest()


def test_the_known_value(worker: Worker) -> None:
    expected = [-0.03447725, 0.03102325, 0.00673496, 0.02610892, -0.03936201]
    found = embed(worker, ["Hello world"])
    assert found.vectors[0][:5] == pytest.approx(expected, abs=1e-5)
    assert found.tokens.tolist() == [4]


def test_texts_of_mixed_length_equal_encode(worker: Worker, reference: Any) -> None:
    texts = [
        *docstrings(150),
        "",
        " ",
        "x " * 5000,
        "\u05e9\u05dc\u05d5\u05dd",
        "\U0001f9be",
        "\x01\x7f",
    ]
    found = embed(worker, texts)
    expected = reference.encode(texts)
    assert (found.vectors * expected).sum(axis=1).min() >= 0.99999
    assert found.tokens[texts.index("x " * 5000)] == 5002


@pytest.mark.parametrize(
    ("kwargs", "encode_arguments"),
    [
        ({"prompt": "query: "}, {"prompt": "query: "}),
        ({"normalize": True}, {"normalize_embeddings": True}),
        ({"truncate_dim": 100}, {"truncate_dim": 100, "normalize_embeddings": True}),
        ({"input_type": "query"}, {}),
        ({"batch_size": 7, "device": "cpu", "timeout_ms": 5000}, {}),
    ],
)
def test_kwargs_mean_what_they_mean_to_encode(
    worker: Worker,
    reference: Any,
    kwargs: dict[str, Any],
    encode_arguments: dict[str, Any],
) -> None:
    texts = ["a short text", "another, a little longer than the first one"]
    found = embed(worker, texts, kwargs).vectors
    expected = reference.encode(texts, **encode_arguments)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5


def test_the_listener_never_loads_what_computes(worker: Worker) -> None:
    embed(worker, ["so that the engine has it"])
    loaded = Path(f"/proc/{worker.process.pid}/maps").read_text()
    assert "libtorch" not in loaded
