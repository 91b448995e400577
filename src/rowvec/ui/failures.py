"""The rows that the model refused, and why."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rowvec.db import for_psql
from rowvec.ui.database import Database
from rowvec.ui.embedding import of
from rowvec.ui.rendering import page

_SHOWN = 200


def show(request: Request) -> Response:
    """The latest failures of one embedding."""
    database: Database = request.app.state.database
    with database.reading() as reading:
        definition = of(request, reading)
        failures = reading.failures(definition["id"], _SHOWN)
    return page(
        request,
        "failures.html",
        definition=definition,
        failures=failures,
        shown=_SHOWN,
        sql=for_psql.failures(definition["id"]),
    )
