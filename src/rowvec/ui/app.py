"""The application: which address shows what, and how an error looks."""

from __future__ import annotations

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from rowvec.config import Settings
from rowvec.errors import DatabaseUnavailable, RowvecError
from rowvec.ui import failures, map_page, overview, recall, scoring, searching
from rowvec.ui.access import Access, Token
from rowvec.ui.database import Database
from rowvec.ui.rendering import page


def application(database: Database, settings: Settings, password: SecretStr | None) -> Starlette:
    """The pages over an open database; without a password, for loopback only."""
    app = Starlette(
        routes=[
            Route("/", overview.show, name="overview"),
            Route("/embeddings", overview.table, name="embeddings"),
            Route("/embedding/{id:int}", searching.search, name="search"),
            Route("/embedding/{id:int}/similar", searching.similar, name="similar"),
            Route("/embedding/{id:int}/image", searching.image, name="image"),
            Route("/embedding/{id:int}/failures", failures.show, name="failures"),
            Route("/embedding/{id:int}/recall", recall.show, name="recall"),
            Route("/embedding/{id:int}/map", map_page.show, name="map"),
            Route("/embedding/{id:int}/map/points", map_page.data, name="map_data"),
            Route("/embedding/{id:int}/map/similar", map_page.similar, name="map_similar"),
            Route("/score", scoring.show, name="score", methods=["GET", "POST"]),
            _files("/static", "rowvec.ui", "static"),
            _files("/map_files", "rowvec.explore.map", "page"),
        ],
        middleware=[Middleware(Access, password=password)],
        exception_handlers={RowvecError: _refused, HTTPException: _wrong_address},
    )
    app.state.database = database
    app.state.token = Token()
    app.state.settings = settings
    return app


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RowvecError)
    status = 503 if isinstance(error, DatabaseUnavailable) else 422
    return page(request, "error.html", status_code=status, message=str(error), hint=error.hint)


async def _wrong_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return page(
        request, "error.html", status_code=error.status_code, message=error.detail, hint=None
    )


def _files(path: str, package: str, folder: str) -> Mount:
    return Mount(path, StaticFiles(packages=[(package, folder)]), name=path.removeprefix("/"))
