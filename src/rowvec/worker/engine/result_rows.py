"""A model's rows as the listener gets them: whole, finite, shaped as asked, in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rowvec.batching import ItemFailed
from rowvec.errors import InputTooLong
from rowvec.models.embedder import Matrix
from rowvec.models.encoding import Encoding
from rowvec.models.sparse_vector import SparseVector

_FRAME_BYTES = 1 << 20

Vector = np.ndarray[Any, np.dtype[np.float32]]
Row = Vector | SparseVector


def is_finite(row: Row) -> bool:
    """Whether a vector can be stored."""
    return bool(np.isfinite(row.values if isinstance(row, SparseVector) else row).all())


def is_zero(row: Row) -> bool:
    """Whether a vector is all zeros: cosine has no distance to it, and indexes skip it."""
    return not (row.values if isinstance(row, SparseVector) else row).any()


def packed(rows: Sequence[Row], encoding: Encoding) -> list[bytes]:
    """The bytes of every row; a model gives either dense ones or sparse ones."""
    sparse = [row.to_bytes() for row in rows if isinstance(row, SparseVector)]
    dense = [row for row in rows if not isinstance(row, SparseVector)]
    if not dense:
        return sparse
    return [row.tobytes() for row in shaped(np.stack(dense), encoding)]


def frames_of(rows: Sequence[bytes]) -> list[bytes]:
    """The rows in order, whole ones in pieces of about a megabyte; at least one piece."""
    pieces: list[list[bytes]] = [[]]
    size = 0
    for row in rows:
        if size > _FRAME_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(row)
        size += len(row)
    return [b"".join(piece) for piece in pieces]


def shaped(vectors: Matrix, encoding: Encoding) -> Matrix:
    """The vectors cut to their first numbers and brought to length 1, where that is asked."""
    vectors = vectors[:, : encoding.truncate_dim]
    if encoding.normalize:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(lengths, 1e-12)
    return np.ascontiguousarray(vectors, dtype=np.float32)


def refuse_truncated(counts: Sequence[int], max_tokens: int) -> None:
    """Raises ItemFailed for the first text that is longer than the model reads."""
    for position, count in enumerate(counts):
        if count > max_tokens:
            raise ItemFailed(position) from too_long(count, max_tokens)


def too_long(count: int, max_tokens: int) -> InputTooLong:
    """The error about a text with too many tokens that may not be cut off."""
    return InputTooLong(
        f"the text has {count} tokens, the model reads {max_tokens}",
        hint="shorten it, or let it be cut off with on_truncate = truncate",
    )
