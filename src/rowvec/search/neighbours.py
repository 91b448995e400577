"""Exact nearest neighbours among vectors in memory, a block of rows at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Places = NDArray[np.int64]

# Scores of one block against all rows; argpartition keeps a copy and its places beside them.
_BLOCK_BYTES = 64 << 20
_MAX_BLOCK_ROWS = 512

# Scores are sums of float32: the same pair in another block may differ in the last digits.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Nearest:
    """For each row asked for, the places of its nearest others and their scores, best first.

    A place of -1 stands where there are fewer others.
    """

    places: Places
    scores: Matrix


@dataclass(frozen=True)
class Entering:
    """Pairs in which `other` is nearer to `row` than the last of those that `row` has."""

    rows: Places
    others: Places
    scores: Matrix

    @classmethod
    def none(cls) -> Entering:
        """No such pair."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


class ExactNeighbours:
    """Compares every row with every other; raises ValueError for an unknown metric.

    Scores are larger the nearer: the cosine, the inner product, minus the L2 distance. A row that
    has no direction (all zeros) has the cosine 0 to everything.
    """

    def __init__(self, vectors: Matrix, metric: str, k: int) -> None:
        if metric not in ("cosine", "inner_product", "l2"):
            raise ValueError(f"unknown metric {metric}")
        self._squares = np.einsum("ij,ij->i", vectors, vectors)
        self._vectors = vectors
        self._is_l2 = metric == "l2"
        if metric == "cosine":
            lengths = np.sqrt(self._squares)[:, None]
            self._vectors = np.divide(
                vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0
            )
        self._k = min(k, len(vectors) - 1)
        self._columns = k
        self.block_rows = int(np.clip(_BLOCK_BYTES // (4 * len(vectors)), 1, _MAX_BLOCK_ROWS))

    def of(
        self, block: Places, worst: Matrix | None = None, new: NDArray[np.bool_] | None = None
    ) -> tuple[Nearest, Entering]:
        """The neighbours of the rows at these places, at most `block_rows`.

        `worst` is the last score of each row's list: where a `new` one of the block scores better,
        the pair is entering.
        """
        scores = self._vectors[block] @ self._vectors.T
        if self._is_l2:
            squared = self._squares[block, None] + self._squares[None, :] - 2 * scores
            scores = -np.sqrt(np.maximum(squared, 0))
        scores[np.arange(len(block)), block] = -np.inf
        entering = Entering.none()
        if worst is not None and new is not None and new.any():
            at, rows = np.nonzero(scores[new] > worst[None, :] + TOLERANCE)
            entering = Entering(rows, block[new][at], scores[new][at, rows])
        return self._best(scores), entering

    def _best(self, scores: Matrix) -> Nearest:
        places = np.full((len(scores), self._columns), -1, np.int64)
        best = np.zeros((len(scores), self._columns), np.float32)
        if self._k:
            near = np.argpartition(scores, -self._k, axis=1)[:, -self._k :]
            near_scores = np.take_along_axis(scores, near, axis=1)
            order = np.argsort(-near_scores, axis=1, kind="stable")
            places[:, : self._k] = np.take_along_axis(near, order, axis=1)
            best[:, : self._k] = np.take_along_axis(near_scores, order, axis=1)
        return Nearest(places, best)
