"""How much a tokenizer is handed at once, and who waits meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from rowvec.chunking.cutting import Chunking
from rowvec.models.embedder import Tokenized
from rowvec.models.families.stand_in import StandInEmbedder
from rowvec.worker.engine.black_box import BlackBox, shared_memory
from rowvec.worker.engine.preparing import Preparing


@contextmanager
def preparing() -> Iterator[Preparing]:
    with shared_memory(2) as descriptor:
        yield Preparing(
            max_image_bytes=1, max_image_pixels=1, box=BlackBox(descriptor), salt=b"s" * 16
        )


class Noting(StandInEmbedder):
    """Notes how many characters each call reads."""

    def __init__(self) -> None:
        super().__init__(dimensions=8)
        self.read: list[int] = []
        self.begun = threading.Event()

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        self.begun.set()
        self.read.append(sum(len(prompt) + len(text) for text in texts))
        return super().tokenize(texts, prompt)


def test_a_prompt_counts_for_every_text_that_it_stands_before() -> None:
    """Else a few kilobytes that a client sends would be gigabytes for the tokenizer, in one go."""
    model = Noting()
    texts, prompt = [f"text {number}" for number in range(300)], "long " * 2000

    async def scenario() -> list[Tokenized]:
        with preparing() as reading:
            return await reading.texts("noting", model, texts, prompt)

    assert len(asyncio.run(scenario())) == len(texts)
    assert sum(model.read) == sum(len(prompt) + len(text) for text in texts)
    assert max(model.read) <= 100_000
    assert len(model.read) < 40


class Busy(StandInEmbedder):
    """At a long text it does not end before it is told to."""

    def __init__(self) -> None:
        super().__init__(dimensions=8)
        self.begun, self.told = threading.Event(), threading.Event()

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        if max(map(len, texts)) > 100_000:
            self.begun.set()
            self.told.wait()
        return super().tokenize(texts, prompt)


@pytest.mark.parametrize("others", [["short"], [f"text {number}" for number in range(1000)]])
def test_nobody_waits_for_the_long_text_of_another(others: list[str]) -> None:
    model = Busy()

    async def scenario() -> None:
        with preparing() as reading:
            long = asyncio.create_task(reading.texts("busy", model, ["a" * 7_000_000], ""))
            await asyncio.to_thread(model.begun.wait)
            assert len(await reading.texts("busy", model, others, "")) == len(others)
            assert await reading.chunks("busy", model, ["some words"], "", Chunking(5))
            model.told.set()
            await long

    asyncio.run(scenario())


def test_chunks_are_cut_until_the_request_is_cancelled() -> None:
    """The rest of a long text is left alone; what it would have taken, nobody waits for."""
    model = Noting()
    text = "a few words " * 20_000

    async def scenario() -> None:
        with preparing() as reading:
            cutting = asyncio.create_task(
                reading.chunks("noting", model, [text], "", Chunking(3, border="tokens"))
            )
            await asyncio.to_thread(model.begun.wait)
            cutting.cancel()
            await asyncio.wait([cutting])
            await reading.probe()

    asyncio.run(scenario())
    assert len(model.read) < 1000  # of 20,000
