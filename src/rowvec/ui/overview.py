"""The first page: every embedding with its progress, failures and index, and the worker."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rowvec.errors import DatabaseError
from rowvec.ui.database import Database
from rowvec.ui.rendering import page

_SQL = "SELECT * FROM rowvec.status;"


def show(request: Request) -> Response:
    """The whole page."""
    database: Database = request.app.state.database
    embeddings = database.embeddings()
    try:
        models, worker_error = database.models(), None
    except DatabaseError as exc:
        # The page is where one comes to see that the worker is down.
        models, worker_error = [], exc
    return page(
        request,
        "overview.html",
        embeddings=embeddings,
        models=models,
        worker_error=worker_error,
        sql=_SQL,
    )


def table(request: Request) -> Response:
    """The list alone, which the page asks for again while jobs run."""
    database: Database = request.app.state.database
    return page(request, "embeddings.html", embeddings=database.embeddings())
