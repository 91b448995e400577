"""Nearest neighbours of blocks of rows: exact ones, of vectors in memory, or those of the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rowvec.db.similar_rows import SimilarRows
from rowvec.db.vectors import Key, Matrix

Places = NDArray[np.int64]

# Scores of one block against all rows; argpartition keeps a copy and its places beside them.
_BLOCK_BYTES = 64 << 20
_MAX_BLOCK_ROWS = 512

# Scores are sums of float32: the same pair in another block may differ in the last digits.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class NearestOthers:
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


class Neighbours(Protocol):
    """Finds the neighbours of at most `block_rows` rows at a time.

    Scores are larger the nearer: the cosine, the inner product, minus the L2 distance.
    """

    block_rows: int

    async def of(
        self, block: Places, worst: Matrix, new: NDArray[np.bool_]
    ) -> tuple[NearestOthers, Entering]:
        """The neighbours of the rows at these places.

        `worst` is the last score of every row's list: where a `new` one of the block scores better,
        the pair is entering.
        """


class ExactNeighbours:
    """Compares every row with every other; raises ValueError for an unknown metric.

    A row that has no direction (all zeros) has the cosine 0 to everything.
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

    async def of(
        self, block: Places, worst: Matrix, new: NDArray[np.bool_]
    ) -> tuple[NearestOthers, Entering]:
        """By one product of the block with all vectors."""
        scores = self._vectors[block] @ self._vectors.T
        if self._is_l2:
            squared = self._squares[block, None] + self._squares[None, :] - 2 * scores
            scores = -np.sqrt(np.maximum(squared, 0))
        scores[np.arange(len(block)), block] = -np.inf
        entering = Entering.none()
        if new.any():
            at, rows = np.nonzero(scores[new] > worst[None, :] + TOLERANCE)
            entering = Entering(rows, block[new][at], scores[new][at, rows])
        return self._best(scores), entering

    def _best(self, scores: Matrix) -> NearestOthers:
        places = np.full((len(scores), self._columns), -1, np.int64)
        best = np.zeros((len(scores), self._columns), np.float32)
        if self._k:
            near = np.argpartition(scores, -self._k, axis=1)[:, -self._k :]
            near_scores = np.take_along_axis(scores, near, axis=1)
            order = np.argsort(-near_scores, axis=1, kind="stable")
            places[:, : self._k] = np.take_along_axis(near, order, axis=1)
            best[:, : self._k] = np.take_along_axis(near_scores, order, axis=1)
        return NearestOthers(places, best)


class IndexNeighbours:
    """Asks the index for each row, with the recall that was measured for it.

    A new row enters the lists of those that it lists itself: whose list it misses so, it is rarely
    near to.
    """

    block_rows = 200

    def __init__(self, stored: SimilarRows, keys: list[Key], metric: str, k: int) -> None:
        self._stored = stored
        self._keys = keys
        self._places = {key: place for place, key in enumerate(keys)}
        self._is_cosine = metric == "cosine"
        self._k = k

    async def of(
        self, block: Places, worst: Matrix, new: NDArray[np.bool_]
    ) -> tuple[NearestOthers, Entering]:
        """By one statement."""
        keys = [self._keys[place] for place in block]
        at = {key: i for i, key in enumerate(keys)}
        places = np.full((len(block), self._k), -1, np.int64)
        scores = np.zeros((len(block), self._k), np.float32)
        for key, other, rank, distance in await self._stored.nearest(keys, self._k):
            if other in self._places:  # else it came after the keys were read
                places[at[key], rank - 1] = self._places[other]
                scores[at[key], rank - 1] = 1 - distance if self._is_cosine else -distance
        rows, columns = np.nonzero((places >= 0) & new[:, None])
        others, found = places[rows, columns], scores[rows, columns]
        enters = found > worst[others] + TOLERANCE
        entering = Entering(others[enters], block[rows[enters]], found[enters])
        return NearestOthers(places, scores), entering
