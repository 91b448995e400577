"""A chart as SVG, as one HTML page, which asks no other host for anything, or as a PNG."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rowvec.errors import ConfigError
from rowvec.index.chart import HEIGHT, WIDTH, Dot, Element, Line, Role

_ENDINGS = (".html", ".png")
_SURFACE = "#fbfbfa"
_COLOURS: dict[Role, str] = {
    "ink": "#1c2024", "muted": "#60666d", "grid": "#e3e5e8",
    "curve": "#2171b5", "best": "#e6680a", "target": "#2b8a3e",
}  # fmt: skip
# Drawn larger and scaled down, so that edges are smooth.
_OVERSAMPLING = 2
_DASH = 8.0
_FONT = "font-family='system-ui, sans-serif'"


def check_plot(path: Path) -> None:
    """Raises ConfigError where `draw` could not write that file."""
    if path.suffix not in _ENDINGS:
        raise ConfigError(f"{path} is neither .html nor .png", hint="the ending says what is drawn")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"there is no folder {path.absolute().parent}")
    if path.suffix == ".png":
        try:
            import PIL  # noqa: F401, PLC0415 - an extra
        except ImportError as exc:
            raise ConfigError(
                "a PNG needs Pillow", hint="pip install 'rowvec[explore]', or an .html file"
            ) from exc


def draw(elements: Sequence[Element], title: str, path: Path) -> None:
    """Writes the chart; raises ConfigError where the file cannot be."""
    try:
        if path.suffix == ".png":
            _png(elements).save(path, "PNG", optimize=True)
        else:
            path.write_text(_page(elements, title), encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}") from exc


def svg(elements: Sequence[Element], label: str, attributes: str = "") -> str:
    """The chart as an element; `label` says it to who does not see it.

    Each part has its role as a class: a page with colours of its own gives them by CSS.
    """
    drawn = "\n".join(map(_drawn, elements))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' {_FONT}"
        f" role='img' aria-label='{html.escape(label)}' class='chart'{attributes}>\n{drawn}\n</svg>"
    )


def _page(elements: Sequence[Element], title: str) -> str:
    drawn = svg(elements, title, " style='display:block;max-width:1200px;margin:auto'")
    return (
        "<!doctype html>\n<html lang='en'><meta charset='utf-8'>"
        f"<title>{html.escape(title)}</title>\n<body style='margin:0;background:{_SURFACE}'>\n"
        f"{drawn}\n</body></html>\n"
    )


def _drawn(element: Element) -> str:
    colour = _COLOURS[element.role]
    if isinstance(element, Line):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in element.points)
        dash = f" stroke-dasharray='{_DASH:g}'" if element.dashed else ""
        return (
            f"<polyline class='{element.role}' points='{points}' fill='none' stroke='{colour}'"
            f" stroke-width='{element.width}'{dash}/>"
        )
    if isinstance(element, Dot):
        return (
            f"<circle class='{element.role}' cx='{element.x:.1f}' cy='{element.y:.1f}'"
            f" r='{element.radius}' fill='{colour}'>"
            f"<title>{html.escape(element.title)}</title></circle>"
        )
    return (
        f"<text class='{element.role}' x='{element.x:.1f}' y='{element.y:.1f}'"
        f" font-size='{element.size}' fill='{colour}' text-anchor='{element.anchor}'>"
        f"{html.escape(element.text)}</text>"
    )


def _png(elements: Sequence[Element]) -> Any:
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - an extra

    scale = _OVERSAMPLING
    image = Image.new("RGB", (WIDTH * scale, HEIGHT * scale), _SURFACE)
    pen = ImageDraw.Draw(image)
    for element in elements:
        colour = _COLOURS[element.role]
        if isinstance(element, Line):
            for start, end in _strokes(element):
                ends = [(x * scale, y * scale) for x, y in (start, end)]
                pen.line(ends, fill=colour, width=round(element.width * scale))
        elif isinstance(element, Dot):
            x, y, r = element.x * scale, element.y * scale, element.radius * scale
            pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
        else:
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[element.anchor]
            font = ImageFont.load_default(element.size * scale)
            place = (element.x * scale, element.y * scale)
            pen.text(place, element.text, fill=colour, font=font, anchor=anchor)
    return image


def _strokes(line: Line) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The pieces of a line; Pillow draws no dashes."""
    whole = list(zip(line.points, line.points[1:], strict=False))
    if not line.dashed:
        return whole
    pieces = []
    for (x1, y1), (x2, y2) in whole:
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5 or 1.0
        for step in range(0, int(length), int(2 * _DASH)):
            begin, end = step / length, min(1.0, (step + _DASH) / length)
            pieces.append(
                (
                    (x1 + (x2 - x1) * begin, y1 + (y2 - y1) * begin),
                    (x1 + (x2 - x1) * end, y1 + (y2 - y1) * end),
                )
            )
    return pieces
