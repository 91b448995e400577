"""Who may see the pages, and what a browser may do with them."""

from __future__ import annotations

import base64
import binascii
import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Scripts and styles are files of ours, images are ours or made in the page: nothing is fetched
# from, sent to, or framed by another host.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Access:
    """ASGI middleware: refuses foreign names and missing passwords, and sets the headers above.

    Without a password only requests to a name of this machine are answered: a page that a browser
    was led to elsewhere cannot reach us under a name of its own (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, *, password: SecretStr | None) -> None:
        self._app = app
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers or passes on one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        if self._password is None:
            if is_loopback(urlsplit(f"//{headers.get('host', '')}").hostname or ""):
                return None
            return PlainTextResponse("ask for this page at localhost or 127.0.0.1\n", 403)
        if _knows(headers.get("authorization", ""), self._password):
            return None
        return PlainTextResponse(
            "a password is needed\n",
            401,
            {"WWW-Authenticate": 'Basic realm="rowvec", charset="UTF-8"'},
        )


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine and nothing beyond it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _knows(authorization: str, password: SecretStr) -> bool:
    scheme, _, encoded = authorization.partition(" ")
    try:
        _, _, shown = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return False
    expected = password.get_secret_value().encode()
    return scheme.lower() == "basic" and hmac.compare_digest(shown, expected)
