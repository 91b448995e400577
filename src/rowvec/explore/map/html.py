"""The map as one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np
import orjson
from markupsafe import Markup
from numpy.typing import NDArray

from rowvec.explore.map.coloring import Coloring
from rowvec.explore.map.points import Points
from rowvec.html_templates import html_templates

_SCRIPTS = ("point_map.js", "map_page.js")
_TEMPLATES = html_templates("rowvec.explore.map", "page")
_BEGIN = 'new MapPage(document, readMapData(document.getElementById("data").textContent));'


def page(points: Points, title: str, facts: str) -> Iterator[bytes]:
    """The page, in pieces: the data is most of it. It asks no other host for anything."""
    filled = {
        "title": title,
        "facts": facts,
        "css": _page_file("map.css"),
        "scripts": "\n".join([*map(_page_file, _SCRIPTS), _BEGIN]),
        # Within <script> only this could end the element or begin a comment.
        "data": orjson.dumps(map_data(points)).replace(b"<", b"\\u003c").decode(),
    }
    for piece in _TEMPLATES.get_template("map.html").generate(filled):
        yield piece.encode()


def body(heading: Markup) -> str:
    """What is inside <body> in every page with a map, with `heading` above its tools."""
    return _TEMPLATES.get_template("body.html").render(heading=heading)


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


def _page_file(name: str) -> str:
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
