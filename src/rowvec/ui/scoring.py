"""A text with its sentences coloured by their place between two poles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rowvec.db.page_rows import PageRows
from rowvec.errors import InvalidRequest, RowvecError
from rowvec.explore.score.axis import Axis
from rowvec.explore.score.colours import strengths
from rowvec.explore.score.sentences import Sentence, sentences, words
from rowvec.ui.access import Token
from rowvec.ui.database import Database
from rowvec.ui.rendering import page

_MAX_BYTES = 1 << 20
# Kinds of models that give a text no dense vector.
_NOT_DENSE = {"cross-encoder", "sparse-encoder"}


async def show(request: Request) -> Response:
    """The form, and under it the text that was sent."""
    sent = await _Form.read(request)
    if request.method == "POST" and not Token.fits(request, sent.token):
        raise HTTPException(403, "this form is old, or not from this page: reload it")
    return await run_in_threadpool(_page, request, sent)


@dataclass(frozen=True)
class _Form:
    """What was typed."""

    model: str = ""
    first: str = ""
    second: str = ""
    text: str = ""
    token: str = ""

    @classmethod
    async def read(cls, request: Request) -> Self:
        """The fields of the form; raises HTTPException 413 for more than a megabyte."""
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _MAX_BYTES:
                raise HTTPException(413, "the text has more than a megabyte")
        fields = parse_qs(body.decode("utf-8", "replace"))
        return cls(**{name: fields.get(name, [""])[0] for name in cls.__dataclass_fields__})


def _page(request: Request, sent: _Form) -> Response:
    database: Database = request.app.state.database
    scored: list[dict[str, object]] = []
    error: RowvecError | None = None
    models: list[str] = []
    try:
        with database.reading() as reading:
            models = [m["name"] for m in reading.models() if m["kind"] not in _NOT_DENSE]
            if request.method == "POST":
                scored = _scored(reading, sent)
    except RowvecError as exc:
        error = exc
    return page(
        request,
        "score.html",
        status_code=422 if error else 200,
        sent=sent,
        models=models,
        scored=scored,
        error=error,
    )


def _scored(reading: PageRows, sent: _Form) -> list[dict[str, Any]]:
    """Each sentence with its score, its pole and a strength from 0 to 10."""
    found, first, second = sentences(sent.text), words(sent.first), words(sent.second)
    if not found or not first or not second:
        raise InvalidRequest("it takes words for both poles, and a text with a sentence")
    texts = [*first, *second, *(one.text for one in found)]
    vectors = reading.embed(sent.model, texts)
    poles = np.split(vectors, [len(first), len(first) + len(second)])
    scores = Axis(poles[0], poles[1]).scores(poles[2]).tolist()
    return [
        _shown(one, score, strength)
        for one, score, strength in zip(found, scores, strengths(scores), strict=True)
    ]


def _shown(one: Sentence, score: float, strength: float) -> dict[str, Any]:
    return {
        "sentence": one,
        "score": score,
        "pole": "first" if score < 0 else "second",
        "strength": round(abs(strength) * 10),
    }
