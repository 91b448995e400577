"""OpenAI's form of embeddings and models: bodies to requests, answers to bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from rowvec.errors import InvalidRequest
from rowvec.protocol import request
from rowvec.protocol.large_request import Body
from rowvec.protocol.reply import ROWS_A_PIECE, Form, Vectors, vector_base64, vector_text
from rowvec.protocol.request import Format, Priority, Request

# `kwargs` is ours: what SQL takes under that name. `user` names the end user, which is not used.
ARRAY = "input"
_KEYS = frozenset({"model", "input", "encoding_format", "dimensions", "user", "kwargs"})
_FORMATS: dict[Any, Format] = {"float": "text", "base64": "base64"}


@dataclass(frozen=True)
class Terms:
    """What a request says beside its body: how long it may take, and who goes first."""

    deadline_ms: int
    priority: Priority = "interactive"


def embeddings_request(body: Body, terms: Terms, *, max_input_bytes: int) -> Request:
    """The request in the body of POST /v1/embeddings; raises as `request.parse` does."""
    fields = known_fields(body, _KEYS)
    encoding_format = fields.get("encoding_format")
    if encoding_format is not None and encoding_format not in ("float", "base64"):
        raise InvalidRequest("encoding_format must be float or base64")
    return request.from_fields(
        {
            "model": fields.get("model"),
            "inputs": _inputs(fields.get("input")),
            "kwargs": _kwargs(fields),
            "encoding_format": _FORMATS[encoding_format or "float"],
            **common(fields, terms, "embed"),
        },
        max_input_bytes=max_input_bytes,
        longest=body.longest,
    )


def known_fields(body: Body, known: frozenset[str]) -> dict[str, Any]:
    """The fields of a body; null counts as not given, and what is not known is refused."""
    fields = body.fields()
    unknown = sorted(set(fields) - known)
    if unknown:
        raise InvalidRequest(
            f"unknown field in the body: {', '.join(repr(key[:100]) for key in unknown[:10])}",
            hint=f"known fields: {', '.join(sorted(known))}",
        )
    return {key: value for key, value in fields.items() if value is not None}


def common(fields: Mapping[str, object], terms: Terms, op: str) -> dict[str, Any]:
    """The fields of a request that no body has; `timeout_ms` in kwargs outdoes the terms."""
    kwargs = fields.get("kwargs")
    asked = kwargs.get("timeout_ms") if isinstance(kwargs, dict) else None
    return {
        "v": request.VERSION,
        "op": op,
        "deadline_ms": terms.deadline_ms if asked is None else asked,
        "priority": terms.priority,
    }


def _inputs(given: object) -> Any:
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        raise InvalidRequest("input must be a text, or a list with at least one text")
    first = given[0]
    if isinstance(first, int) or (
        isinstance(first, list) and all(isinstance(token, int) for token in first)
    ):
        raise InvalidRequest(
            "input is numbers of tokens, which mean something to one tokenizer only: send texts",
            hint="LangChain sends texts with OpenAIEmbeddings(check_embedding_ctx_length=False)",
        )
    if None in given:
        raise InvalidRequest("the input is not a text", input_number=given.index(None) + 1)
    return given


def _kwargs(fields: Mapping[str, object]) -> Any:
    kwargs = fields.get("kwargs", {})
    if not isinstance(kwargs, dict) or "dimensions" not in fields:
        return kwargs
    if "truncate_dim" in kwargs:
        raise InvalidRequest("dimensions and truncate_dim are the same: give one of them")
    dimensions = fields["dimensions"]
    if isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1:
        raise InvalidRequest("dimensions must be a whole number, at least 1")
    return {**kwargs, "truncate_dim": dimensions}


@dataclass(frozen=True)
class Answers:
    """Writes answers as OpenAI's server does. `created` is when the models began to be served."""

    model: str
    created: int

    @property
    def form(self) -> Form:
        """As the service wants it."""
        return Form(embeddings=self.embeddings, models=self.models)

    def embeddings(
        self, vectors: Vectors, tokens: Sequence[int | None], encoding_format: Format
    ) -> Iterator[bytes]:
        """A list of embeddings in pieces; the usage counts tokens before truncation."""
        total = sum(count or 0 for count in tokens)
        usage = {"prompt_tokens": total, "total_tokens": total}
        head = orjson.dumps({"object": "list", "model": self.model, "usage": usage})
        piece = [head[:-1], b',"data":[']
        for index, vector in enumerate(vectors):
            assert vector is not None
            if index and index % ROWS_A_PIECE == 0:
                yield b"".join(piece)
                piece = []
            value = (
                vector_text(vector)
                if encoding_format == "text"
                else b'"%b"' % vector_base64(vector)
            )
            comma = b"," if index else b""
            piece.append(
                b'%b{"object":"embedding","index":%d,"embedding":%b}' % (comma, index, value)
            )
        piece.append(b"]}")
        yield b"".join(piece)

    def models(self, listed: Sequence[Mapping[str, object]]) -> Iterator[bytes]:
        """A list of models, each with what we know of it beside OpenAI's fields."""
        data = [self._model(model) for model in listed]
        yield orjson.dumps({"object": "list", "data": data})

    def _model(self, described: Mapping[str, object]) -> dict[str, Any]:
        own = ("kind", "dimensions", "max_tokens", "loaded")
        return {
            "id": described["name"],
            "object": "model",
            "created": self.created,
            "owned_by": "rowvec",
            **{key: described[key] for key in own},
        }
