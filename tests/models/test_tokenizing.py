"""Tokens are cut as transformers cuts them, in any number of threads at once."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rowvec.models.tokenizing import BatchTokenizer

WORDS = ("row", "vector", "unbelievable", "é", "[SEP]", "日本", "the", "")


@pytest.fixture(params=["bert", "t5"])
def folder(
    request: pytest.FixtureRequest, bert_folder: Callable[..., Path], t5_folder: Path
) -> Path:
    return bert_folder() if request.param == "bert" else t5_folder


def texts(count: int) -> list[str]:
    chance = random.Random(7)  # noqa: S311 - the same texts in every run
    return [" ".join(chance.choices(WORDS, k=chance.randint(0, 30))) for _ in range(count)]


def transformers_own(tokenizer: PreTrainedTokenizerBase, *pair: str) -> dict[str, Any]:
    given = tokenizer(*([text] for text in pair), truncation="longest_first")
    return {name: values[0] for name, values in given.items()}


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("limit", [16, 17])
def test_what_is_too_long_is_cut_as_transformers_does(folder: Path, side: str, limit: int) -> None:
    own, theirs = (AutoTokenizer.from_pretrained(folder) for _ in range(2))
    own.truncation_side = theirs.truncation_side = side
    own.model_max_length = theirs.model_max_length = limit
    ours = BatchTokenizer.of_transformers(own, folder)
    some = texts(60)
    for text, read in zip(some, ours.texts(some, ""), strict=True):
        assert read.features == transformers_own(theirs, text)
        assert read.length == min(read.count, limit)
    for first in some[:8]:
        for second, read in zip(some, ours.pairs(first, some), strict=True):
            assert read.features == transformers_own(theirs, first, second)


def test_threads_do_not_disturb_each_other(folder: Path) -> None:
    """Truncation is a state of the tokenizer: switched by one, it would change for the other."""
    tokenizer = BatchTokenizer.of_transformers(AutoTokenizer.from_pretrained(folder), folder)
    too_long, short = ["row vector " * 60] * 3, ["row"]
    lengths: set[int] = set()

    def read(what: list[str]) -> None:
        for _ in range(300):
            lengths.update(text.length for text in tokenizer.texts(what, ""))

    threads = [threading.Thread(target=read, args=(what,)) for what in (too_long, short, short)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(lengths) == tokenizer.max_tokens
