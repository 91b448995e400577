"""Word vectors (GloVe, word2vec, fastText) as a model: words are looked up, a text is their mean.

How a text becomes words: it is cut at white space. A piece that the vocabulary has is a word. Else
it is tried in lower case, then without the punctuation around it, then cut into runs of letters
and digits and single other characters. What is not found then is left out, or refused (`unknown`).
Where no word of the vocabulary has a capital, texts are lower-cased first. A word that stands
twice counts twice. A text without a known word has the zero vector.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rowvec.errors import InvalidRequest
from rowvec.models.description import NO_LIMIT
from rowvec.models.embedder import Matrix, Tokenized
from rowvec.models.word_files import open_words

# The tokens of a text are counted as pieces; what the vocabulary lacks counts too.
_PIECES = re.compile(r"\w+|[^\w\s]")
_EDGES = re.compile(r"^\W+|\W+$")


class WordVectorEmbedder:
    """An Embedder over a file of vectors; raises ModelError where it cannot be read."""

    def __init__(
        self, path: Path, *, words: str | None = None, refuse_unknown: bool = False
    ) -> None:
        self._file = open_words(path, words)
        self._refuse_unknown = refuse_unknown
        self._lower_case = not any(word != word.lower() for word in self._file.words)

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._file.dimensions

    @property
    def max_tokens(self) -> int:
        """There is no limit."""
        return NO_LIMIT

    def tokenize(self, texts: Sequence[str], prompt: str) -> list[Tokenized]:
        """Places of the words that are known, None for every other."""
        tokenized = []
        for text in texts:
            read = prompt + text
            places = [
                place
                for piece in (read.lower() if self._lower_case else read).split()
                for place in self._places(piece)
            ]
            tokenized.append(Tokenized(len(places), len(places), places))
        return tokenized

    def forward(self, batch: Sequence[Tokenized]) -> Matrix:
        """The means of one batch; raises InvalidRequest for a word that is to be refused."""
        means = np.zeros((len(batch), self.dimensions), dtype=np.float32)
        for mean, text in zip(means, batch, strict=True):
            known = [place for place in text.features if place is not None]
            if self._refuse_unknown and len(known) < text.count:
                raise InvalidRequest(
                    f"{text.count - len(known)} of the {text.count} words of {{input}} are not in"
                    " the vocabulary"
                )
            if known:
                mean[:] = np.mean([self._file.vector(place) for place in known], axis=0)
        return means

    def _places(self, piece: str) -> list[int | None]:
        for candidate in (
            piece,
            piece.lower(),
            _EDGES.sub("", piece),
            _EDGES.sub("", piece.lower()),
        ):
            if (place := self._file.words.get(candidate)) is not None:
                return [place]
        return [self._place(part) for part in _PIECES.findall(piece)]

    def _place(self, part: str) -> int | None:
        place = self._file.words.get(part)
        return self._file.words.get(part.lower()) if place is None else place
