"""A language model behind an endpoint of OpenAI's form (`POST …/chat/completions`), streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import SecretStr

from rowvec.errors import BackendFailed, ConfigError, InvalidRequest, Overloaded
from rowvec.http_client import AnswerTooLarge, Bounds, Link, NoAnswer, send
from rowvec.models.endpoint import checked_url

_BOUNDS = Bounds(silence_seconds=120, total_seconds=1800, answer_bytes=16 << 20)


class EndpointChat:
    """One model of one endpoint. Redirects are not followed: they would carry the key elsewhere."""

    def __init__(self, url: str, model: str, key: SecretStr | None = None) -> None:
        self._url = url
        self._link = Link(checked_url(f"{url.rstrip('/')}/chat/completions"), is_trusted=True)
        self._model = model
        self._headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key.get_secret_value()}"

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
        try:
            with send(
                "POST",
                self._link,
                headers=self._headers,
                content=orjson.dumps(body),
                bounds=_BOUNDS,
            ) as answer:
                if not answer.is_ok:
                    raise _refusal(answer.status)
                if "text/event-stream" in (answer.header("Content-Type") or ""):
                    yield from _pieces(answer.lines())
                else:
                    yield _whole(answer.read())
        except NoAnswer as exc:
            raise BackendFailed(
                f"the endpoint {self._url} does not answer: {exc}",
                hint="start the program that serves the model, or say where it is with --endpoint",
            ) from exc
        except AnswerTooLarge:
            raise BackendFailed(
                f"the endpoint's answer is larger than {_BOUNDS.answer_bytes >> 20} MB"
            ) from None


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


def _refusal(status: int) -> ConfigError | InvalidRequest | Overloaded:
    if status < HTTPStatus.BAD_REQUEST:
        return ConfigError(
            f"the endpoint leads elsewhere (HTTP {status}), where no key is taken",
            hint="give the address that it leads to",
        )
    if status in (401, 403):
        return ConfigError(
            f"the endpoint refuses the key (HTTP {status})", hint="see --api-key-file"
        )
    if status == HTTPStatus.NOT_FOUND:
        return ConfigError(
            "the endpoint has no such address or model (HTTP 404)",
            hint="--endpoint ends before /chat/completions, as http://localhost:11434/v1 does",
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Overloaded("the endpoint refuses more requests for now (HTTP 429)")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Overloaded(f"the endpoint failed (HTTP {status})")
    return InvalidRequest(
        f"the endpoint refuses the prompt (HTTP {status})",
        hint="a smaller --max-tokens may do",
    )
