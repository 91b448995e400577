"""One HTTP endpoint that takes JSON: paced, retried, and never followed elsewhere."""

from __future__ import annotations

import email.utils
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from rowvec.backoff import backoff
from rowvec.errors import BackendFailed, ConfigError, InvalidRequest, ModelError, Overloaded
from rowvec.http_client import Answer, AnswerTooLarge, Bounds, Link, NoAnswer, send

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0

# An error code of the endpoint may be shown; its message may quote a text and never is.
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")

_MAX_REPLY_BYTES = 256 << 20


@dataclass(frozen=True)
class EndpointLimits:
    """How the endpoint wants to be treated.

    `timeout_seconds` bounds one attempt, `patience_seconds` the waits between those of a request.
    """

    timeout_seconds: float = 60
    patience_seconds: float = 120
    requests_per_minute: int | None = None


class Endpoint:
    """Posts JSON to one URL, from any number of threads."""

    def __init__(
        self,
        url: str,
        key: SecretStr | None,
        limits: EndpointLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        # The administrator's list names it; a redirect would carry the texts elsewhere.
        self._link = Link(checked_url(url), is_trusted=True)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._limits = limits
        self._bounds = Bounds(limits.timeout_seconds, limits.timeout_seconds, _MAX_REPLY_BYTES)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._not_before = clock()

    def post(self, body: dict[str, object]) -> Any:
        """The answer to a request.

        Raises InvalidRequest where the endpoint refuses the input, ModelError where it refuses us,
        Overloaded or BackendFailed where it still failed when patience was at its end.
        """
        data = json.dumps(body).encode()
        give_up = self._clock() + self._limits.patience_seconds
        for wait in backoff(_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS):
            self._wait_for_turn()
            pause = wait
            failure: Overloaded | BackendFailed
            try:
                with send(
                    "POST", self._link, headers=self._headers, content=data, bounds=self._bounds
                ) as answer:
                    if answer.is_ok:
                        return _json(answer)
                    failure = _failure(answer)
                    asked = _retry_after(answer)
                    pause = wait if asked is None else asked
            except NoAnswer as exc:
                failure = BackendFailed(f"the endpoint does not answer: {exc}")
            if self._clock() + pause > give_up:
                raise failure
            logger.warning("%s: next try in %.1f s", failure, pause)
            self._hold(pause)
        raise AssertionError("backoff has no end")

    def _wait_for_turn(self) -> None:
        """Keeps requests apart, those of all threads, as far as the limits say."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._not_before)
            if self._limits.requests_per_minute is not None:
                self._not_before = turn + 60 / self._limits.requests_per_minute
        if turn > now:
            self._sleep(turn - now)

    def _hold(self, seconds: float) -> None:
        """Nobody asks before that time: who was told to wait knows it for all."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)


def checked_url(url: str) -> str:
    """The URL, where it is one of http or https with a host; raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("url must begin with https:// or http:// and name a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError("url must hold no user, password or query", hint="use api_key_file")
    return url


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.read())
    except AnswerTooLarge:
        raise BackendFailed(
            f"the endpoint's answer is larger than {_MAX_REPLY_BYTES >> 20} MB"
        ) from None
    except ValueError as exc:
        raise BackendFailed("the endpoint's answer is not JSON") from exc


def _failure(answer: Answer) -> Overloaded | BackendFailed:
    """What to raise once patience is at its end; raises what no retry would help."""
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Overloaded("the endpoint refuses more requests for now (HTTP 429)")
    if answer.status in (408, 409, 425) or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return BackendFailed(f"the endpoint failed (HTTP {answer.status})")
    code = _shown_code(answer)
    if answer.status in (400, 413, 422):
        raise InvalidRequest(f"the endpoint refuses the input (HTTP {answer.status}{code})")
    if answer.status in (401, 403):
        raise ModelError(
            f"the endpoint refuses the key (HTTP {answer.status}{code})",
            hint="see api_key_file in the list of models",
        )
    raise ModelError(
        f"the endpoint does not take the request (HTTP {answer.status}{code})",
        hint="see url and model in the list of models",
    )


def _shown_code(answer: Answer) -> str:
    try:
        said = json.loads(answer.read())
    except (AnswerTooLarge, ValueError):
        return ""
    said = said.get("error") if isinstance(said, dict) else None
    code = (said.get("code") or said.get("type")) if isinstance(said, dict) else None
    return f", {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _retry_after(answer: Answer) -> float | None:
    """Seconds that the endpoint asks to wait: as such, or as a date."""
    said = answer.header("Retry-After")
    if said is None:
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except ValueError:
        return None
