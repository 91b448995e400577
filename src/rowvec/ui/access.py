"""Who may see the pages, and what a browser may do with them."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowvec.addresses import is_loopback, name_in

# Scripts and styles are files of ours, images are ours or made in the page: nothing is fetched
# from, sent to, or framed by another host.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not "no-referrer", under which a browser sends "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}

# Where a request began, as the browser says: on a page of ours, or at the address bar.
_OWN_SITES = frozenset({"same-origin", "none"})


class Access:
    """ASGI middleware: refuses what another site began, and sets the headers above.

    Without a password only requests to a name of this machine are answered: a page that a browser
    was led to elsewhere cannot reach us under a name of its own (DNS rebinding). Another service of
    this machine, at another port, is another site.
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
        host = headers.get("host", "")
        if self._password is None and not is_loopback(name_in(host)):
            return PlainTextResponse("ask for this page at localhost or 127.0.0.1\n", 403)
        if (
            headers.get("sec-fetch-site", "none") not in _OWN_SITES
            or _place(headers.get("origin", f"//{host}")) != host.lower()
        ):
            return PlainTextResponse(
                "another site led here: go to the address bar and press Enter to see this page\n",
                403,
            )
        if self._password is None or _knows(headers.get("authorization", ""), self._password):
            return None
        return PlainTextResponse(
            "a password is needed\n",
            401,
            {"WWW-Authenticate": 'Basic realm="rowvec", charset="UTF-8"'},
        )


class Token:
    """A random word that the forms of this process hold, and no page of another site can read.

    A request that runs a typed expression has to come from such a form: a browser that says
    nothing of where a request began, as over plain HTTP beyond this machine, is asked no less.
    """

    def __init__(self) -> None:
        self.value = secrets.token_urlsafe(16)

    @staticmethod
    def fits(request: Request, given: str) -> bool:
        """Whether the form was one of ours."""
        token: Token = request.app.state.token
        return hmac.compare_digest(given.encode(), token.value.encode())


def _place(origin: str) -> str:
    """Host and port of a header Origin, empty where it is null or none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _knows(authorization: str, password: SecretStr) -> bool:
    scheme, _, encoded = authorization.partition(" ")
    try:
        _, _, shown = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return False
    expected = password.get_secret_value().encode()
    return scheme.lower() == "basic" and hmac.compare_digest(shown, expected)
