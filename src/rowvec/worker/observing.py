"""Every request from its arrival to its end: its number, its place in the metrics, its log line."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from rowvec.errors import InvalidRequest, NotAllowed, RowvecError
from rowvec.models.listing import Listing
from rowvec.protocol.request import Request
from rowvec.worker.metrics import Metrics

logger = logging.getLogger("rowvec.worker.request")

Protocol = Literal["postgres", "http"]


class ConnectionClosed(Exception):  # not an error: clients leave
    """The client is gone."""


@dataclass
class Observed:
    """A request while it runs."""

    protocol: Protocol
    operation: str = "none"
    request: Request | None = None
    size: int = 0

    @cached_property
    def id(self) -> str:
        """Ours: a client's own could be a text of its user."""
        return secrets.token_hex(8)

    def parsed(self, request: Request, size: int) -> None:
        """Once its bytes are understood."""
        self.operation = request.op
        self.request = request
        self.size = size


class Observer:
    """Notes how requests end."""

    def __init__(self, metrics: Metrics, listing: Listing) -> None:
        self._metrics = metrics
        self._listing = listing

    @contextmanager
    def request(self, protocol: Protocol) -> Iterator[Observed]:
        """Runs one request; its errors reach the caller."""
        observed = Observed(protocol)
        started = time.monotonic()
        outcome, error = "ok", None
        try:
            yield observed
        except RowvecError as exc:
            outcome, error = exc.sqlstate, exc
            raise
        except (asyncio.CancelledError, ConnectionClosed, ConnectionError):
            outcome = "left"
            raise
        except Exception:
            # A bug: the caller logs where it is.
            outcome = RowvecError.sqlstate
            raise
        finally:
            self._note(observed, outcome, error, time.monotonic() - started)
            # Its traceback leads to this frame: the two would keep each other.
            error = None

    def _note(
        self, observed: Observed, outcome: str, error: RowvecError | None, seconds: float
    ) -> None:
        request = observed.request
        self._metrics.request_ended(observed.protocol, observed.operation, outcome, seconds)
        level = logging.DEBUG if error is None else logging.WARNING
        if not logger.isEnabledFor(level):
            return
        fields = {
            "request_id": observed.id,
            "protocol": observed.protocol,
            "operation": observed.operation,
            "model": None if request is None else self._listed(request.model),
            "texts": 0 if request is None else len(request.inputs),
            "bytes": observed.size,
            "seconds": round(seconds, 6),
            "outcome": outcome,
        }
        words = "" if error is None else f": {_words(error)}"
        logger.log(
            level,
            "request %s over %s: %s of %d texts, %d bytes, %.3f s: %s%s",
            observed.id, observed.protocol, observed.operation, fields["texts"],
            observed.size, seconds, outcome, words,
            extra={"fields": fields},
        )  # fmt: skip

    def _listed(self, name: str) -> str | None:
        """The model's own name; what is not listed may be anything."""
        try:
            return self._listing.find(name).name
        except NotAllowed:
            return None


def _words(error: RowvecError) -> str:
    """Why a request failed; of a client's own mistake only the kind.

    The sentence that the client gets names what it sent: a model, a key. Arguments in the wrong
    order make a text of it.
    """
    return type(error).__name__ if isinstance(error, InvalidRequest) else str(error)
