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
from rowvec.pipeline.embedder import Embedded
from rowvec.pipeline.isolation import Isolation
from rowvec.pipeline.making import Whole
from rowvec.pipeline.outcome import Outcome, Vector
from rowvec.pipeline.patience import Patience, Stopped, sleep_unless

DIMENSIONS = 2


class Embedder:
    """Answers a text's length, unless `refuse` gives an error for a batch."""

    max_tokens = 5

    def __init__(self, refuse: Callable[[Sequence[str]], RowvecError | None]) -> None:
        self._refuse = refuse
        self.calls: list[list[str]] = []

    async def embed(self, texts: Sequence[str]) -> Embedded:
        self.calls.append(list(texts))
        error = self._refuse(texts)
        if error is not None:
            raise error
        lengths = np.array([len(text) for text in texts])
        return Embedded(np.full((len(texts), DIMENSIONS), lengths[:, None], np.float32), lengths)

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
        return InvalidText(f"input {bad[0]} is no text") if bad else None

    embedder = Embedder(refuse)
    found = embed(embedder, [f"{'bad' if i == 20 else 'good'} {i}" for i in range(32)])
    assert [i for i, outcome in enumerate(found) if isinstance(outcome, RowvecError)] == [20]
    assert [len(call) for call in embedder.calls] == [32, 1, 31]


@pytest.mark.parametrize("name", ["input 1", "input 99", "input 0"])
def test_a_name_that_is_wrong_is_not_believed(name: str) -> None:
    embedder = Embedder(lambda ts: InvalidText(f"{name} is bad") if "bad" in ts else None)
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
