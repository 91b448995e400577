"""Where a batch is computed: short texts of a quick model on the event loop, others in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from rowvec.batching import Batch
from rowvec.errors import NonFiniteEmbedding
from rowvec.models.backends.backend import Chosen, Features
from rowvec.models.embedder import Matrix, Tokenized
from rowvec.worker import computing
from rowvec.worker.computing import Computing, Group, Key


class Encoder:
    """A TokenEncoder that says whether any thread may run it."""

    pads = True
    memory_bytes = 0

    def __init__(self, *, any_thread: bool) -> None:
        self.any_thread = any_thread

    def encode(self, batch: Sequence[Tokenized]) -> Features:
        return {"token_embeddings": np.ones((len(batch), 1, 2), np.float32)}


class Model:
    """A model that notes which thread computes."""

    dimensions = 2
    max_tokens = 100

    def __init__(self, *, any_thread: bool = True, value: float = 1) -> None:
        self.chosen = Chosen("onnx", Encoder(any_thread=any_thread), "asked for")
        self.threads: list[str] = []
        self._value = value

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        return [Tokenized(len(text), len(text), prompt + text) for text in texts]

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        self.threads.append(threading.current_thread().name)
        return np.full((len(batch), 2), self._value, np.float32)


def run(model: Model, *batches: Sequence[str], told: list[Any] | None = None) -> list[bool]:
    """Whether each batch, one after the other, was computed on the event loop."""

    async def scenario() -> None:
        with ThreadPoolExecutor(1, "compute") as thread:
            tell = [].append if told is None else told.append
            compute = Computing(
                thread, lambda _: model, tell, salt=b"s" * 16, box=None, batch_seconds=1
            )
            for texts in batches:
                group = Group(Key("m"), "embed", "")
                await compute(Batch(group, model.tokenize(texts, ""), list(texts)))

    asyncio.run(scenario())
    return [name == threading.current_thread().name for name in model.threads]


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy at the moment is no reason for a model to count as slow here."""
    monkeypatch.setattr(computing, "BRIEF_SECONDS", 60)


def test_short_texts_stay_on_the_event_loop_once_one_was_quick() -> None:
    assert run(Model(), ["one"], ["two"], ["three"]) == [False, True, True]


def test_several_texts_and_long_ones_go_to_the_thread() -> None:
    assert run(Model(), ["one"], ["two", "three"], ["x" * 33], ["y" * 32]) == [
        False, False, False, True,
    ]  # fmt: skip


def test_a_model_that_keeps_to_its_thread_is_left_there() -> None:
    assert run(Model(any_thread=False), ["one"], ["two"]) == [False, False]


def test_a_slow_model_goes_to_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computing, "BRIEF_SECONDS", 0)
    assert run(Model(), ["one"], ["two"]) == [False, False]


def test_every_batch_is_reported() -> None:
    told: list[Any] = []
    run(Model(), ["one"], ["three", "one"], told=told)
    assert [(t["texts"], t["tokens"], t["padding"]) for t in told] == [(1, 3, 0), (2, 8, 2)]


def test_what_is_not_finite_is_not_given_out() -> None:
    with pytest.raises(NonFiniteEmbedding):
        run(Model(value=float("nan")), ["one"])
