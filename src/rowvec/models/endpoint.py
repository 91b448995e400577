"""One HTTP endpoint that takes JSON: paced, retried, and never followed elsewhere.

Standard library only: a request takes as long as somebody else's model, so what a client library
would save by keeping connections open is not worth a dependency.
"""

from __future__ import annotations

import email.utils
import http.client
import json
import logging
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from rowvec.errors import BackendFailed, ConfigError, InvalidRequest, ModelError, Overloaded

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0

# An error code of the endpoint may be shown; its message may quote a text and never is.
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")

_MAX_REPLY_BYTES = 256 << 20


@dataclass(frozen=True)
class Limits:
    """How the endpoint wants to be treated. `patience_seconds` bounds the waits of one request."""

    timeout_seconds: float = 60
    patience_seconds: float = 120
    requests_per_minute: int | None = None


class Endpoint:
    """Posts JSON to one URL, from any number of threads."""

    def __init__(
        self,
        url: str,
        key: SecretStr | None,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = checked_url(url)
        self._key = key
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._not_before = clock()
        # No handler for files or FTP, and none that would carry the key to another host.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    def post(self, body: dict[str, Any]) -> Any:
        """The answer to a request.

        Raises InvalidRequest where the endpoint refuses the input, ModelError where it refuses us,
        Overloaded or BackendFailed where it still failed when patience was at its end.
        """
        data = json.dumps(body).encode()
        give_up = self._clock() + self._limits.patience_seconds
        wait = _FIRST_WAIT_SECONDS
        while True:
            self._wait_for_turn()
            try:
                return self._post_once(data)
            except urllib.error.HTTPError as exc:
                with exc:
                    failure, asked = _failure(exc), _retry_after(exc)
                    if failure is None:
                        raise _refusal(exc) from None
            except (OSError, http.client.HTTPException) as exc:
                reason = getattr(exc, "reason", exc)
                failure, asked = BackendFailed(f"the endpoint does not answer: {reason}"), None
            pause = wait if asked is None else asked
            if self._clock() + pause > give_up:
                raise failure
            logger.warning("%s: next try in %.1f s", failure, pause)
            self._hold(pause)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)

    def _post_once(self, data: bytes) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        request = urllib.request.Request(  # noqa: S310  # checked_url let only http and https in
            self._url, data=data, headers=headers, method="POST"
        )
        with self._opener.open(request, timeout=self._limits.timeout_seconds) as reply:
            content = reply.read(_MAX_REPLY_BYTES)
        try:
            return json.loads(content)
        except ValueError as exc:
            raise BackendFailed("the endpoint's answer is not JSON") from exc

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
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError("url must begin with https:// or http:// and name a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError("url must hold no user, password or query", hint="use api_key_file")
    return url


def _failure(error: urllib.error.HTTPError) -> Overloaded | BackendFailed | None:
    """What to raise once patience is at its end; None where no retry would help."""
    if error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
        return Overloaded("the endpoint refuses more requests for now (HTTP 429)")
    if error.code in (408, 409, 425) or error.code >= 500:
        return BackendFailed(f"the endpoint failed (HTTP {error.code})")
    return None


def _refusal(error: urllib.error.HTTPError) -> InvalidRequest | ModelError:
    code = _shown_code(error)
    if error.code in (400, 413, 422):
        return InvalidRequest(f"the endpoint refuses the input (HTTP {error.code}{code})")
    if error.code in (401, 403):
        return ModelError(
            f"the endpoint refuses the key (HTTP {error.code}{code})",
            hint="see api_key_file in the list of models",
        )
    return ModelError(
        f"the endpoint does not take the request (HTTP {error.code}{code})",
        hint="see url and model in the list of models",
    )


def _shown_code(error: urllib.error.HTTPError) -> str:
    try:
        answer = json.loads(error.read(1 << 16))
    except (OSError, ValueError):
        return ""
    said = answer.get("error") if isinstance(answer, dict) else None
    code = (said.get("code") or said.get("type")) if isinstance(said, dict) else None
    return f", {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    """Seconds that the endpoint asks to wait: as such, or as a date."""
    said = error.headers.get("Retry-After")
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
