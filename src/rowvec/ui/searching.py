"""Search by words and by row: the results with their scores, and the SQL that found them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rowvec.errors import RowvecError
from rowvec.search.searches import Found, Search, Similar
from rowvec.ui.access import Token
from rowvec.ui.database import Database
from rowvec.ui.embedding import of
from rowvec.ui.rendering import page
from rowvec.ui.thumbnails import thumbnail

_K = 10
_MAX_K = 100
_NUMBER = re.compile(r"[0-9]{1,9}")


def search(request: Request) -> Response:
    """The box, and the rows nearest to what was typed into it."""
    given = request.query_params
    text, condition = given.get("q", "").strip(), given.get("filter", "").strip()
    # A condition is SQL: one from a link is shown first, and not run.
    is_held = bool(text and condition) and not Token.fits(request, given.get("token", ""))

    def wanted(definition: dict[str, Any]) -> Search | None:
        if not text or is_held:
            return None
        return Search(
            definition["table"], text, _k(request), condition or None, embedding=definition["name"]
        )

    return _results(request, wanted, query=text, is_held=is_held)


def similar(request: Request) -> Response:
    """The rows nearest to one row."""
    key = request.query_params.get("key")
    if key is None:
        raise HTTPException(400, "the address names no row: it needs ?key=")

    def wanted(definition: dict[str, Any]) -> Similar:
        return Similar(definition["table"], key, _k(request), definition["name"])

    return _results(request, wanted, key=key)


def image(request: Request) -> Response:
    """A small picture of an image row."""
    database: Database = request.app.state.database
    with database.reading() as reading:
        definition = of(request, reading)
        encoded = reading.input_of(definition["id"], request.query_params.get("key", "null"))
    if definition["modality"] != "image" or encoded is None:
        raise HTTPException(404, "this row has no image")
    return Response(thumbnail(encoded, request.app.state.settings), media_type="image/webp")


def _k(request: Request) -> int:
    given = request.query_params.get("k", "")
    return max(1, min(int(given), _MAX_K)) if _NUMBER.fullmatch(given) else _K


def _results(
    request: Request,
    wanted_of: Callable[[dict[str, Any]], Search | Similar | None],
    *,
    query: str = "",
    key: str | None = None,
    is_held: bool = False,
) -> Response:
    database: Database = request.app.state.database
    found: list[Found] = []
    error: RowvecError | None = None
    with database.reading() as reading:
        definition = of(request, reading)
        wanted = wanted_of(definition)
        if wanted is not None:
            try:
                found = wanted.run(reading.connection)
            except RowvecError as exc:
                # What was typed stays in the box beside the sentence.
                error = exc
    return page(
        request,
        "search.html",
        status_code=403 if is_held else 422 if error else 200,
        definition=definition,
        query=query,
        key=key,
        k=_k(request),
        filter=request.query_params.get("filter", ""),
        is_held=is_held,
        results=[_Result(definition, row) for row in found],
        asked=wanted is not None,
        error=error,
        sql=wanted.as_sql() if wanted is not None else None,
    )


class _Result:
    """One row as the page shows it."""

    def __init__(self, definition: dict[str, Any], found: Found) -> None:
        own = {definition["name"], f"{definition['name']}_of"}
        row = dict(found.row)
        assert found.distance is not None  # only a search by words finds rows without a vector
        self.key, self.rank, self.distance = found.key, found.rank, found.distance
        self.score = _score(definition["metric"], found.distance)
        self.chunk = (
            (row.pop("_chunk", None) or {}).get("chunk")
            if definition["destination"] == "table"
            else None
        )
        # In the order of the table: jsonb has one of its own.
        self.fields = {
            name: value
            for name in definition["columns"]
            if name not in own and (value := row.get(name)) is not None and not _is_vector(value)
        }


def _is_vector(value: Any) -> bool:
    """Whether a text is a pgvector value of another embedding, which tells a reader nothing."""
    return isinstance(value, str) and value.startswith("[") and value.endswith("]") and "," in value


def _score(metric: str, distance: float) -> float:
    """The similarity that belongs to pgvector's distance; the distance itself for L2."""
    match metric:
        case "cosine":
            return 1 - distance
        case "inner_product":
            return -distance
        case _:
            return distance
