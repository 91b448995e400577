"""A language model behind an endpoint of OpenAI's form (`POST …/chat/completions`), streamed."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from pydantic import SecretStr

from rowvec.errors import BackendFailed, ConfigError, InvalidRequest, Overloaded
from rowvec.models.endpoint import checked_url

_TIMEOUT_SECONDS = 120
_MAX_REPLY_BYTES = 16 << 20


class EndpointChat:
    """One model of one endpoint. Redirects are not followed: they would carry the key elsewhere."""

    def __init__(self, url: str, model: str, key: SecretStr | None = None) -> None:
        self._url = checked_url(f"{url.rstrip('/')}/chat/completions")
        self._model = model
        self._key = key
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    def stream(self, prompt: str, max_tokens: int) -> Iterator[str]:
        """The answer as it comes; an endpoint that does not stream gives it in one piece.

        Raises ConfigError where the endpoint refuses the key or does not know the model,
        InvalidRequest where it refuses the prompt, Overloaded or BackendFailed where it fails.
        """
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
        }
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        request = urllib.request.Request(  # noqa: S310 - checked_url let only http and https in
            self._url, data=orjson.dumps(body), headers=headers, method="POST"
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as reply:
                if "text/event-stream" in reply.headers.get("Content-Type", ""):
                    yield from _pieces(reply)
                else:
                    yield _whole(reply.read(_MAX_REPLY_BYTES))
        except urllib.error.HTTPError as exc:
            with exc:
                raise _refusal(exc) from None
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "reason", exc)
            raise BackendFailed(f"the endpoint does not answer: {reason}") from exc


def _pieces(lines: Iterable[bytes]) -> Iterator[str]:
    """The texts of server-sent events; what is no data (comments, names) is passed over."""
    for line in lines:
        name, _, value = line.decode("utf-8", "replace").strip().partition(":")
        value = value.strip()
        if name != "data" or value == "[DONE]":
            continue
        event = _json(value)
        if "error" in event:
            raise BackendFailed("the endpoint failed in the middle of its answer")
        # The last event may have no choice, only counts.
        for choice in event.get("choices") or ():
            yield (choice.get("delta") or {}).get("content") or ""


def _whole(content: bytes) -> str:
    try:
        text = _json(content)["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise BackendFailed("the endpoint's answer is not of OpenAI's form")
    return text


def _json(content: str | bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as exc:
        raise BackendFailed("the endpoint's answer is not JSON") from exc
    if not isinstance(found, dict):
        raise BackendFailed("the endpoint's answer is not of OpenAI's form")
    return found


def _refusal(error: urllib.error.HTTPError) -> ConfigError | InvalidRequest | Overloaded:
    if error.code in (401, 403):
        return ConfigError(
            f"the endpoint refuses the key (HTTP {error.code})", hint="see --api-key-file"
        )
    if error.code == http.HTTPStatus.NOT_FOUND:
        return ConfigError(
            "the endpoint has no such address or model (HTTP 404)",
            hint="--endpoint ends before /chat/completions, as http://localhost:11434/v1 does",
        )
    if error.code == http.HTTPStatus.TOO_MANY_REQUESTS:
        return Overloaded("the endpoint refuses more requests for now (HTTP 429)")
    if error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return Overloaded(f"the endpoint failed (HTTP {error.code})")
    return InvalidRequest(
        f"the endpoint refuses the prompt (HTTP {error.code})",
        hint="a smaller --max-tokens may do",
    )
