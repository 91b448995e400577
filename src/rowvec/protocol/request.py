"""A request: one JSON object as the text of a query, checked once and then frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import orjson

from rowvec.errors import InvalidRequest, InvalidText, NotARequest, RequestTooLarge

VERSION = 1

Operation = Literal[
    "embed", "embed_image", "embed_sparse", "rerank", "chunk", "split", "count_tokens", "models",
    "ping", "dataset",
]  # fmt: skip
Priority = Literal["interactive", "bulk"]
Format = Literal["text", "base64"]

_KEYS = frozenset(
    {
        "v",
        "op",
        "model",
        "inputs",
        "query",
        "kwargs",
        "deadline_ms",
        "priority",
        "encoding_format",
        "page",
        "roles",
    }
)
_OPERATIONS, _PRIORITIES, _FORMATS = get_args(Operation), get_args(Priority), get_args(Format)
_WITHOUT_INPUTS = ("models", "ping")
_DATASET = "dataset"

# Of a cursor and of a subset's name.
_MAX_NAME_LENGTH = 1000

# A role has few; the superuser has all.
_MAX_ROLES = 10_000

# Base64 has four characters for three bytes, and line breaks.
_CHARACTERS_OF_IMAGE_BYTES = 1.4


@dataclass(frozen=True)
class Page:
    """Which rows of a dataset are asked for: those from `offset` on, of one client's `cursor`."""

    cursor: str
    offset: int = 0
    subset: str | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Request:
    """What a client asks for. `inputs` of NULL stand as None.

    Inputs are texts; images in base64 for embed_image; for rerank the documents that `query` is
    held against. For split, `model` names a splitter, for dataset a dataset. `roles` are those of
    the session that asks, as the database tells.
    """

    op: Operation
    model: str = ""
    inputs: tuple[str | None, ...] = ()
    kwargs: Mapping[str, object] = field(default_factory=dict)
    deadline_ms: int | None = None
    priority: Priority = "interactive"
    encoding_format: Format = "text"
    query: str = ""
    page: Page | None = None
    roles: tuple[str, ...] = ()


def parse(
    query: bytes, *, encoding: str = "utf-8", max_input_bytes: int, max_image_bytes: int
) -> Request:
    """The request in a query's bytes.

    Raises NotARequest where it is no JSON object, InvalidText where a text cannot be carried,
    RequestTooLarge where one text or image is too large, InvalidRequest for everything else.
    Messages name an input by its number, from 1, and never show it.
    """
    return from_fields(
        decode(query, encoding), max_input_bytes=max_input_bytes, max_image_bytes=max_image_bytes
    )


