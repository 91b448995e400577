"""The map as one HTML file."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from rowvec.explore.map.coloring import Coloring
from rowvec.explore.map.points import Points

_SCRIPTS = ("point_map.js", "map_page.js")
_BEGIN = 'new MapPage(document, readMapData(document.getElementById("data").textContent));'


def page(points: Points, title: str, facts: str) -> Iterator[bytes]:
    """The page, in pieces: the data is most of it. It asks no other host for anything."""
    scripts = "\n".join([*(page_file(name) for name in _SCRIPTS), _BEGIN])
    escaped = html.escape(title)
    heading = f'<h1>{escaped}</h1>\n  <span class="facts">{html.escape(facts)}</span>'
    filled = {
        "{title}": escaped,
        "{body}": body(heading),
        "{css}": page_file("map.css"),
        "{scripts}": scripts,
    }
    # Parted first: a title may hold what looks like a place to fill.
    before, after = page_file("map.html").split("{data}")
    yield _filled(before, filled)
    # Within <script> only this could end the element or begin a comment.
    yield orjson.dumps(map_data(points)).replace(b"<", b"\\u003c")
    yield _filled(after, filled)


def _filled(text: str, contents: Mapping[str, str]) -> bytes:
    for place, content in contents.items():
        text = text.replace(place, content)
    return text.encode()


def body(heading: str) -> str:
    """What is inside <body> in every page with a map; `heading` is markup, above its tools."""
    return page_file("body.html").replace("{heading}", heading)


def map_data(points: Points) -> dict[str, Any]:
    """What `readMapData` of map_page.js reads."""
    return {
        "x": _numbers(points.x, "<f4"),
        "y": _numbers(points.y, "<f4"),
        "keys": [key if isinstance(key, str | int) else orjson.dumps(key).decode()
                 for key in points.keys],
        "texts": points.texts,
        "colors": [_coloring(one) for one in points.colorings],
        "neighbours": _numbers(points.neighbours, "<i4"),
        "each": points.neighbours.shape[1],
    }  # fmt: skip


def page_file(name: str) -> str:
    """A file of the page."""
    return (resources.files("rowvec.explore.map.page") / name).read_text(encoding="utf-8")


def _coloring(one: Coloring) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "codes": _numbers(one.codes, "u1"),
        "labels": one.labels,
        "rest": one.rest,
        "values": one.values,
        "least": one.least,
        "most": one.most,
    }


def _numbers(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, kind).tobytes()).decode()
