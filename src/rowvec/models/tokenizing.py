"""Texts to tokens and tokens to padded batches, for every model with a transformers tokenizer.

Texts are tokenised once, alone, so that batches can be cut by their real lengths; padding comes
when a batch is formed. Needs no transformers: what its tokenizers add to those of the tokenizers
library is a few numbers, the `TokenizerForm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rowvec.errors import ModelError
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


@dataclass(frozen=True)
class TokenizerForm:
    """How a tokenizer of the tokenizers library is used.

    `features` are what the model reads, in order. `special_tokens` begin and end a text, and
    `reads_special_tokens` says that a text which has one written in it means its letters.
    """

    features: tuple[str, ...]
    max_tokens: int
    special_ids: tuple[int, ...]
    pad_id: int
    pad_type_id: int
    pads_on_the_left: bool
    cuts_on_the_left: bool
    special_tokens: bool
    reads_special_tokens: bool


class BatchTokenizer:
    """A tokenizer of the tokenizers library, used as the form says."""

    def __init__(self, backend: Any, form: TokenizerForm) -> None:
        self.form = form
        self._prompt_lengths: dict[str, int] = {}
        self._backend = backend
        self._backend.encode_special_tokens = form.reads_special_tokens
        self._features = [(name, _KNOWN_FEATURES[name]) for name in form.features]

    @classmethod
    def of_transformers(
        cls, tokenizer: Any, source: object, *, special_tokens: bool = True
    ) -> BatchTokenizer:
        """A fast tokenizer of transformers; raises ModelError for one of another kind.

        `special_tokens` false leaves out those that begin and end a text.
        """
        if tokenizer is None or not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"the tokenizer in {source} is of a kind that is not supported")
        theirs = tokenizer(
            _SAMPLES, add_special_tokens=special_tokens, truncation=False, padding=False,
            return_attention_mask=True, verbose=False,
        )  # fmt: skip
        if not set(theirs) <= set(_KNOWN_FEATURES):
            raise ModelError(f"the tokenizer in {source} gives features that are not supported")
        form = TokenizerForm(
            features=tuple(theirs),
            max_tokens=int(tokenizer.model_max_length),
            special_ids=tuple(tokenizer.all_special_ids),
            pad_id=tokenizer.pad_token_id or 0,
            pad_type_id=tokenizer.pad_token_type_id or 0,
            pads_on_the_left=tokenizer.padding_side == "left",
            cuts_on_the_left=tokenizer.truncation_side == "left",
            special_tokens=special_tokens,
            reads_special_tokens=bool(tokenizer.split_special_tokens),
        )
        # The library's own call is several times as long on its way to the same rust code.
        ours = cls(tokenizer.backend_tokenizer, form)
        for i, encoding in enumerate(ours._encode(_SAMPLES, None)):
            if ours._features_of(encoding) != {name: theirs[name][i] for name in theirs}:
                raise ModelError(f"the tokenizer in {source} is of a kind that is not supported")
        return ours

    @classmethod
    def from_text(cls, text: str, form: TokenizerForm) -> BatchTokenizer:
        """What `to_text` gave."""
        from tokenizers import Tokenizer  # noqa: PLC0415  # the listener needs none

        return cls(Tokenizer.from_str(text), form)

    def to_text(self) -> str:
        """The tokenizer as the tokenizers library writes it; the form is not in it."""
        self._plain()
        return str(self._backend.to_str())

    @property
    def max_tokens(self) -> int:
        """Tokens that are read; what lies beyond is cut off."""
        return self.form.max_tokens

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
        """Tokens of the prompt alone, cut as a text is, without the special token that ends it."""
        if prompt not in self._prompt_lengths:
            if len(self._prompt_lengths) >= _REMEMBERED_PROMPTS:
                self._prompt_lengths.clear()
            ids = self._encode([prompt], None)[0].ids
            ends = bool(ids) and ids[-1] in self.form.special_ids
            self._prompt_lengths[prompt] = min(len(ids), self.max_tokens) - ends
        return self._prompt_lengths[prompt]

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
                kept = kept_places(
                    encoding.sequence_ids, limit, on_the_left=self.form.cuts_on_the_left
                )
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
        middle = slice(end - room, end) if self.form.cuts_on_the_left else slice(head, head + room)
        return [slice(head), middle, slice(end, count)]

    def _features_of(self, encoding: Any) -> dict[str, list[int]]:
        return {name: getattr(encoding, theirs) for name, theirs in self._features}

    def _encode(
        self, firsts: list[str], seconds: list[str] | None, *, special: bool | None = None
    ) -> list[Any]:
        self._plain()
        special = self.form.special_tokens if special is None else special
        # Faster for a short text; but it holds the interpreter, and everybody, until it has done.
        if len(firsts) == 1 and len(firsts[0]) <= _SHORT_CHARACTERS:
            second = None if seconds is None else seconds[0]
            return [self._backend.encode(firsts[0], second, add_special_tokens=special)]
        inputs = firsts if seconds is None else list(zip(firsts, seconds, strict=True))
        found: list[Any] = self._backend.encode_batch(inputs, add_special_tokens=special)
        return found

    def _plain(self) -> None:
        # Truncation and padding are states of the tokenizer, which threads share. Here nobody sets
        # them but its file and the export of a model.
        if self._backend.padding is not None or self._backend.truncation is not None:
            self._backend.no_padding()
            self._backend.no_truncation()

    def _padded(self, name: str, batch: Sequence[Tokenized]) -> npt.NDArray[np.int64]:
        width = max(text.length for text in batch)
        filler = {"input_ids": self.form.pad_id, "token_type_ids": self.form.pad_type_id}
        padded = np.full((len(batch), width), filler.get(name, 0), dtype=np.int64)
        for row, text in zip(padded, batch, strict=True):
            start = width - text.length if self.form.pads_on_the_left else 0
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
