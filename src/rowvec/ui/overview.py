"""The first page: every embedding with its progress, failures and index, and the worker."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rowvec.db import for_psql
from rowvec.errors import DatabaseError
from rowvec.ui.database import Database
from rowvec.ui.rendering import page


def show(request: Request) -> Response:
    """The whole page."""
    database: Database = request.app.state.database
    models: list[dict[str, object]] = []
    worker_error: DatabaseError | None = None
    with database.reading() as reading:
        embeddings = reading.embeddings()
        try:
            models = reading.models()
        except DatabaseError as exc:
            # The page is where one comes to see that the worker is down.
            worker_error = exc
    return page(
        request,
        "overview.html",
        embeddings=embeddings,
        models=models,
        worker_error=worker_error,
        sql=for_psql.STATUS,
    )


def table(request: Request) -> Response:
    """The list alone, which the page asks for again while jobs run."""
    database: Database = request.app.state.database
    with database.reading() as reading:
        embeddings = reading.embeddings()
    return page(request, "embeddings.html", embeddings=embeddings)
