"""How many of the exact neighbours the index finds, at each setting that was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from starlette.requests import Request
from starlette.responses import Response

from rowvec.ui.database import Database
from rowvec.ui.embedding import of
from rowvec.ui.rendering import page


def show(request: Request) -> Response:
    """The chart and the numbers behind it."""
    database: Database = request.app.state.database
    with database.reading() as reading:
        definition = of(request, reading)
        measured = reading.measurements(definition["id"])
        target = reading.setting("target_recall")
    return page(
        request,
        "recall.html",
        definition=definition,
        measured=measured,
        target=target,
        setting=definition["setting_name"] or "",
        chart=Chart.of(measured, target) if measured else None,
        sql=sql.SQL("SELECT * FROM rowvec.measurement WHERE embedding_id = {} ORDER BY setting;")
        .format(definition["id"])
        .as_string(),
    )


@dataclass(frozen=True)
class Point:
    """A measurement and its place in the picture."""

    x: float
    y: float
    measured: dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """Recall (upwards, from a little below the least) against the setting (logarithmic)."""

    points: list[Point]
    ticks: list[tuple[float, str]]
    target_y: float

    WIDTH = 640
    HEIGHT = 320
    LEFT = 52
    RIGHT = 620
    TOP = 20
    BOTTOM = 270

    @classmethod
    def of(cls, measured: list[dict[str, Any]], target: float) -> Chart:
        """The picture of at least one measurement."""
        low = math.floor(min(target, *(m["recall"] for m in measured)) * 10) / 10
        first, last = (math.log(measured[i]["setting"]) for i in (0, -1))

        def x(setting: int) -> float:
            share = (math.log(setting) - first) / (last - first) if last > first else 0.5
            return round(cls.LEFT + share * (cls.RIGHT - cls.LEFT), 1)

        def y(recall: float) -> float:
            share = (recall - low) / (1 - low) if low < 1 else 1
            return round(cls.BOTTOM - share * (cls.BOTTOM - cls.TOP), 1)

        ticks = [(y(low + i * (1 - low) / 4), f"{low + i * (1 - low) / 4:.3g}") for i in range(5)]
        points = [Point(x(m["setting"]), y(m["recall"]), m) for m in measured]
        return cls(points, ticks, y(target))

    @property
    def line(self) -> str:
        """The points as SVG's polyline takes them."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)
