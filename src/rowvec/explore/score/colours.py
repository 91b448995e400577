"""Colours for scores: orange for the first pole, blue for the second, nothing in between.

Orange and blue stay apart for nearly all eyes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_FIRST, _SECOND = (214, 96, 0), (25, 100, 210)


def strengths(scores: Sequence[float]) -> list[float]:
    """The scores from -1 to 1 so that the strongest of this text has the full colour."""
    largest = float(np.abs(scores).max(initial=0)) or 1.0
    return [score / largest for score in scores]


def mixed(strength: float, ground: tuple[int, int, int]) -> tuple[int, int, int]:
    """The colour of a strength over a ground."""
    pole = _FIRST if strength < 0 else _SECOND
    share = min(1.0, abs(strength)) * 0.75
    red, green, blue = (round(g + (p - g) * share) for p, g in zip(pole, ground, strict=True))
    return red, green, blue
