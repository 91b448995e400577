"""A chart of recall over latency as lines, dots and words, whatever draws them in the end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rowvec.db.measured import Measured

WIDTH, HEIGHT = 960, 600

# What an element is for, from which whoever draws it takes its colour.
Role = Literal["ink", "muted", "grid", "curve", "best", "target"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 40, 96, 70
_LABEL_DISTANCE = 34
# Of a letter, in sizes of the font: about as wide as the widest fonts have them.
_LETTER = 0.58


@dataclass(frozen=True)
class Line:
    """Points that are joined."""

    points: tuple[tuple[float, float], ...]
    role: Role
    width: float = 1
    dashed: bool = False


@dataclass(frozen=True)
class Dot:
    """One measurement; `title` is shown where the pointer rests."""

    x: float
    y: float
    radius: float
    role: Role
    title: str


@dataclass(frozen=True)
class Words:
    """A text; x is its beginning, middle or end, y its baseline."""

    x: float
    y: float
    text: str
    size: int = 13
    role: Role = "muted"
    anchor: str = "start"

    def meets(self, other: Words) -> bool:
        """Whether the two would be written over each other, or nearly."""
        (left, top, right, bottom), (a, b, c, d) = self._box(), other._box()
        return left < c and a < right and top < d and b < bottom

    def _box(self) -> tuple[float, float, float, float]:
        width = len(self.text) * self.size * _LETTER
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, self.y - self.size, left + width, self.y + self.size / 4


Element = Line | Dot | Words


@dataclass(frozen=True)
class Curve:
    """What is drawn: measurements, the one that `search` uses, and the recall that was wanted.

    `k` is how many neighbours were asked for, where that is known.
    """

    title: str
    facts: str
    measured: Sequence[Measured]
    best: Measured | None
    target: float
    k: int | None = None


def chart(curve: Curve) -> list[Element]:
    """The elements, those below first. Latency is the median, on a logarithmic axis."""
    points = [one for one in curve.measured if one.setting is not None]
    exact = next((one for one in curve.measured if one.setting is None), None)
    scale = _Scale(points, exact, curve.target)
    level, right = scale.y(curve.target), WIDTH - _RIGHT
    elements: list[Element] = [
        Words(_LEFT, 38, curve.title, 22, "ink"),
        Words(_LEFT, 64, curve.facts, 14),
        *_axes(scale, curve.k),
        Line(((_LEFT, level), (right, level)), "target", 1.5, dashed=True),
        Words(_LEFT + 6, level - 6, f"target {curve.target:g}", 13, "target"),
    ]
    said_before = [] if curve.best is None else [_words_of_best(curve.best, scale)]
    if exact is not None:
        x, bottom = scale.x(exact.p50_ms), HEIGHT - _BOTTOM
        said = f"exact search, {exact.p50_ms:.1f} ms"
        of_exact = _beside(Words(x, bottom - 10, said), 6, is_left=True)
        for of_best in said_before:
            if of_exact.meets(of_best):
                of_exact = replace(of_exact, y=of_best.y - 2 * of_best.size)
        said_before.append(of_exact)
        elements.append(Line(((x, _TOP), (x, bottom)), "muted", 1.5, dashed=True))
    elements.append(Line(tuple(scale.place(one) for one in points), "curve", 2))
    elements += _dots(points, curve.best, scale, said_before)
    return elements + said_before


class _Scale:
    """From milliseconds and recall to the picture."""

    def __init__(self, points: Sequence[Measured], exact: Measured | None, target: float) -> None:
        times = [one.p50_ms for one in points] + ([exact.p50_ms] if exact else [])
        self.least = min(times) / 1.15
        self.most = max(times) * 1.15
        worst = min([target, *(one.recall for one in points)])
        self.floor = max(0.0, math.floor((worst - 0.02) * 20) / 20)

    def x(self, milliseconds: float) -> float:
        """Logarithmic."""
        share = math.log(milliseconds / self.least) / math.log(self.most / self.least)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, recall: float) -> float:
        """From the floor to 1."""
        share = (recall - self.floor) / (1.005 - self.floor)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    def place(self, one: Measured) -> tuple[float, float]:
        """Of a measurement."""
        return self.x(one.p50_ms), self.y(one.recall)


def _axes(scale: _Scale, k: int | None) -> Iterator[Element]:
    bottom = HEIGHT - _BOTTOM
    step = 0.01 if scale.floor >= 0.9 else 0.05 if scale.floor >= 0.5 else 0.1
    for count in range(math.ceil(scale.floor / step - 1e-9), round(1 / step) + 1):
        y = scale.y(count * step)
        yield Line(((_LEFT, y), (WIDTH - _RIGHT, y)), "grid")
        yield Words(_LEFT - 10, y + 4, f"{count * step:.2f}", anchor="end")
    for milliseconds in _round_times(scale.least, scale.most):
        x = scale.x(milliseconds)
        yield Line(((x, _TOP), (x, bottom)), "grid")
        yield Words(x, bottom + 20, f"{milliseconds:g}", anchor="middle")
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    yield Words(middle, bottom + 46, "median latency in ms", 14, anchor="middle")
    yield Words(_LEFT, _TOP - 10, "recall" if k is None else f"recall@{k}", 14)


def _round_times(least: float, most: float) -> list[float]:
    """1, 2, 5, 10 and so on within the axis."""
    lowest, highest = math.floor(math.log10(least)), math.ceil(math.log10(most))
    times = [m * 10.0**e for e in range(lowest, highest + 1) for m in (1, 2, 5)]
    return [time for time in times if least <= time <= most]


def _dots(
    points: Sequence[Measured], best: Measured | None, scale: _Scale, said_before: Sequence[Words]
) -> Iterator[Element]:
    """A dot for each, with the setting beside it where there is space."""
    taken = [] if best is None else [scale.place(best)]
    for one in points:
        place = scale.place(one)
        is_best = best is not None and one.setting == best.setting
        title = f"{one.setting}: {_figures(one)}, p95 {one.p95_ms:.2f} ms"
        yield Dot(*place, 7 if is_best else 4.5, "best" if is_best else "curve", title)
        words = Words(place[0] + 9, place[1] + 16, _short(one))
        if (
            not is_best
            and all(math.dist(place, other) > _LABEL_DISTANCE for other in taken)
            and not any(words.meets(other) for other in said_before)
        ):
            taken.append(place)
            yield words


def _words_of_best(best: Measured, scale: _Scale) -> Words:
    x, y = scale.place(best)
    return _beside(Words(x, y + 20, f"{best.setting}: {_figures(best)}", 14, "best"), 12)


def _beside(words: Words, distance: float, *, is_left: bool = False) -> Words:
    """To the right of a place, or to its left, whichever stays within the picture."""
    width = len(words.text) * words.size * _LETTER
    has_room = words.x - distance - width > _LEFT
    if has_room if is_left else words.x + distance + width > WIDTH:
        return replace(words, x=words.x - distance, anchor="end")
    return replace(words, x=words.x + distance)


def _figures(one: Measured) -> str:
    return f"recall {one.recall:.3f}, p50 {one.p50_ms:.2f} ms"


def _short(one: Measured) -> str:
    assert one.setting is not None
    return str(next(value for value in reversed(vars(one.setting).values()) if value is not None))