def from_fields(
    fields: dict[str, object],
    *,
    max_input_bytes: int,
    max_image_bytes: int = 0,
    longest: int | None = None,
) -> Request:
    """The request that decoded fields make; raises as `parse` does.

    `longest` bounds the bytes of every text of a request whose texts were looked at one by one as
    they arrived.
    """
    if not fields.keys() <= _KEYS:
        unknown = sorted(fields.keys() - _KEYS)
        raise InvalidRequest(
            f"unknown key in the request: {', '.join(map(repr, unknown))}",
            hint=f"known keys: {', '.join(sorted(_KEYS))}",
        )
    if fields.get("v") != VERSION:
        raise InvalidRequest(f"the request's version (v) must be {VERSION}")
    op = _one_of(fields, "op", _OPERATIONS, None)
    has_inputs = op not in (*_WITHOUT_INPUTS, _DATASET)
    if op == "embed_image":
        limit = _Limit("max_image_bytes", image_characters(max_image_bytes))
    else:
        limit = _Limit("max_input_bytes", max_input_bytes)
    return Request(
        op=op,
        model=_model(fields) if op not in _WITHOUT_INPUTS else "",
        inputs=_inputs(fields, limit, longest) if has_inputs else (),
        kwargs=_kwargs(fields),
        deadline_ms=_deadline(fields),
        priority=_one_of(fields, "priority", _PRIORITIES, "interactive"),
        encoding_format=_one_of(fields, "encoding_format", _FORMATS, "text"),
        query=_query(fields, op, limit),
        page=_page(fields, op),
        roles=_roles(fields),
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
        raise why_not_json(query) from exc
    assert isinstance(fields, dict)
    return fields


def why_not_json(query: bytes) -> InvalidRequest:
    """What is wrong with bytes that are no JSON."""
    # The standard library's parser lets lone surrogates through: then they are what is wrong.
    try:
        json.loads(query.decode())
    except UnicodeDecodeError:
        return InvalidText("the request is not valid UTF-8")
    except (ValueError, RecursionError):
        return NotARequest("the request is not valid JSON")
    return InvalidText("a text has half of a surrogate pair, which no encoding can carry")


def _one_of(
    fields: dict[str, object], key: str, allowed: tuple[str, ...], default: str | None
) -> Any:
    value = fields.get(key, default)
    if value not in allowed:
        raise InvalidRequest(f"{key} must be one of {', '.join(allowed)}")
    return value


def _model(fields: dict[str, object]) -> str:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("model must be the name of a model")
    return model


@dataclass(frozen=True)
class _Limit:
    """How large one input may be, and the setting that says so."""

    setting: str
    size: int


def _inputs(
    fields: dict[str, object], limit: _Limit, longest: int | None
) -> tuple[str | None, ...]:
    inputs = fields.get("inputs")
    if not isinstance(inputs, list):
        raise InvalidRequest("inputs must be a list of texts")
    if longest is None or longest > limit.size:
        for number, text in enumerate(inputs, start=1):
            if text is not None:
                _check_text(text, limit, number)
    return tuple(inputs)


def _query(fields: dict[str, object], op: str, limit: _Limit) -> str:
    query = fields.get("query")
    if op != "rerank":
        if query is not None:
            raise InvalidRequest("query goes with rerank only")
        return ""
    _check_text(query, limit, None)
    assert isinstance(query, str)
    return query


def _page(fields: dict[str, object], op: str) -> Page | None:
    page = fields.get("page")
    if op != _DATASET:
        if page is not None:
            raise InvalidRequest("page goes with dataset only")
        return None
    if not isinstance(page, dict) or set(page) - {"cursor", "offset", "subset", "limit"}:
        raise InvalidRequest("page must be an object of cursor, offset, subset and limit")
    cursor, subset = page.get("cursor"), page.get("subset")
    if not isinstance(cursor, str) or not 0 < len(cursor) <= _MAX_NAME_LENGTH:
        raise InvalidRequest("page.cursor must be a text")
    if subset is not None and not (isinstance(subset, str) and len(subset) <= _MAX_NAME_LENGTH):
        raise InvalidRequest("page.subset must be the name of a subset")
    return Page(cursor, _count(page.get("offset", 0), "offset"), subset,
                None if page.get("limit") is None else _count(page["limit"], "limit"))  # fmt: skip


def _roles(fields: dict[str, object]) -> tuple[str, ...]:
    roles = fields.get("roles", [])
    if (
        not isinstance(roles, list)
        or len(roles) > _MAX_ROLES
        or not all(isinstance(role, str) for role in roles)
    ):
        raise InvalidRequest("roles must be a list of names")
    return tuple(roles)


def _count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequest(f"page.{name} must be a whole number from 0")
    return value


def _check_text(text: object, limit: _Limit, number: int | None) -> None:
    """Checks the input of that number, or the query, which has none."""
    name = _name(number)
    if not isinstance(text, str):
        raise InvalidRequest(f"{name} is not a text", input_number=number)
    # A character has at most four bytes: most texts need no encoding to be measured.
    if len(text) * 4 > limit.size:
        size = len(text.encode())
        if size > limit.size:
            raise RequestTooLarge(
                f"{name} has {size} bytes, the worker takes {limit.size}",
                hint=f"shorten it, or raise the worker's {limit.setting}",
                input_number=number,
            )
    check_characters(text, number)


def check_characters(text: str, number: int | None) -> None:
    """Raises InvalidText where no column could hold the input of that number, or the query."""
    if "\0" in text:
        raise InvalidText(
            f"{_name(number)} contains U+0000, which Postgres cannot store", input_number=number
        )


def _name(number: int | None) -> str:
    return "the query" if number is None else "the input"


def image_characters(image_bytes: int) -> int:
    """How long the base64 of a number of bytes may be."""
    return int(image_bytes * _CHARACTERS_OF_IMAGE_BYTES)


def _kwargs(fields: dict[str, object]) -> Mapping[str, Any]:
    kwargs = fields.get("kwargs")
    if kwargs is None:
        return {}
    if not isinstance(kwargs, dict):
        raise InvalidRequest("kwargs must be an object")
    return kwargs


def _deadline(fields: dict[str, object]) -> int | None:
    deadline = fields.get("deadline_ms")
    if deadline is None:
        return None
    if isinstance(deadline, bool) or not isinstance(deadline, int):
        raise InvalidRequest("deadline_ms must be a whole number")
    return deadline
