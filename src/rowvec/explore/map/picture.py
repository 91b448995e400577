"""The map as a PNG, with a legend."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowvec.explore.map.coloring import RAMP_STEPS, Coloring
from rowvec.explore.map.points import Points

_WIDTH, _HEIGHT = 1600, 1100
_LEGEND_WIDTH = 400
_MARGIN = 48
_HEAD = 96
# Drawn larger and scaled down, so that edges are smooth.
_OVERSAMPLING = 2
_SURFACE, _INK, _MUTED = "#fbfbfa", "#1c2024", "#60666d"
_LEGEND_LINES = 28

_FIXED = (
    "#2171b5", "#e6680a", "#2b8a3e", "#c92a2a", "#7b4fb5",
    "#8c5a33", "#d0458d", "#8f8a00", "#0f8f95", "#6b7280",
)  # fmt: skip
_REST = "#b3b9bf"
_RAMP = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151")
_ONE = "#3b6fb6"


def draw(points: Points, title: str, facts: str, path: str) -> None:
    """Writes the picture; the first colouring is the one that is drawn."""
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - an extra

    image = Image.new("RGB", (_WIDTH * _OVERSAMPLING, _HEIGHT * _OVERSAMPLING), _SURFACE)
    colouring = points.colorings[0] if points.colorings else None
    _draw_points(ImageDraw.Draw(image, "RGBA"), points, colouring)
    image = image.resize((_WIDTH, _HEIGHT), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(image)
    pen.text((_MARGIN, 26), title, fill=_INK, font=ImageFont.load_default(30))
    pen.text((_MARGIN, 66), facts, fill=_MUTED, font=ImageFont.load_default(18))
    if colouring is not None:
        _draw_legend(pen, colouring, ImageFont)
    image.save(path, "PNG", optimize=True)


def _draw_points(pen: Any, points: Points, colouring: Coloring | None) -> None:
    width = (_WIDTH - _LEGEND_WIDTH - 2 * _MARGIN) * _OVERSAMPLING
    height = (_HEIGHT - _HEAD - _MARGIN - 12) * _OVERSAMPLING
    x, y = (_spread(values) for values in (points.x, points.y))
    span = max(x.max(initial=0) / width, y.max(initial=0) / height) or 1
    left = _MARGIN * _OVERSAMPLING + (width - x.max(initial=0) / span) / 2
    top = (_HEAD + 12) * _OVERSAMPLING + (height - y.max(initial=0) / span) / 2
    places = np.stack([left + x / span, top + (y.max(initial=0) - y) / span], axis=1)
    radius = float(np.clip(170 / np.sqrt(max(1, len(x))), 1.1, 6)) * _OVERSAMPLING
    alpha = 170 if len(x) > 5_000 else 215
    colours = [_ONE] if colouring is None else palette(colouring)
    inks = [(*bytes.fromhex(colour[1:]), alpha) for colour in colours]
    codes = np.zeros(len(x), np.uint8) if colouring is None else colouring.codes
    for (px, py), code in zip(places.tolist(), codes.tolist(), strict=True):
        pen.ellipse((px - radius, py - radius, px + radius, py + radius), fill=inks[code])


def _draw_legend(pen: Any, colouring: Coloring, fonts: Any) -> None:
    left, top = _WIDTH - _LEGEND_WIDTH + 20, _HEAD + 24
    pen.text((left, top), colouring.name, fill=_MUTED, font=fonts.load_default(18))
    colours = palette(colouring)
    if colouring.kind == "number":
        for step in range(RAMP_STEPS):
            at = left + step * 10
            pen.rectangle((at, top + 36, at + 10, top + 52), fill=colours[step + 1])
        ends = f"{colouring.least} to {colouring.most}"
        pen.text((left, top + 60), ends, fill=_INK, font=fonts.load_default(18))
        return
    font = fonts.load_default(18)
    for line, label in enumerate(colouring.labels[:_LEGEND_LINES]):
        y = top + 36 + 32 * line
        pen.ellipse((left, y + 5, left + 14, y + 19), fill=colours[line])
        pen.text((left + 26, y), _fit(pen, label, font), fill=_INK, font=font)
    beyond = len(colouring.labels) - _LEGEND_LINES
    if beyond > 0:
        y = top + 36 + 32 * _LEGEND_LINES
        pen.text((left + 26, y), f"and {beyond} more", fill=_MUTED, font=font)


def _fit(pen: Any, text: str, font: Any) -> str:
    text = " ".join(text.split())[:200]
    room = _LEGEND_WIDTH - 26 - 40
    if pen.textlength(text, font=font) <= room:
        return text
    while text and pen.textlength(text + "…", font=font) > room:
        text = text[:-1]
    return text + "…"


def palette(colouring: Coloring) -> list[str]:
    """A colour a code, as the page has them on a light ground."""
    if colouring.kind == "number":
        return ["#8a9097", *(_between(step / (RAMP_STEPS - 1)) for step in range(RAMP_STEPS))]
    few = len(colouring.labels) <= len(_FIXED) + 1
    return [
        _REST if code == colouring.rest else _FIXED[code] if few and code < len(_FIXED)
        else _turned(code)
        for code in range(len(colouring.labels))
    ]  # fmt: skip


def _turned(code: int) -> str:
    hue = (code * 137.508 + 205) % 360 / 360
    red, green, blue = colorsys.hls_to_rgb(hue, (40 + 9 * (code % 3)) / 100, 0.62)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def _between(share: float) -> str:
    at = min(share * (len(_RAMP) - 1), len(_RAMP) - 1 - 1e-9)
    low, part = int(at), at - int(at)
    pairs = zip(bytes.fromhex(_RAMP[low][1:]), bytes.fromhex(_RAMP[low + 1][1:]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * part):02x}" for a, b in pairs)


def _spread(values: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = values.astype(np.float64)
    return wide - wide.min(initial=np.inf) if len(wide) else wide
