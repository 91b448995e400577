"""Texts to tokens and tokens to padded batches, for every model with a transformers tokenizer.

Texts are tokenised once, alone, so that batches can be cut by their real lengths; padding comes
when a batch is formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rowvec.errors import ModelError
from rowvec.models.backends.transfer import sent
from rowvec.models.embedder import Tokenized

# What a model reads, and its name in the tokenizers library; a tokenizer that gives anything else
# is not understood here.
_KNOWN_FEATURES = {
    "input_ids": "ids",
    "attention_mask": "attention_mask",
    "token_type_ids": "type_ids",
}

_SHORT_CHARACTERS = 2000

_SAMPLES = ["a text", "", "Zürich, 2+2 = «vier»", "[CLS] <s> x"]

# Clients may send any prompt; those of an application are few.
_REMEMBERED_PROMPTS = 1000


class BatchTokenizer:
    """A fast tokenizer of transformers; raises ModelError for one of another kind.

    `special_tokens` false leaves out those that begin and end a text.
    """

    def __init__(self, tokenizer: Any, source: object, *, special_tokens: bool = True) -> None:
        if tokenizer is None or not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"the tokenizer in {source} is of a kind that is not supported")
        self._tokenizer = tokenizer
        self._special_tokens = special_tokens
        self._prompt_lengths: dict[str, int] = {}
        # The library's own call is several times as long on its way to the same rust code.
        self._backend = tokenizer.backend_tokenizer
        self._backend.encode_special_tokens = tokenizer.split_special_tokens
        theirs = self._library(_SAMPLES)
        if not set(theirs) <= set(_KNOWN_FEATURES):
            raise ModelError(f"the tokenizer in {source} gives features that are not supported")
        self._features = [(name, _KNOWN_FEATURES[name]) for name in theirs]
        for i, encoding in enumerate(self._encode(_SAMPLES, None)):
            if self._features_of(encoding) != {name: theirs[name][i] for name in theirs}:
                raise ModelError(f"the tokenizer in {source} is of a kind that is not supported")

    @property
    def max_tokens(self) -> int:
        """Tokens that are read; what lies beyond is cut off."""
        return int(self._tokenizer.model_max_length)

    def texts(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Every text with the prompt before it, cut to `max_tokens`."""
        return self._tokenized([prompt + text for text in texts], None)

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each token lies in the text, in characters, special tokens left out."""
        (encoding,) = self._encode([text], None, special=False)
        spans: list[tuple[int, int]] = encoding.offsets
        return spans

    def pairs(self, first: str, seconds: Sequence[str]) -> list[Tokenized]:
        """Every pair of the one text and another, the longer of the two cut to fit."""
        return self._tokenized([first] * len(seconds), list(seconds))

    def prompt_length(self, prompt: str) -> int:
        """Tokens of the prompt alone, without the special token that would end it."""
        if prompt not in self._prompt_lengths:
            if len(self._prompt_lengths) >= _REMEMBERED_PROMPTS:
                self._prompt_lengths.clear()
            ids = self._encode([prompt], None)[0].ids
            ends = bool(ids) and ids[-1] in self._tokenizer.all_special_ids
            self._prompt_lengths[prompt] = len(ids) - ends
        return self._prompt_lengths[prompt]

    def padded(self, batch: Sequence[Tokenized], device: str) -> dict[str, Any]:
        """The features of a batch as tensors, padded to its longest text."""
        arrays = self.arrays(batch)
        return {name: sent(array, device) for name, array in arrays.items()}

    def arrays(self, batch: Sequence[Tokenized]) -> dict[str, npt.NDArray[np.int64]]:
        """The features of a batch, padded to its longest text."""
        return {
            name: self._padded(name, batch) for name in batch[0].features if name in _KNOWN_FEATURES
        }

    def _tokenized(self, firsts: list[str], seconds: list[str] | None) -> list[Tokenized]:
        """Tokenises all at once, and cuts those that are too long."""
        limit = self.max_tokens
        tokenized = []
        for encoding in self._encode(firsts, seconds):
            features = self._features_of(encoding)
            count = len(encoding)
            if count > limit and seconds is None:
                kept_parts = self._kept_of_one(encoding, count, limit)
                features = {
                    name: [each for part in kept_parts for each in row[part]]
                    for name, row in features.items()
                }
            elif count > limit:
                on_the_left = self._tokenizer.truncation_side == "left"
                kept = kept_places(encoding.sequence_ids, limit, on_the_left=on_the_left)
                features = {name: [row[k] for k in kept] for name, row in features.items()}
            tokenized.append(Tokenized(count, min(count, limit), features))
        return tokenized

    def _kept_of_one(self, encoding: Any, count: int, limit: int) -> list[slice]:
        """As `kept_places` of a text without a second one, whose tokens may be millions."""
        head = tail = 0
        while head < count and encoding.token_to_sequence(head) is None:
            head += 1
        while tail < count - head and encoding.token_to_sequence(count - 1 - tail) is None:
            tail += 1
        room = max(0, limit - head - tail)
        end = count - tail
        if self._tokenizer.truncation_side == "left":
            middle = slice(end - room, end)
        else:
            middle = slice(head, head + room)
        return [slice(head), middle, slice(end, count)]

    def _features_of(self, encoding: Any) -> dict[str, list[int]]:
        return {name: getattr(encoding, theirs) for name, theirs in self._features}

    def _encode(
        self, firsts: list[str], seconds: list[str] | None, *, special: bool | None = None
    ) -> list[Any]:
        # Truncation and padding are states of the tokenizer, which threads share. No code here sets
        # them but the export of a model.
        if self._backend.padding is not None or self._backend.truncation is not None:
            self._backend.no_padding()
            self._backend.no_truncation()
        special = self._special_tokens if special is None else special
        # Faster for a short text; but it holds the interpreter, and everybody, until it has done.
        if len(firsts) == 1 and len(firsts[0]) <= _SHORT_CHARACTERS:
            second = None if seconds is None else seconds[0]
            return [self._backend.encode(firsts[0], second, add_special_tokens=special)]
        inputs = firsts if seconds is None else list(zip(firsts, seconds, strict=True))
        found: list[Any] = self._backend.encode_batch(inputs, add_special_tokens=special)
        return found

    def _library(self, texts: list[str]) -> Any:
        return self._tokenizer(
            texts,
            add_special_tokens=self._special_tokens,
            truncation=False,
            padding=False,
            return_attention_mask=True,
            verbose=False,
        )

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


def kept_places(sequence_ids: Sequence[int | None], limit: int, *, on_the_left: bool) -> list[int]:
    """Which tokens of a text or a pair stay where only `limit` may, as transformers cuts them.

    Special tokens (None) all stay; of a pair the longer text is cut first, then both.
    """
    firsts = [i for i, sequence in enumerate(sequence_ids) if sequence == 0]
    seconds = [i for i, sequence in enumerate(sequence_ids) if sequence == 1]
    room = max(0, limit - (len(sequence_ids) - len(firsts) - len(seconds)))
    dropped: set[int] = set()
    for places, share in zip((firsts, seconds), _shares(firsts, seconds, room), strict=True):
        beyond = len(places) - share
        dropped.update((places[:beyond] if on_the_left else places[share:]) if beyond > 0 else ())
    return [i for i in range(len(sequence_ids)) if i not in dropped]


def _shares(firsts: Sequence[int], seconds: Sequence[int], room: int) -> tuple[int, int]:
    """How many tokens of either text stay."""
    if not seconds:
        return room, 0
    shorter = min(len(firsts), len(seconds))
    shares = (shorter, max(shorter, room - shorter))
    if sum(shares) > room:
        shares = (room // 2, room // 2 + room % 2)
    return shares if len(firsts) <= len(seconds) else (shares[1], shares[0])
