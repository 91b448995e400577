"""Texts to tokens and tokens to padded batches, for every model with a transformers tokenizer.

Texts are tokenised once, alone, so that batches can be cut by their real lengths; padding comes
when a batch is formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rowvec.errors import ModelError
from rowvec.models.embedder import Tokenized

# What a padded position holds; a tokenizer that gives anything else is not understood here.
_KNOWN_FEATURES = {"input_ids", "attention_mask", "token_type_ids"}

# Clients may send any prompt; those of an application are few.
_REMEMBERED_PROMPTS = 1000

Tokens = dict[str, list[list[int]]]


class BatchTokenizer:
    """A fast tokenizer of transformers; raises ModelError for one of another kind."""

    def __init__(self, tokenizer: Any, source: object) -> None:
        if tokenizer is None or not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"the tokenizer in {source} is of a kind that is not supported")
        if not set(tokenizer("x", return_attention_mask=True)) <= _KNOWN_FEATURES:
            raise ModelError(f"the tokenizer in {source} gives features that are not supported")
        self._tokenizer = tokenizer
        self._prompt_lengths: dict[str, int] = {}

    @property
    def max_tokens(self) -> int:
        """Tokens that are read; what lies beyond is cut off."""
        return int(self._tokenizer.model_max_length)

    def texts(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, cut to `max_tokens`."""
        return self._tokenized([prompt + text for text in texts], None)

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each token lies in the text, in characters, special tokens left out."""
        encoded = self._tokenizer(
            text, add_special_tokens=False, truncation=False, return_offsets_mapping=True,
            return_attention_mask=False, verbose=False,
        )  # fmt: skip
        spans: list[tuple[int, int]] = encoded["offset_mapping"]
        return spans

    def pairs(self, first: str, seconds: Sequence[str]) -> list[Tokenized]:
        """Every pair of the one text and another, the longer of the two cut to fit."""
        return self._tokenized([first] * len(seconds), list(seconds))

    def prompt_length(self, prompt: str) -> int:
        """Tokens of the prompt alone, without the special token that would end it."""
        if prompt not in self._prompt_lengths:
            if len(self._prompt_lengths) >= _REMEMBERED_PROMPTS:
                self._prompt_lengths.clear()
            ids = self._encode([prompt], None, truncate=True)["input_ids"][0]
            ends = bool(ids) and ids[-1] in self._tokenizer.all_special_ids
            self._prompt_lengths[prompt] = len(ids) - ends
        return self._prompt_lengths[prompt]

    def padded(self, batch: Sequence[Tokenized], device: str) -> dict[str, Any]:
        """The features of a batch as tensors, padded to its longest text."""
        return {
            name: torch.from_numpy(self._padded(name, batch)).to(device)
            for name in batch[0].features
            if name in _KNOWN_FEATURES
        }

    def _tokenized(self, firsts: list[str], seconds: list[str] | None) -> list[Tokenized]:
        """Tokenises all at once; the few that are too long once more, cut by the tokenizer."""
        whole = self._encode(firsts, seconds, truncate=False)
        counts = [len(ids) for ids in whole["input_ids"]]
        too_long = [i for i, count in enumerate(counts) if count > self.max_tokens]
        if too_long:
            cut = self._encode(
                [firsts[i] for i in too_long],
                None if seconds is None else [seconds[i] for i in too_long],
                truncate=True,
            )
            for place, i in enumerate(too_long):
                for name, values in whole.items():
                    values[i] = cut[name][place]
        return [
            Tokenized(
                count,
                len(whole["input_ids"][i]),
                {name: values[i] for name, values in whole.items()},
            )
            for i, count in enumerate(counts)
        ]

    def _encode(self, firsts: list[str], seconds: list[str] | None, *, truncate: bool) -> Tokens:
        encoded = self._tokenizer(
            firsts,
            seconds,
            truncation="longest_first" if truncate else False,
            padding=False,
            return_attention_mask=True,
            verbose=False,
        )
        return dict(encoded)

    def _padded(self, name: str, batch: Sequence[Tokenized]) -> npt.NDArray[np.int64]:
        width = max(text.length for text in batch)
        filler = {
            "input_ids": self._tokenizer.pad_token_id,
            "token_type_ids": self._tokenizer.pad_token_type_id,
        }.get(name, 0)
        padded = np.full((len(batch), width), filler or 0, dtype=np.int64)
        on_the_left = self._tokenizer.padding_side == "left"
        for row, text in zip(padded, batch, strict=True):
            start = width - text.length if on_the_left else 0
            row[start : start + text.length] = text.features[name]
        return padded
