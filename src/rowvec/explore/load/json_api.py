"""A paginated JSON API as rows: page after page, as Datasette and many others serve."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson

from rowvec.errors import BadRow, ConfigError, InvalidRequest, SourceInterrupted
from rowvec.explore.load.source import Source
from rowvec.rows.reading import MAX_ROW_BYTES, OnBad, Place, Rows

_LISTS = ("rows", "items", "results", "data", "records")
_NEXTS = ("next_url", "next", "next_page_url")

_TIMEOUT_SECONDS = 30
_ATTEMPTS = 5
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class _Page:
    rows: list[Any]
    following: str | None
    size: int


class JsonApi:
    """Rows of an API from `url` on.

    A page is a JSON array, or an object with one under `rows`, `items`, `results`, `data` or
    `records`; Datasette's arrays of arrays are read with its `columns`. The next page is where
    `next_url` (or `next`, or the header Link) says. A page that fails for a passing reason is asked
    for again, up to five times, with growing pauses; one that stays dead is SourceInterrupted, and
    names itself as the rest.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Sequence[str] = (),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError(f"{url} is no http or https URL")
        self._url = self._first = url
        self._origin = _origin(url)
        self._headers = dict(map(_header, headers))
        self._pause = pause
        self._bytes = 0

    def source(self) -> Source:
        """What the loader reads."""
        place = Place(self._url, unit="row")
        return Source(
            name=self._url,
            rows=lambda on_bad: self._rows(place, on_bad),
            place=place,
            begin_at=self._begin_at,
            position=lambda: self._bytes,
        )

    def _begin_at(self, url: str) -> None:
        self._first = url

    def _rows(self, place: Place, on_bad: OnBad) -> Rows:
        url: str | None = self._first
        seen: set[str] = set()
        while url is not None:
            if url in seen:
                raise InvalidRequest(f"the page {url} leads back to itself: there is no end")
            seen.add(url)
            page = self._page(url)
            self._bytes += page.size
            place.name = url
            for place.number, row in enumerate(page.rows, start=1):
                if isinstance(row, dict):
                    yield row
                else:
                    on_bad(BadRow(f"{place} is no JSON object"))
            url = page.following

    def _page(self, url: str) -> _Page:
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._pause(2 ** (attempt - 1))
            try:
                return self._get(url)
            except urllib.error.HTTPError as exc:
                said = f"{exc.code} {exc.reason}"
                if exc.code not in _TRY_AGAIN:
                    break
            except (OSError, HTTPException, _NotJsonError) as exc:
                said = str(exc) or type(exc).__name__
        raise SourceInterrupted(f"the page {url} does not answer: {said}", rest=url)

    def _get(self, url: str) -> _Page:
        headers = self._headers if _origin(url) == self._origin else {}
        request = urllib.request.Request(  # noqa: S310  # the scheme was checked
            url, headers={"Accept": "application/json", "User-Agent": "rowvec", **headers}
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            assert isinstance(answer, HTTPResponse)
            text = answer.read(MAX_ROW_BYTES + 1)
            link = answer.headers.get("Link")
        if len(text) > MAX_ROW_BYTES:
            raise InvalidRequest(
                f"the page {url} is larger than {MAX_ROW_BYTES >> 20} MB",
                hint="ask for smaller pages",
            )
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as exc:
            raise _NotJsonError("its answer is not valid JSON") from exc
        following = _next_of(value) or _next_of_link(link)
        if following is not None:
            following = urljoin(url, following)
            if urlsplit(following).scheme not in ("http", "https"):
                raise InvalidRequest(
                    f"the page {url} leads to {following}, which is no web address"
                )
        return _Page(_rows_of(value, url), following, len(text))


class _NotJsonError(Exception):
    """An answer that is cut off, or a proxy's page of HTML: the next attempt may bring JSON."""


def _rows_of(value: Any, url: str) -> list[Any]:
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        raise InvalidRequest(f"the page {url} is neither a JSON array nor an object")
    rows = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), None)
    if rows is None:
        raise InvalidRequest(
            f"the page {url} has no list of rows", hint=f"looked for: {', '.join(_LISTS)}"
        )
    columns = value.get("columns")
    if isinstance(columns, list) and rows and isinstance(rows[0], list):
        return [dict(zip(map(str, columns), row, strict=False)) for row in rows]
    return list(rows)


def _next_of(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return next(
        (found for key in _NEXTS if isinstance(found := value.get(key), str) and "/" in found), None
    )


def _next_of_link(header: str | None) -> str | None:
    for part in (header or "").split(","):
        url, _, parameters = part.partition(";")
        if 'rel="next"' in parameters.replace(" ", "").replace("rel=next", 'rel="next"'):
            return url.strip().removeprefix("<").removesuffix(">")
    return None


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise ConfigError(f"{name!r} is no header", hint="for example 'Authorization: Bearer ...'")
    return name.strip(), value.strip()
