"""Cuts a text into chunks that a model can read whole, by the model's own tokenizer.

Offsets are in characters (code points, as Postgres's `substr` counts), from 0, end excluded, and
exact: `text[chunk.start:chunk.end]` is the chunk.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rowvec.chunking.borders import Border, borders, parts_cluster
from rowvec.errors import InvalidRequest
from rowvec.models.embedder import Model

Span = tuple[int, int]
ChunkBorder = Literal["paragraph", "sentence", "tokens"]

# Where a chunk may end, the best first: a paragraph that is too long is cut at a sentence, a
# sentence that is too long at a line, and so on. Below all of them: between any two tokens.
_LEVELS: dict[ChunkBorder, tuple[Border, ...]] = {
    "paragraph": ("paragraph", "sentence", "line", "word"),
    "sentence": ("sentence", "line", "word"),
    "tokens": (),
}

# Where a chunk that overlaps may begin.
_OVERLAP_LEVELS: dict[ChunkBorder, tuple[Border, ...]] = {
    "paragraph": ("sentence", "line", "word"),
    "sentence": ("sentence", "line", "word"),
    "tokens": (),
}

# Characters that are tokenised to find one chunk, for each token of it; most texts have about four
# characters a token, and a text with more is looked at again, twice as far.
_WINDOW_CHARACTERS = 6

_SPACE = re.compile(r"\s*")


class Tokenizer(Protocol):
    """What chunking asks of a model's tokenizer."""

    def offsets(self, text: str) -> Sequence[Span]:
        """Where each token lies in the text, in characters, special tokens left out."""

    def count(self, text: str) -> int:
        """How many tokens the model reads for the text: prompt and special tokens included."""


@dataclass(frozen=True)
class ModelTokenizer:
    """The tokenizer of a model that puts a prompt before each chunk."""

    model: Model[object]
    prompt: str = ""

    def offsets(self, text: str) -> Sequence[Span]:
        """As the model gives them."""
        return self.model.offsets(text)

    def count(self, text: str) -> int:
        """Tokens of prompt and text together, before truncation."""
        (tokenized,) = self.model.tokenize([text], self.prompt)
        return tokenized.count


@dataclass(frozen=True)
class Chunking:
    """At most `max_tokens` a chunk, counted as the model reads it.

    Up to `overlap` tokens of a chunk begin the next one, from a border on. With `border` tokens,
    chunks are as full as they can be; else they end where a paragraph or a sentence does, as long
    as one fits.
    """

    max_tokens: int
    overlap: int = 0
    border: ChunkBorder = "paragraph"


@dataclass(frozen=True)
class Chunk:
    """A slice of a text, without white space at its ends, and its tokens as the model reads it."""

    text: str
    start: int
    end: int
    tokens: int


def cut(text: str, tokenizer: Tokenizer, chunking: Chunking) -> Iterator[Chunk]:
    """The chunks in order. Together they hold every character that is no white space.

    A chunk is tokenised again before it is given, so none has more than `max_tokens`, whatever the
    tokenizer does at a cut. A blank text has none. Raises InvalidRequest where not even one
    character fits, or nothing beside the prompt and the special tokens.
    """
    room = chunking.max_tokens - tokenizer.count("")
    if room < 1:
        raise InvalidRequest(
            f"max_tokens {chunking.max_tokens} leaves no room for text beside the model's prompt"
            f" and special tokens, which take {chunking.max_tokens - room}"
        )
    stop = len(text.rstrip())
    start = covered = _skip_space(text, 0)
    while covered < stop:
        window = _Window(text, start, stop, tokenizer, room)
        chunk = _longest(window, covered, chunking)
        if chunk is None and start < covered:
            # The overlap leaves no room for anything new.
            start = covered = _skip_space(text, covered)
            continue
        if chunk is None:
            chunk = _piece_of_token(window, chunking.max_tokens)
        yield chunk
        start = covered = _skip_space(text, chunk.end)
        if chunking.overlap and covered < stop:
            start = _overlapping(window, chunk, covered, chunking) or covered


