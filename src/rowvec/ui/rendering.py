"""Turns what the pages have into HTML: the templates and their filters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse

from rowvec.html_templates import html_templates

_PREVIEW_CHARACTERS = 600


def page(request: Request, template: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """The template with its values, `request` for links and paths, and `token` for forms."""
    text = _TEMPLATES.get_template(template).render(
        request=request, token=request.app.state.token.value, **values
    )
    return HTMLResponse(text, status_code)


def count(value: int | None) -> str:
    """12345 as 12,345; a dash where it is unknown."""
    return "–" if value is None else f"{value:,}"  # noqa: RUF001 - the dash is what is shown


def as_json(value: object) -> str:
    """A value as compact JSON, as keys travel in links."""
    return orjson.dumps(value, default=str).decode()


def percent(part: float, whole: float) -> float:
    """The share in percent, never 100 while something is left."""
    if not whole:
        return 100.0
    share = 100 * part / whole
    return min(share, 99.9) if part < whole else 100.0


def ago(moment: datetime | None) -> str:
    """How long ago, in one unit."""
    if moment is None:
        return "never"
    passed = max(datetime.now(UTC) - moment, timedelta())
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if passed.total_seconds() >= seconds:
            return f"{int(passed.total_seconds() // seconds)} {unit} ago"
    return "just now"


def field(value: object) -> str:
    """A column's value as text: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else as_json(value)


def preview(text: str) -> tuple[str, str]:
    """The beginning of a text and what is behind it, empty where all of it is short."""
    if len(text) <= _PREVIEW_CHARACTERS:
        return text, ""
    cut = text.rfind(" ", 0, _PREVIEW_CHARACTERS)
    cut = cut if cut > 0 else _PREVIEW_CHARACTERS
    return text[:cut], text[cut:]


_TEMPLATES = html_templates("rowvec.ui")
_TEMPLATES.filters.update(
    count=count, json=as_json, ago=ago, percent=percent, field=field, preview=preview
)
