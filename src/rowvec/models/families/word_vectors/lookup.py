"""Word vectors (GloVe, word2vec, fastText) as a model: words are looked up, a text is their mean.

How a text becomes words: it is cut at white space. A piece that the vocabulary has is a word. Else
it is tried in lower case, then without the punctuation around it, then cut into runs of letters
and digits and single other characters. What is not found then is left out, or refused (`unknown`).
Where no word of the vocabulary has a capital, texts are lower-cased first. A word that stands
twice counts twice. A text without a known word has the zero vector.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rowvec.errors import InvalidRequest
from rowvec.models.description import NO_LIMIT
from rowvec.models.embedder import Embedder, Matrix, Tokenized
from rowvec.models.families.word_vectors.word_files import open_words

# The tokens of a text are counted as pieces; what the vocabulary lacks counts too.
_PIECES = re.compile(r"\w+|[^\w\s]")
_WORD = re.compile(r"\S+")
_EDGES = re.compile(r"^\W+|\W+$")


class _Token(NamedTuple):
    """A word or a part of one: where it lies in the text, and in the file if it is known."""

    start: int
    end: int
    place: int | None


class WordVectorEmbedder(Embedder):
    """An Embedder over a file of vectors; raises ModelError where it cannot be read."""

    max_tokens = NO_LIMIT

    def __init__(
        self, path: Path, *, words: str | None = None, refuse_unknown: bool = False
    ) -> None:
        self._file = open_words(path, words)
        self.dimensions = self._file.dimensions
        self._refuse_unknown = refuse_unknown
        self._lower_case = not any(word != word.lower() for word in self._file.words)

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Places of the words that are known, None for every other."""
        tokenized = []
        for text in texts:
            places = [token.place for token in self._tokens(prompt + text)]
            tokenized.append(Tokenized(len(places), len(places), places))
        return tokenized

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Where each word lies in the text, in characters, known or not."""
        return [(token.start, token.end) for token in self._tokens(text)]

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The means of one batch; raises InvalidRequest for a word that the list refuses."""
        means = np.zeros((len(batch), self.dimensions), dtype=np.float32)
        for mean, text in zip(means, batch, strict=True):
            known = [place for place in text.features if place is not None]
            if self._refuse_unknown and len(known) < text.count:
                raise InvalidRequest(
                    f"{text.count - len(known)} of the {text.count} words are not in the vocabulary"
                )
            if known:
                mean[:] = np.mean([self._file.vector(place) for place in known], axis=0)
        return means

    def _tokens(self, text: str) -> Iterator[_Token]:
        for found in _WORD.finditer(text):
            start, end = found.span()
            piece = found[0].lower() if self._lower_case else found[0]
            if (place := self._whole(piece)) is not None:
                yield _Token(start, end, place)
                continue
            # A capital may have two letters for its small one: then nothing tells the parts apart.
            exact = len(piece) == end - start
            for part in _PIECES.finditer(piece):
                first, last = part.span() if exact else (0, end - start)
                yield _Token(start + first, start + last, self._place(part[0]))

    def _whole(self, piece: str) -> int | None:
        lower = piece.lower()
        for candidate in (piece, lower, _EDGES.sub("", piece), _EDGES.sub("", lower)):
            if (place := self._file.words.get(candidate)) is not None:
                return place
        return None

    def _place(self, part: str) -> int | None:
        place = self._file.words.get(part)
        return self._file.words.get(part.lower()) if place is None else place