class _Window:
    """The tokens of a text from `start` on, at least as many as fit into one chunk and one more.

    `cuts[i]` is where one may cut with `counts[i]` tokens before it: at the start of a token that
    shares no character with the one before it, so that characters which are no token's own go
    with what stands before them.
    """

    def __init__(self, text: str, start: int, stop: int, tokenizer: Tokenizer, room: int) -> None:
        self.text = text
        self.start = start
        self.stop = stop
        self.tokenizer = tokenizer
        self.room = room
        length = _WINDOW_CHARACTERS * room
        while True:
            self.end = min(start + length, stop)
            spans = tokenizer.offsets(text[start : self.end])
            if len(spans) > room or self.end == stop:
                break
            length *= 2
        self.cuts: list[int] = []
        self.counts: list[int] = []
        reached = 0
        for number, (first, last) in enumerate(spans):
            if first >= reached and last > first and number:
                self.cuts.append(start + first)
                self.counts.append(number)
            reached = max(reached, last)
        if self.end == stop:
            self.cuts.append(stop)
            self.counts.append(len(spans))

    def tokens_before(self, place: int) -> int:
        """About how many tokens stand between the window's start and a place in it."""
        found = bisect_right(self.cuts, place)
        return self.counts[found - 1] if found else 0

    def piece(self, start: int, end: int) -> Chunk:
        """The slice without white space at its ends, tokenised again."""
        slice_ = self.text[start:end].rstrip()
        return Chunk(slice_, start, start + len(slice_), self.tokenizer.count(slice_))


def _longest(window: _Window, covered: int, chunking: Chunking) -> Chunk | None:
    """The chunk from the window's start to the best border that fits, None without new text."""
    budget = window.room
    while budget > 0:
        end = _last_border(window, covered, budget, _LEVELS[chunking.border])
        if end is None:
            return None
        chunk = window.piece(window.start, end)
        if chunk.tokens <= chunking.max_tokens:
            return chunk
        # Cut off from the text around it, the slice has other tokens than it had there.
        budget = window.tokens_before(end) - (chunk.tokens - chunking.max_tokens)
    return None


def _last_border(
    window: _Window, covered: int, budget: int, levels: Sequence[Border]
) -> int | None:
    """Where the chunk may end at the farthest; None where `budget` tokens hold no new text."""
    fitting = bisect_right(window.counts, budget)
    farthest = window.cuts[fitting - 1] if fitting else covered
    if farthest <= covered:
        return None
    if farthest == window.stop:
        return farthest
    for kind in levels:
        found = deque(borders(window.text, kind, window.start, farthest), maxlen=1)
        if found and found[0] > covered:
            return found[0]
    for place in reversed(window.cuts[:fitting]):
        if place > covered and not parts_cluster(window.text, place, window.start):
            return place
    return farthest


def _overlapping(window: _Window, chunk: Chunk, covered: int, chunking: Chunking) -> int | None:
    """Where the next chunk begins within this one, None where it does not."""
    given = window.tokens_before(covered) - chunking.overlap
    if given <= 0:
        # All of it could be repeated: then what would be new?
        return next(borders(window.text, "sentence", chunk.start, chunk.end - 1), None)
    first = bisect_left(window.counts, given)
    earliest = _skip_space(window.text, window.cuts[first])
    for kind in _OVERLAP_LEVELS[chunking.border]:
        for place in borders(window.text, kind, chunk.start, chunk.end - 1):
            if place >= earliest:
                return place
    for place in (_skip_space(window.text, c) for c in window.cuts[first:]):
        if place >= chunk.end:
            break
        if not parts_cluster(window.text, place, chunk.start):
            return place
    return None


def _piece_of_token(window: _Window, max_tokens: int) -> Chunk:
    """What fits of the first token's text, which has more tokens alone than it had in the text."""
    length = (window.cuts[0] if window.cuts else window.end) - window.start
    while True:
        chunk = window.piece(window.start, window.start + length)
        if chunk.tokens <= max_tokens:
            return chunk
        if length == 1:
            raise InvalidRequest(
                f"max_tokens {max_tokens} is too small: the character at {window.start}"
                f" takes {chunk.tokens} tokens with the model's prompt and special tokens"
            )
        length //= 2


def _skip_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None
    return found.end()
