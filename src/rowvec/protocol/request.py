"""A request: one JSON object as the text of a query, checked once and then frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import orjson

from rowvec.errors import InvalidRequest, InvalidText, NotARequest, RequestTooLarge

VERSION = 1

Operation = Literal["embed", "models", "count_tokens", "ping"]
Priority = Literal["interactive", "bulk"]
Format = Literal["text", "base64"]

_KEYS = frozenset(
    {"v", "op", "model", "inputs", "kwargs", "deadline_ms", "priority", "encoding_format"}
)
_OPERATIONS = get_args(Operation)
_WITH_INPUTS = ("embed", "count_tokens")


@dataclass(frozen=True)
class Request:
    """What a client asks for. `inputs` of NULL stand as None."""

    op: Operation
    model: str = ""
    inputs: tuple[str | None, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    deadline_ms: int | None = None
    priority: Priority = "interactive"
    encoding_format: Format = "text"


def parse(query: bytes, *, encoding: str = "utf-8", max_input_bytes: int) -> Request:
    """The request in a query's bytes.

    Raises NotARequest where it is no JSON object, InvalidText where a text cannot be carried,
    RequestTooLarge where one text is too large, InvalidRequest for everything else. Messages name
    an input by its number, from 1, and never show it.
    """
    return from_fields(decode(query, encoding), max_input_bytes=max_input_bytes)


def from_fields(fields: dict[str, Any], *, max_input_bytes: int) -> Request:
    """The request that decoded fields make; raises as `parse` does."""
    unknown = sorted(set(fields) - _KEYS)
    if unknown:
        raise InvalidRequest(
            f"unknown key in the request: {', '.join(map(repr, unknown))}",
            hint=f"known keys: {', '.join(sorted(_KEYS))}",
        )
    if fields.get("v") != VERSION:
        raise InvalidRequest(f"the request's version (v) must be {VERSION}")
    op = _one_of(fields, "op", _OPERATIONS, None)
    return Request(
        op=op,
        model=_model(fields) if op in _WITH_INPUTS else "",
        inputs=_inputs(fields, max_input_bytes) if op in _WITH_INPUTS else (),
        kwargs=_kwargs(fields),
        deadline_ms=_deadline(fields),
        priority=_one_of(fields, "priority", get_args(Priority), "interactive"),
        encoding_format=_one_of(fields, "encoding_format", get_args(Format), "text"),
    )


def decode(query: bytes, encoding: str = "utf-8") -> dict[str, Any]:
    """The JSON object in a query's bytes; raises NotARequest, InvalidText."""
    if encoding != "utf-8":
        try:
            query = query.decode(encoding).encode()
        except UnicodeDecodeError as exc:
            raise InvalidText(f"the request is not valid {encoding}") from exc
    if not query.lstrip().startswith(b"{"):
        raise NotARequest(
            "the worker answers requests in JSON, not SQL",
            hint='for example {"v":1,"op":"models"}',
        )
    try:
        fields = orjson.loads(query)
    except orjson.JSONDecodeError as exc:
        raise _why_not_json(query) from exc
    assert isinstance(fields, dict)
    return fields


def _why_not_json(query: bytes) -> InvalidRequest:
    # The standard library's parser lets lone surrogates through: then they are what is wrong.
    try:
        json.loads(query.decode())
    except UnicodeDecodeError:
        return InvalidText("the request is not valid UTF-8")
    except (ValueError, RecursionError):
        return NotARequest("the request is not valid JSON")
    return InvalidText("a text has half of a surrogate pair, which no encoding can carry")


def _one_of(fields: dict[str, Any], key: str, allowed: tuple[str, ...], default: str | None) -> Any:
    value = fields.get(key, default)
    if value not in allowed:
        raise InvalidRequest(f"{key} must be one of {', '.join(allowed)}")
    return value


def _model(fields: dict[str, Any]) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model must be the name of a model")
    return model


def _inputs(fields: dict[str, Any], max_input_bytes: int) -> tuple[str | None, ...]:
    inputs = fields.get("inputs")
    if not isinstance(inputs, list):
        raise InvalidRequest("inputs must be a list of texts")
    for number, text in enumerate(inputs, start=1):
        if text is None:
            continue
        if not isinstance(text, str):
            raise InvalidRequest(f"input {number} is not a text")
        # A character has at most four bytes: most texts need no encoding to be measured.
        if len(text) * 4 > max_input_bytes:
            size = len(text.encode())
            if size > max_input_bytes:
                raise RequestTooLarge(
                    f"input {number} has {size} bytes, the worker takes {max_input_bytes}",
                    hint="shorten the text, or raise the worker's max_input_bytes",
                )
        if "\0" in text:
            raise InvalidText(f"input {number} contains U+0000, which Postgres cannot store")
    return tuple(inputs)


def _kwargs(fields: dict[str, Any]) -> Mapping[str, Any]:
    kwargs = fields.get("kwargs")
    if kwargs is None:
        return {}
    if not isinstance(kwargs, dict):
        raise InvalidRequest("kwargs must be an object")
    return kwargs


def _deadline(fields: dict[str, Any]) -> int | None:
    deadline = fields.get("deadline_ms")
    if deadline is None:
        return None
    if isinstance(deadline, bool) or not isinstance(deadline, int):
        raise InvalidRequest("deadline_ms must be a whole number")
    return deadline
