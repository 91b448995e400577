"""Whether a graph computes what the library does: sample texts, and how alike their rows are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rowvec.models.embedder import Matrix, Tokenized

# Of rows that are the same but for rounding. Numbers of fewer bits are not held to it.
SAME = 0.9999

SAMPLES = (
    "x",
    "",
    "a vector for every row",
    "How many lists shall an index have?",
    "Postgres ruft einen Arbeiter neben der Datenbank, der das Modell rechnet.",
    "база данных · データベース · قاعدة بيانات",
    " ".join(["a text that is long enough to be cut off by most models"] * 60),
)

# What cross-encoders compare the samples with.
QUERY = "what is it about"


def sample_rows(
    samples: Sequence[Tokenized],
    alone: Callable[[Sequence[Tokenized]], Matrix],
    together: Callable[[Sequence[Tokenized]], Matrix] | None = None,
) -> Matrix:
    """The rows of the samples in one batch, then of each by itself."""
    return np.concatenate([(together or alone)(samples), *(alone([sample]) for sample in samples)])


def likeness(ours: Matrix, theirs: Matrix) -> float:
    """Of the worst row: its cosine, or of scores one less their difference."""
    if theirs.shape[1] == 1:
        scale = np.maximum(np.abs(theirs), 1.0)
        return float(1 - (np.abs(ours - theirs) / scale).max())
    return float(cosines(ours, theirs).min())


def cosines(ours: Matrix, theirs: Matrix) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The cosine of each row with its counterpart; 1 where both are zero, 0 where one is."""
    mine, other = ours.astype(np.float64), theirs.astype(np.float64)
    lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(other, axis=1)
    both_zero = ~mine.any(axis=1) & ~other.any(axis=1)
    found: np.ndarray[Any, np.dtype[np.float64]] = np.where(
        both_zero, 1.0, (mine * other).sum(axis=1) / np.maximum(lengths, 1e-300)
    )
    return found
