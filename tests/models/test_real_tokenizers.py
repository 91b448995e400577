"""Chunks by the tokenizers of real models: exact, never too long, nothing lost."""

from __future__ import annotations

import inspect
import unittest
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from rowvec.chunking.cutting import Chunking, cut
from rowvec.models.tokenizing import BatchTokenizer
from support.models import RealModel

UNIVERSAL = (
    "All human beings are born free and equal in dignity and rights. "
    "Все люди рождаются свободными и равными в своем достоинстве. "  # noqa: RUF001
    "人人生而自由，在尊严和权利上一律平等。"  # noqa: RUF001
    "모든 인간은 태어날 때부터 자유로우며. "
    "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. "
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में। "
    "มนุษย์ทั้งหลายเกิดมามีอิสระ 👩‍👩‍👧‍👦 ﷺ e\u0301\n\n"
)


class Tokenizer:
    """A real model's tokenizer, with the prompt that its documents bear."""

    def __init__(self, folder: Path, prompt: str) -> None:
        self._tokenizer = BatchTokenizer.of_transformers(
            AutoTokenizer.from_pretrained(folder), folder
        )
        self._prompt = prompt

    def offsets(self, text: str) -> list[tuple[int, int]]:
        return list(self._tokenizer.offsets(text))

    def count(self, text: str) -> int:
        return self._tokenizer.texts([text], self._prompt)[0].count


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "prompt"), [("minilm", ""), ("e5", "passage: "), ("mpnet", ""), ("splade", "")]
)
@pytest.mark.parametrize("max_tokens", [40, 256])
def test_chunks_of_real_models(
    real_model: RealModel, name: str, prompt: str, max_tokens: int
) -> None:
    tokenizer = Tokenizer(real_model(name), prompt)
    source = inspect.getsource(unittest.case)
    for text in (UNIVERSAL * 8, source, source.replace(" ", "")):
        covered = 0
        for chunk in cut(text, tokenizer, Chunking(max_tokens, max_tokens // 4)):
            assert text[chunk.start : chunk.end] == chunk.text
            assert chunk.tokens == tokenizer.count(chunk.text) <= max_tokens
            assert not text[covered : chunk.start].strip()
            covered = chunk.end
        assert not text[covered:].strip()
