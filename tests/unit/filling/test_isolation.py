"""A batch with a bad text, and a worker that comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from rowvec.client import TextChunk
from rowvec.errors import (
    BackendFailed,
    DimensionMismatch,
    InvalidText,
    NotAllowed,
    Overloaded,
    RowvecError,
    WorkerUnreachable,
)
from rowvec.filling.async_embedder import EmbeddedTexts
from rowvec.filling.isolation import Isolation
from rowvec.filling.making import ChunkMeans, Chunks, Maker, Whole
from rowvec.filling.outcome import Outcome, Vector
from rowvec.filling.patience import Patience, Stopped, sleep_unless

DIMENSIONS = 2


class Embedder:
    """Answers a text's length, unless `refuse` gives an error for a batch."""

    max_tokens = 5

    def __init__(self, refuse: Callable[[Sequence[str]], RowvecError | None]) -> None:
        self._refuse = refuse
        self.calls: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> EmbeddedTexts:
        self.calls.append(list(texts))
        error = self._refuse(texts)
        if error is not None:
            raise error
        lengths = np.array([len(text) for text in texts])
        return EmbeddedTexts(
            np.full((len(texts), DIMENSIONS), lengths[:, None], np.float32), lengths
        )

    async def chunk(self, texts: Sequence[str], kwargs: Mapping[str, Any]) -> list[list[TextChunk]]:
        raise AssertionError(f"nobody asks for chunks of {len(texts)} texts: {kwargs}")


