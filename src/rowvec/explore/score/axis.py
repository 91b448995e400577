"""A scale between two poles: semantic projection (An et al. 2018, arXiv:1806.05521).

Each pole is the mean direction of its words. The axis runs from one to the other; the score of a
text is where its vector falls on it, so that the poles themselves are at -1 and 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rowvec.errors import InvalidRequest

Matrix = NDArray[np.float32]


class Axis:
    """The scale; raises InvalidRequest where both poles mean the same to the model."""

    def __init__(self, first: Matrix, second: Matrix) -> None:
        self._first = _direction(first)
        self._axis = _direction(second) - self._first
        self._squared = float(self._axis @ self._axis)
        if self._squared < 1e-6:
            raise InvalidRequest(
                "the two poles mean the same to the model", hint="choose words further apart"
            )

    def scores(self, vectors: Matrix) -> NDArray[np.float64]:
        """One a row: -1 as at the first pole, 1 as at the second; sentences lie well within."""
        unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.asarray(2 * ((unit - self._first) @ self._axis) / self._squared - 1, np.float64)


def _direction(words: Matrix) -> Matrix:
    unit = words / np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1e-12)
    mean = unit.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)
