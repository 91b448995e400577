"""Errors over HTTP: every class has a status, and says no more than its sentence."""

from __future__ import annotations

import json

import pytest

from rowvec import errors
from rowvec.errors import RowvecError, subclasses
from rowvec.protocol import http_error

EXPECTED = {
    errors.InvalidRequest: 400,
    errors.NotARequest: 400,
    errors.InvalidText: 400,
    errors.InputTooLong: 400,
    errors.BadRow: 400,
    errors.NotSupported: 400,
    errors.NonFiniteEmbedding: 400,
    errors.DimensionMismatch: 400,
    errors.AuthenticationError: 401,
    errors.NotAllowed: 404,
    errors.DeadlineExceeded: 408,
    errors.RequestTooLarge: 413,
    errors.Overloaded: 429,
    errors.Cancelled: 499,
    errors.TooManyConnections: 503,
    errors.OutOfMemory: 503,
    errors.ShuttingDown: 503,
    errors.WorkerUnreachable: 503,
}


@pytest.mark.parametrize("kind", subclasses(), ids=lambda kind: kind.__name__)
def test_every_error_has_its_status(kind: type[RowvecError]) -> None:
    """What is not in the table is nobody's fault but ours."""
    assert http_error.kind_of(kind("a sentence")).status == EXPECTED.get(kind, 500)


def test_what_a_client_cannot_mend_is_no_server_error() -> None:
    """Clients and load balancers try a 5xx again, elsewhere."""
    for kind in subclasses(errors.InvalidRequest):
        assert http_error.kind_of(kind("x")).status < 500


def test_the_envelope_is_openais_with_our_sentence() -> None:
    error = errors.Overloaded("the worker's queue is full", hint="try again later")
    assert json.loads(http_error.envelope(error)) == {
        "error": {
            "message": "the worker's queue is full (try again later)",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
            "sqlstate": "53400",
        }
    }
    assert http_error.headers_of(error) == {"Retry-After": "1"}


def test_the_envelope_names_the_input_that_failed() -> None:
    body = json.loads(http_error.envelope(errors.InvalidText("odd", input_number=2)))
    assert (body["error"]["message"], body["error"]["input"]) == ("input 2: odd", 2)


def test_a_missing_key_says_which_scheme_is_wanted() -> None:
    assert http_error.headers_of(errors.AuthenticationError("x")) == {"WWW-Authenticate": "Bearer"}
