"""The points of one map in memory, a bounded number, with all that a picture of them needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rowvec.db.vectors import Matrix
from rowvec.explore.map.coloring import Coloring
from rowvec.explore.map.neighbours import Indices

# More of them would be neither seen nor drawn smoothly.
MAX_POINTS = 100_000

# Texts are cut so that a page of many points stays within some tens of megabytes.
_TEXT_BYTES = 16_000_000
_MIN_CHARACTERS, _MAX_CHARACTERS = 160, 600


@dataclass(frozen=True)
class Points:
    """One entry a point in each; `neighbours` are places in the same order."""

    x: Matrix
    y: Matrix
    keys: Sequence[object]
    texts: Sequence[str]
    colorings: Sequence[Coloring]
    neighbours: Indices


def characters_for(points: int) -> int:
    """How much of its text each of so many points has."""
    return int(np.clip(_TEXT_BYTES // max(1, points), _MIN_CHARACTERS, _MAX_CHARACTERS))
