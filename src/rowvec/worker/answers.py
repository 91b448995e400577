"""From what the engine or the cache gave to what an answer says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rowvec.models.description import Description
from rowvec.models.sparse_vector import SparseVector
from rowvec.worker.cache import Cached

Entries = Sequence[Cached | None]


def dense(
    entries: Entries,
) -> tuple[list[npt.NDArray[np.float32] | None], list[int | None]]:
    """Vectors and tokens, None for a NULL input."""
    vectors = [e if e is None else np.frombuffer(e.vector, "<f4") for e in entries]
    return vectors, [e if e is None else e.tokens for e in entries]


def sparse_texts(entries: Entries, model: Description) -> list[str | None]:
    """Sparse vectors as text, None for a NULL input."""
    return [
        e if e is None else SparseVector.from_bytes(e.vector, model.dimensions).to_text()
        for e in entries
    ]


def ranked(entries: Entries, top_k: int | None) -> list[dict[str, Any]]:
    """Places from 1 with their scores, the best first, equals in order; a NULL has none."""
    scores = [
        (place, float(np.frombuffer(e.vector, "<f4")[0]))
        for place, e in enumerate(entries, start=1)
        if e is not None
    ]
    scores.sort(key=lambda pair: -pair[1])
    return [{"ordinality": place, "score": score} for place, score in scores[:top_k]]


def chunk_objects(
    place: int, text: str, spans: npt.NDArray[np.int32], first: int
) -> Iterator[dict[str, Any]]:
    """Chunks of the input at `place` (from 0), whose own places begin with `first` (from 0)."""
    for number, (start, end, tokens) in enumerate(spans.tolist(), start=first + 1):
        yield {
            "input": place + 1,
            "ordinality": number,
            "chunk": text[start:end],
            "start_char": start,
            "end_char": end,
            "tokens": tokens,
        }


def split_objects(place: int, chunks: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What a splitter made of the input at `place` (from 0), numbered from 1."""
    for number, chunk in enumerate(chunks, start=1):
        yield {"input": place + 1, "chunk_index": number, "chunk": chunk}
