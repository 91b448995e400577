"""The map of an embedding: the points that `rowvec map` placed, with similar rows on a click."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response

from rowvec.db.definition import Definition
from rowvec.db.derived import DerivedTable
from rowvec.db.map_points import MapPoints, PointRow
from rowvec.db.owner import AsCaller
from rowvec.db.session import open_session
from rowvec.db.vectors import VectorColumn
from rowvec.errors import InvalidRequest
from rowvec.explore.map.coloring import coloring
from rowvec.explore.map.html import body, map_data
from rowvec.explore.map.points import MAX_POINTS, Points, characters_for
from rowvec.search.searches import Similar
from rowvec.ui.database import APPLICATION, Database
from rowvec.ui.embedding import of
from rowvec.ui.rendering import page

_SIMILAR_ROWS = 8


def show(request: Request) -> Response:
    """The page around the map; its points come by `data`."""
    database: Database = request.app.state.database
    with database.reading() as reading:
        definition = of(request, reading)
        has_map = reading.has_derived(definition["id"], "map")
    return page(
        request,
        "map.html" if has_map else "no_map.html",
        definition=definition,
        body=body,
    )


def data(request: Request) -> Response:
    """The points, as map_page.js reads them."""
    database: Database = request.app.state.database
    with database.reading() as reading:
        found = of(request, reading)
    with database.turn() as dsn:
        rows = asyncio.run(read(dsn, found))
    return _json(map_data(_points(rows)))


async def read(dsn: str, found: dict[str, Any]) -> list[PointRow]:
    """The points of rows that the role of `dsn` may see."""
    async with open_session(dsn, APPLICATION) as session:
        await session.hide_by_policies()
        definition = await Definition.read(session, found["table"], found["name"])
        points = await DerivedTable.find(session, definition, "map")
        if points is None:
            raise InvalidRequest(
                f"{found['table']} has no map yet", hint=f"run `rowvec map {found['table']}`"
            )
        clusters = await DerivedTable.find(session, definition, "cluster")
        centroids = await DerivedTable.find(session, definition, "centroid")
        both = None if clusters is None or centroids is None else (clusters, centroids)
        column = await VectorColumn.of(session, definition)
        reader = MapPoints(definition, column, points, (), both)
        limit = min(found["rows"] or MAX_POINTS, MAX_POINTS)
        batches = reader.read(AsCaller(session), limit, characters_for(limit))
        return [row async for batch in batches for row in batch]


def similar(request: Request) -> Response:
    """The keys of the rows nearest to one."""
    database: Database = request.app.state.database
    key = request.query_params.get("key", "null")
    with database.reading() as reading:
        definition = of(request, reading)
        wanted = Similar(definition["table"], key, _SIMILAR_ROWS, definition["name"])
        return _json([row.key for row in wanted.run(reading.connection)])


def _points(rows: list[PointRow]) -> Points:
    has_clusters = bool(rows) and len(rows[0].colors) > 0
    return Points(
        x=np.array([row.x for row in rows], np.float32),
        y=np.array([row.y for row in rows], np.float32),
        keys=[row.key for row in rows],
        texts=[" ".join(row.text.split()) for row in rows],
        colorings=[coloring("cluster", [row.colors[0] for row in rows])] if has_clusters else [],
        # Asked for one by one, of the database.
        neighbours=np.empty((len(rows), 0), np.int32),
    )


def _json(value: object) -> Response:
    return Response(orjson.dumps(value, default=str), media_type="application/json")
