"""Errors over HTTP: one table from error classes to statuses, in OpenAI's envelope."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from rowvec.errors import (
    AuthenticationError,
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    ModelTooLarge,
    NotAllowed,
    OutOfMemory,
    Overloaded,
    RequestTooLarge,
    RowvecError,
    ShuttingDown,
    TooManyConnections,
    WorkerUnreachable,
)

# A client that asks again at once finds the queue as full as it was.
RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True)
class Kind:
    """What an error class is over HTTP: the status, and OpenAI's words for it."""

    status: int
    type: str
    code: str | None = None


# A class that is not here is what the nearest class above it is.
_KINDS: dict[type[RowvecError], Kind] = {
    RowvecError: Kind(500, "server_error"),
    InvalidRequest: Kind(400, "invalid_request_error"),
    AuthenticationError: Kind(401, "invalid_request_error", "invalid_api_key"),
    NotAllowed: Kind(404, "invalid_request_error", "model_not_found"),
    DeadlineExceeded: Kind(408, "timeout_error", "timeout"),
    RequestTooLarge: Kind(413, "invalid_request_error", "request_too_large"),
    Overloaded: Kind(429, "rate_limit_error", "rate_limit_exceeded"),
    OutOfMemory: Kind(503, "server_error", "out_of_memory"),
    ModelTooLarge: Kind(500, "server_error", "out_of_memory"),
    Cancelled: Kind(499, "invalid_request_error", "cancelled"),
    TooManyConnections: Kind(503, "server_error", "overloaded"),
    ShuttingDown: Kind(503, "server_error", "shutting_down"),
    WorkerUnreachable: Kind(503, "server_error"),
}


def kind_of(error: RowvecError) -> Kind:
    """The status of an error and OpenAI's words for it."""
    return next(_KINDS[c] for c in type(error).__mro__ if c in _KINDS)


def headers_of(error: RowvecError) -> dict[str, str]:
    """The fields of an answer besides the envelope."""
    match kind_of(error).status:
        case 401:
            return {"WWW-Authenticate": "Bearer"}
        case 429 | 503:
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case _:
            return {}


def envelope(error: RowvecError) -> bytes:
    """The body of a refusal: OpenAI's fields, our SQLSTATE, and the number of a failed input.

    Number and hint are part of the message too, since that is all that OpenAI's client shows.
    """
    message = f"{error} ({error.hint})" if error.hint else str(error)
    which = {} if error.input_number is None else {"input": error.input_number}
    return _body(message, kind_of(error), sqlstate=error.sqlstate, **which)


def envelope_of(status: int, message: str) -> bytes:
    """The body of a refusal by HTTP itself, such as a path that there is not."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return _body(message, Kind(status, kind))


def _body(message: str, kind: Kind, **more: str | int) -> bytes:
    fields = {"message": message, "type": kind.type, "param": None, "code": kind.code, **more}
    return orjson.dumps({"error": fields})
