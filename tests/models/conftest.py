"""The small models as fixtures, and how vectors are computed and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rowvec.models.embedder import Embedder
from support.endpoints import Endpoint, listening
from support.tiny_models import INSTRUCTION, TEXTS, save_bert, save_clip, save_decoder, save_t5


@pytest.fixture(scope="session", autouse=True)
def _one_thread_of_torch() -> None:
    """Two that share a busy core spend their time waiting for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Texts of every kind: empty, other scripts, longer than the small models read."""
    return TEXTS


@pytest.fixture(scope="session")
def instruction() -> str:
    return INSTRUCTION


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 encoder and its tokenizer."""
    folder = tmp_path_factory.mktemp("t5")
    save_t5(folder)
    return folder


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a small BERT: `bert_folder("BertModel")`, or another class of its family."""

    def make(head: str = "BertModel", *, labels: int = 1, **tokenizer_fields: object) -> Path:
        folder = tmp_path_factory.mktemp(head)
        save_bert(folder, head, labels=labels, **tokenizer_fields)
        return folder

    return make


@pytest.fixture(scope="session")
def decoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a small decoder."""

    def make(**tokenizer_fields: object) -> Path:
        folder = tmp_path_factory.mktemp("decoder")
        save_decoder(folder, **tokenizer_fields)
        return folder

    return make


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP."""
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder)
    return folder


@contextmanager
def _endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    with listening(endpoint.reply) as endpoint.url:
        yield endpoint


@pytest.fixture
def server() -> Iterator[Endpoint]:
    """An endpoint of one test."""
    with _endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """An endpoint that a worker's list names."""
    with _endpoint() as endpoint:
        yield endpoint


Vectors = npt.NDArray[np.float32]


@pytest.fixture(scope="session")
def embed() -> Callable[..., Vectors]:
    """What the engine does: tokenise all, compute in batches of different lengths."""

    def run(model: Embedder, texts: Sequence[str], prompt: str = "") -> Vectors:
        tokenized = model.tokenize(texts, prompt)
        order = sorted(range(len(texts)), key=lambda i: tokenized[i].length)
        rows: dict[int, Vectors] = {}
        for start in range(0, len(order), 4):
            batch = order[start : start + 4]
            rows.update(zip(batch, model.forward([tokenized[i] for i in batch]), strict=True))
        return np.stack([rows[i] for i in range(len(texts))])

    return run


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Vectors, Vectors], None]:
    """Cosine at least 0.99999 of every row, and lengths that agree; zero vectors stay zero."""

    def check(ours: Vectors, theirs: Vectors) -> None:
        assert ours.shape == theirs.shape
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        lengths = np.linalg.norm(ours, axis=1)
        np.testing.assert_allclose(lengths, np.linalg.norm(theirs, axis=1), rtol=1e-5, atol=1e-7)
        cosines = (ours * theirs).sum(axis=1)[lengths > 0] / (lengths**2)[lengths > 0]
        assert cosines.min(initial=1) >= 0.99999

    return check