class Clock:
    """Time that passes only when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def embed(
    embedder: Embedder, texts: list[str], seconds: float = 60, dimensions: int = DIMENSIONS
) -> list[Outcome | RowvecError]:
    async def run() -> list[Outcome | RowvecError]:
        patience = Patience(seconds, lambda _: None, asyncio.Event())
        return await Isolation(Whole(embedder), dimensions, patience).embed(texts)

    return asyncio.run(run())


def test_vectors_in_order_and_truncation_noticed() -> None:
    found = embed(Embedder(lambda _: None), ["a", "four", "longer"])
    assert [v.values[0] for v in found if isinstance(v, Vector)] == [1, 4, 6]
    assert [v.is_truncated for v in found if isinstance(v, Vector)] == [False, False, True]


@pytest.mark.parametrize("bad", [{0}, {7}, {3, 4}, {0, 1, 2, 3, 4, 5, 6, 7}])
def test_only_bad_texts_are_refused(bad: set[int]) -> None:
    texts = [f"{'bad' if i in bad else 'good'} {i}" for i in range(8)]
    embedder = Embedder(lambda ts: InvalidText("no") if any("bad" in t for t in ts) else None)
    found = embed(embedder, texts)
    assert {i for i, outcome in enumerate(found) if isinstance(outcome, RowvecError)} == bad


def test_a_text_that_the_worker_names_costs_two_calls() -> None:
    def refuse(texts: Sequence[str]) -> RowvecError | None:
        bad = [number for number, text in enumerate(texts, start=1) if "bad" in text]
        return InvalidText("in whatever words", input_number=bad[0]) if bad else None

    embedder = Embedder(refuse)
    found = embed(embedder, [f"{'bad' if i == 20 else 'good'} {i}" for i in range(32)])
    assert [i for i, outcome in enumerate(found) if isinstance(outcome, RowvecError)] == [20]
    assert [len(call) for call in embedder.calls] == [32, 1, 31]


class Words(Embedder):
    """Cuts texts at their spaces; a text of several words is too long to be read whole."""

    max_tokens = 1

    async def embed(self, texts: Sequence[str]) -> EmbeddedTexts:
        embedded = await super().embed(texts)
        counts = np.array([len(text.split()) for text in texts])
        return EmbeddedTexts(embedded.vectors, counts)

    async def chunk(self, texts: Sequence[str], kwargs: Mapping[str, Any]) -> list[list[TextChunk]]:
        assert not kwargs
        return [[TextChunk(word, 0, 1, 1) for word in text.split()] for text in texts]


@pytest.mark.parametrize("make", [ChunkMeans, lambda embedder: Chunks(embedder, {})])
def test_a_chunk_that_the_worker_names_is_its_texts(make: Callable[[Words], Maker]) -> None:
    def refuse(texts: Sequence[str]) -> RowvecError | None:
        bad = [number for number, text in enumerate(texts, start=1) if text == "bad"]
        return InvalidText("odd", input_number=bad[0]) if bad else None

    embedder = Words(refuse)
    texts = ["a", "b c d", "e bad f", *(f"good text {i}" for i in range(29))]

    async def run() -> list[Outcome | RowvecError]:
        patience = Patience(60, lambda _: None, asyncio.Event())
        return await Isolation(make(embedder), DIMENSIONS, patience).embed(texts)

    found = asyncio.run(run())
    (failed,) = [i for i, outcome in enumerate(found) if isinstance(outcome, RowvecError)]
    assert failed == 2
    # All, the text alone, all the others; nothing was halved.
    with_chunks = [call for call in embedder.calls if "f" in call or "b" in call]
    assert len(with_chunks) == 3


def test_a_message_that_speaks_of_an_input_names_none() -> None:
    """It may be of an endpoint, or quote what it is about."""
    embedder = Embedder(lambda ts: InvalidText("input 1 is bad") if "bad" in ts else None)
    found = embed(embedder, ["a", "b", "c", "bad"])
    assert [i for i, outcome in enumerate(found) if isinstance(outcome, RowvecError)] == [3]
    assert [len(call) for call in embedder.calls] == [4, 2, 2, 1, 1]


@pytest.mark.parametrize("number", [1, 99, 0])
def test_a_number_that_is_wrong_is_not_believed(number: int) -> None:
    embedder = Embedder(lambda ts: InvalidText("bad", input_number=number) if "bad" in ts else None)
    found = embed(embedder, ["a", "b", "c", "bad", "d", "e"])
    assert [i for i, outcome in enumerate(found) if isinstance(outcome, RowvecError)] == [3]


def test_a_text_that_kills_the_engine_is_found() -> None:
    embedder = Embedder(lambda ts: BackendFailed("died") if "poison" in ts else None)
    found = embed(embedder, ["a", "b", "poison", "c"])
    assert [isinstance(outcome, BackendFailed) for outcome in found] == [False, False, True, False]


def test_an_engine_that_fails_at_everything_charges_nobody() -> None:
    with pytest.raises(BackendFailed):
        embed(Embedder(lambda _: BackendFailed("died")), ["a", "b"], seconds=0)


def test_a_model_that_is_not_listed_any_more_ends_the_run() -> None:
    embedder = Embedder(lambda _: NotAllowed("not listed"))
    with pytest.raises(NotAllowed):
        embed(embedder, ["a", "b"])
    assert len(embedder.calls) == 1


def test_other_dimensions_end_the_run() -> None:
    with pytest.raises(DimensionMismatch, match="2 dimensions, the column has 3"):
        embed(Embedder(lambda _: None), ["a"], dimensions=3)


def test_comes_again_when_the_worker_is_back() -> None:
    errors: list[RowvecError] = [Overloaded("full"), WorkerUnreachable("away")]
    embedder = Embedder(lambda _: errors.pop() if errors else None)
    assert len(embed(embedder, ["a"])) == 1
    assert len(embedder.calls) == 3


def test_patience_is_counted_from_the_last_success() -> None:
    async def run() -> None:
        clock, said = Clock(), list[str]()
        patience = Patience(10, said.append, asyncio.Event(), clock)
        error = Overloaded("full")
        await patience.wait(error)
        clock.now = 9.99
        await patience.wait(error)
        patience.succeeded()
        clock.now = 15
        await patience.wait(error)
        clock.now = 25
        with pytest.raises(Overloaded):
            await patience.wait(error)
        assert said == [
            "full; trying again for 10 s",
            "answered again, going on",
            "full; trying again for 10 s",
        ]

    asyncio.run(run())


def test_a_stop_ends_the_waiting_at_once() -> None:
    async def run() -> None:
        stop = asyncio.Event()
        stop.set()
        await sleep_unless(stop, 3600)
        with pytest.raises(Stopped):
            await Patience(3600, lambda _: None, stop).wait(Overloaded("full"))

    asyncio.run(run())
