"""How a text becomes what is stored: one vector, the mean of its chunks' vectors, or the chunks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rowvec.client import TextChunk
from rowvec.db.definition import Definition
from rowvec.errors import renumbering
from rowvec.filling.async_embedder import AsyncEmbedder
from rowvec.filling.outcome import Chunked, Outcome, Vector

# Chunks embedded at once: a long document has thousands.
_CHUNKS_A_CALL = 256

# What a model that normalises leaves a vector's length within.
_UNIT_TOLERANCE = 1e-3


class Maker(Protocol):
    """Makes what is stored of texts, in their order; raises what the embedder raises."""

    async def make(self, texts: Sequence[str]) -> list[Outcome]:
        """An outcome a text."""


def maker(definition: Definition, embedder: AsyncEmbedder) -> Maker:
    """As the definition wants it."""
    if definition.destination == "table":
        return Chunks(embedder, chunk_kwargs(definition.chunk or {}))
    return ChunkMeans(embedder) if definition.on_truncate == "mean" else Whole(embedder)


def chunk_kwargs(chunk: dict[str, object]) -> dict[str, Any]:
    """The definition's words for the worker's."""
    names = {"tokens": "max_tokens", "overlap": "overlap", "split": "border"}
    return {names[key]: value for key, value in chunk.items()}


class Whole:
    """One vector of each text, of its beginning where it is too long for the model."""

    def __init__(self, embedder: AsyncEmbedder) -> None:
        self._embedder = embedder

    async def make(self, texts: Sequence[str]) -> list[Outcome]:
        """An outcome a text."""
        return [*await vectors(self._embedder, texts)]


class ChunkMeans:
    """One vector of each text: where it is too long for the model, the mean of its chunks'.

    The mean has the length 1 where the chunks' vectors have.
    """

    def __init__(self, embedder: AsyncEmbedder) -> None:
        self._embedder = embedder

    async def make(self, texts: Sequence[str]) -> list[Outcome]:
        """An outcome a text."""
        made: list[Outcome] = [*await vectors(self._embedder, texts)]
        long = [n for n, one in enumerate(made) if isinstance(one, Vector) and one.is_truncated]
        with renumbering(long):
            chunked = await chunks(self._embedder, [texts[n] for n in long], {})
        for number, one in zip(long, chunked, strict=True):
            tokens = sum(chunk.tokens for chunk in one.chunks)
            made[number] = Vector(mean(one.vectors), tokens)
        return made


class Chunks:
    """The chunks of each text with their vectors."""

    def __init__(self, embedder: AsyncEmbedder, kwargs: dict[str, object]) -> None:
        self._embedder = embedder
        self._kwargs = kwargs

    async def make(self, texts: Sequence[str]) -> list[Outcome]:
        """An outcome a text."""
        return [*await chunks(self._embedder, texts, self._kwargs)]


async def vectors(embedder: AsyncEmbedder, texts: Sequence[str]) -> list[Vector]:
    """A vector of each text."""
    embedded = await embedder.embed(texts)
    pairs = zip(embedded.vectors, embedded.tokens, strict=True)
    return [Vector(values, int(tokens), embedder.max_tokens) for values, tokens in pairs]


async def chunks(
    embedder: AsyncEmbedder, texts: Sequence[str], kwargs: dict[str, object]
) -> list[Chunked]:
    """The chunks of each text with their vectors."""
    if not texts:
        return []
    cut = await embedder.chunk(texts, kwargs)
    pieces: list[TextChunk] = [chunk for of_one in cut for chunk in of_one]
    # A chunk that fails is not what was asked for: the text that it is of has failed.
    places = [place for place, of_one in enumerate(cut) for _ in of_one]
    parts = []
    for at in range(0, len(pieces), _CHUNKS_A_CALL):
        some = slice(at, at + _CHUNKS_A_CALL)
        with renumbering(places[some]):
            parts.append((await embedder.embed([piece.text for piece in pieces[some]])).vectors)
    all_vectors = np.concatenate(parts) if parts else np.empty((0, 0), np.float32)
    ends = accumulate((len(of_one) for of_one in cut), initial=0)
    return [
        Chunked(of_one, all_vectors[begin:end])
        for of_one, (begin, end) in zip(cut, pairwise(ends), strict=True)
    ]


def mean(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of vectors, of length 1 if all of them are (and it is not zero)."""
    middle: NDArray[np.float64] = rows.mean(axis=0, dtype=np.float64)
    length = np.linalg.norm(middle)
    if length and (abs(np.linalg.norm(rows, axis=1) - 1) < _UNIT_TOLERANCE).all():
        middle = middle / length
    rounded: NDArray[np.float32] = middle.astype(np.float32)
    return rounded
