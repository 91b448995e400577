"""A paginated JSON API as rows: page after page, as Datasette and many others serve."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from rowvec.backoff import backoff
from rowvec.errors import BadRow, ConfigError, InvalidRequest, SourceInterrupted
from rowvec.http_client import Answer, AnswerTooLarge, Bounds, Link, NoAnswer, Site
from rowvec.load.row_source import RowSource
from rowvec.rows.exact_json import loads
from rowvec.rows.reading import MAX_ROW_BYTES, OnBad, Place, Rows

_LISTS = ("rows", "items", "results", "data", "records")
_NEXTS = ("next_url", "next", "next_page_url")

_BOUNDS = Bounds(silence_seconds=30, total_seconds=300, answer_bytes=MAX_ROW_BYTES)
_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 1
_LONGEST_PAUSE_SECONDS = 8
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class _Page:
    rows: list[Any]
    following: Link | None
    size: int


class JsonApi:
    """Rows of an API from `url` on.

    A page is a JSON array, or an object with one under `rows`, `items`, `results`, `data` or
    `records`; Datasette's arrays of arrays are read with its `columns`. The next page is where
    `next_url` (or `next`, or the header Link) says. A page that fails for a passing reason is asked
    for again, up to five times, with growing pauses; one that stays dead is SourceInterrupted, and
    names itself as the rest. The headers go to the origin of `url` alone.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Sequence[str] = (),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            self._site = Site(url, dict(map(_header, headers)), _BOUNDS, accept="application/json")
        except InvalidRequest as exc:
            raise ConfigError(str(exc)) from exc
        self._url = self._first = url
        self._pause = pause
        self._bytes = 0

    def source(self) -> RowSource:
        """What the loader reads."""
        place = Place(self._url, unit="row")
        return RowSource(
            name=self._url,
            rows=lambda on_bad: self._rows(place, on_bad),
            place=place,
            begin_at=self._begin_at,
            position=lambda: self._bytes,
        )

    def _begin_at(self, url: str) -> None:
        self._first = url

    def _rows(self, place: Place, on_bad: OnBad) -> Rows:
        link: Link | None = self._site.page(self._first)
        seen: set[str] = set()
        while link is not None:
            if link.url in seen:
                raise InvalidRequest(f"the page {link.url} leads back to itself: there is no end")
            seen.add(link.url)
            page = self._page(link)
            self._bytes += page.size
            place.name = link.url
            for place.number, row in enumerate(page.rows, start=1):
                if isinstance(row, dict):
                    yield row
                else:
                    on_bad(BadRow(f"{place} is no JSON object"))
            link = page.following

    def _page(self, link: Link) -> _Page:
        pauses = backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._pause(next(pauses))
            try:
                with self._site.get(link) as answer:
                    if answer.is_ok:
                        return _read(link.url, answer)
                    said = _words(answer.status)
                    if answer.status not in _TRY_AGAIN:
                        break
            except (NoAnswer, _NotJsonError) as exc:
                said = str(exc)
        raise SourceInterrupted(f"the page {link.url} does not answer: {said}", rest=link.url)


def _read(url: str, answer: Answer) -> _Page:
    try:
        text = answer.read()
    except AnswerTooLarge:
        raise InvalidRequest(
            f"the page {url} is larger than {MAX_ROW_BYTES >> 20} MB",
            hint="ask for smaller pages",
        ) from None
    try:
        value = loads(text)
    except BadRow as exc:
        raise InvalidRequest(f"the page {url} {exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise _NotJsonError("its answer is not valid JSON") from exc
    following = _next_of(value) or _next_of_link(answer.header("Link"))
    return _Page(
        _rows_of(value, url), None if following is None else answer.link(following), len(text)
    )


def _words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


class _NotJsonError(Exception):
    """An answer that is cut off, or a proxy's page of HTML: the next attempt may bring JSON."""


def _rows_of(value: object, url: str) -> list[Any]:
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


def _next_of(value: object) -> str | None:
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


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise ConfigError(f"{name!r} is no header", hint="for example 'Authorization: Bearer ...'")
    return name.strip(), value.strip()
