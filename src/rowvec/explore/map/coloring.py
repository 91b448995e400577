"""What colours the points: values of a column as codes of a palette."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

# Beyond this many categories the rarer ones share a colour.
MAX_CATEGORIES = 60
# Fewer different numbers than this are categories: stars, years of a short time.
_MIN_NUMBERS = 13
RAMP_STEPS = 32

_NONE = "(none)"
_OTHER = "(other)"


@dataclass(frozen=True)
class Coloring:
    """A code a point.

    Of categories it is the place in `labels`; of numbers 0 for none, else a step of the ramp from
    1. `rest` is the code of what is no category of its own, if there is any.
    """

    name: str
    kind: Literal["category", "number"]
    codes: NDArray[np.uint8]
    labels: list[str]
    rest: int | None = None
    values: list[str | None] | None = None
    least: str = ""
    most: str = ""


def coloring(name: str, values: Sequence[str | None]) -> Coloring:
    """The values of one column, as text, as categories or on a ramp."""
    counts = Counter(value for value in values if value is not None)
    numbers = _numbers(values) if len(counts) >= _MIN_NUMBERS else None
    if numbers is not None:
        return _ramp(name, values, numbers)
    return _categories(name, values, counts)


def _numbers(values: Sequence[str | None]) -> NDArray[np.float64] | None:
    try:
        numbers = [math.nan if value is None else float(value) for value in values]
    except ValueError:
        return None
    return np.array(numbers)


def _ramp(name: str, values: Sequence[str | None], numbers: NDArray[np.float64]) -> Coloring:
    known = np.isfinite(numbers)
    # By rank: one huge value would leave the others all the same colour.
    ordered, places = np.unique(numbers[known], return_inverse=True)
    codes = np.zeros(len(numbers), np.uint8)
    share = places / max(1, len(ordered) - 1)
    codes[known] = 1 + np.minimum((share * RAMP_STEPS).astype(int), RAMP_STEPS - 1)
    least, most = (f"{number:g}" for number in (ordered[0], ordered[-1]))
    return Coloring(name, "number", codes, [], values=list(values), least=least, most=most)


def _categories(name: str, values: Sequence[str | None], counts: Counter[str]) -> Coloring:
    # The most frequent first, equally frequent ones by name; clusters come numbered by size.
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    labels = ranked[:MAX_CATEGORIES]
    code_of = {label: code for code, label in enumerate(labels)}
    codes = np.array([code_of.get(value or "", len(labels)) for value in values], np.uint8)
    missing = np.array([value is None for value in values], bool)
    codes[missing] = len(labels)
    rest = len(labels) if (codes == len(labels)).any() else None
    if rest is not None:
        labels.append(_NONE if missing.sum() == (codes == rest).sum() else _OTHER)
    return Coloring(name, "category", codes, labels, rest)
