"""How much a tokenizer is handed at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rowvec.models.embedder import Tokenized
from rowvec.models.families.stand_in import StandInEmbedder
from rowvec.worker.engine.black_box import BlackBox, shared_memory
from rowvec.worker.engine.preparing import Preparing


class Noting(StandInEmbedder):
    """Notes how many characters each call reads."""

    def __init__(self) -> None:
        super().__init__(dimensions=8)
        self.read: list[int] = []

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        self.read.append(sum(len(prompt) + len(text) for text in texts))
        return super().tokenize(texts, prompt)


def test_a_prompt_counts_for_every_text_that_it_stands_before() -> None:
    """Else a few kilobytes that a client sends would be gigabytes for the tokenizer, in one go."""
    model = Noting()
    texts, prompt = [f"text {number}" for number in range(300)], "long " * 2000

    async def scenario() -> list[Tokenized]:
        with shared_memory(2) as descriptor:
            reading = Preparing(
                max_image_bytes=1, max_image_pixels=1, box=BlackBox(descriptor), salt=b"s" * 16
            )
            return await reading.texts("noting", model, texts, prompt)

    assert len(asyncio.run(scenario())) == len(texts)
    assert sum(model.read) == sum(len(prompt) + len(text) for text in texts)
    assert max(model.read) <= 1_000_000
    assert len(model.read) < 10
