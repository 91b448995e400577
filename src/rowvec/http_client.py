"""The one HTTP client of ours: bounded in size and time, and it carries no secret elsewhere.

`send` makes one request and follows nothing. `Site` reads from a URL that the administrator gave,
and from where its answers lead: there without the headers that were given, and at public addresses
only, so that an answer can neither collect a key nor reach into the network that we run in.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore2 as httpcore

from rowvec.errors import ConfigError, InvalidRequest, reason

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}

# What a path and a query may hold as they are: a "%" begins what is quoted already.
_PATH = "/%:@!$&'()*+,;=~"
_QUERY = _PATH + "?"

# Where a network reaches IPv4 from IPv6 (RFC 6052): the last four bytes are the address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NoAnswer(Exception):
    """Nobody answered, or not in time, or not in HTTP; another attempt may do."""


class AnswerTooLarge(Exception):
    """An answer of more bytes than its bounds allow."""


@dataclass(frozen=True)
class Bounds:
    """What a request may take: seconds without a byte, seconds in all, bytes of the answer."""

    silence_seconds: float
    total_seconds: float
    answer_bytes: int


@dataclass(frozen=True)
class Link:
    """Where to read next. One that is not trusted gets no header of the administrator's."""

    url: str
    is_trusted: bool


class Answer:
    """One answer, while its request is open."""

    def __init__(self, link: Link, response: httpcore.Response, max_bytes: int) -> None:
        self.status = response.status
        self._link = link
        self._response = response
        self._max_bytes = max_bytes

    @property
    def is_ok(self) -> bool:
        """Whether it is what was asked for."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        wanted = name.lower().encode()
        found = (value for key, value in self._response.headers if key.lower() == wanted)
        return next((value.decode("latin-1") for value in found), None)

    def read(self) -> bytes:
        """The body; raises AnswerTooLarge, NoAnswer."""
        return b"".join(self._pieces())

    def lines(self) -> Iterator[bytes]:
        """The body, line by line as they come; raises AnswerTooLarge, NoAnswer."""
        rest = b""
        for piece in self._pieces():
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
        if rest:
            yield rest

    def link(self, to: str) -> Link:
        """The link that this answer holds, by its header or in its body.

        Raises InvalidRequest where it leaves the web, or encryption.
        """
        try:
            url = urljoin(self._link.url, to)
            parts = _parts(url)
        except (ValueError, InvalidRequest) as exc:
            raise InvalidRequest(
                f"{self._link.url} leads to {to}, which is no web address"
            ) from exc
        if urlsplit(self._link.url).scheme == "https" and parts.scheme != "https":
            raise InvalidRequest(f"{self._link.url} leads to {url}, which is not encrypted")
        return Link(url, self._link.is_trusted and origin(url) == origin(self._link.url))

    def _pieces(self) -> Iterator[bytes]:
        size = 0
        for piece in self._response.iter_stream():
            size += len(piece)
            if size > self._max_bytes:
                raise AnswerTooLarge
            yield piece


class Site:
    """Reads from a URL that the administrator gave with his headers, and from where it leads."""

    def __init__(
        self, url: str, headers: Mapping[str, str], bounds: Bounds, *, accept: str = "*/*"
    ) -> None:
        self._origin = origin(url)
        self._headers = headers
        self._bounds = bounds
        self._accept = {"Accept": accept}

    def page(self, url: str) -> Link:
        """A page by its URL, which is trusted at the origin that the administrator named."""
        return Link(url, origin(url) == self._origin)

    @contextmanager
    def get(self, link: Link) -> Iterator[Answer]:
        """The answer, after redirects; raises InvalidRequest where one must not be followed.

        Raises NoAnswer, while the block reads, too.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            headers = {**self._accept, **(self._headers if link.is_trusted else {})}
            with send("GET", link, headers=headers, bounds=self._bounds) as answer:
                location = answer.header("Location") if answer.status in _REDIRECTS else None
                if location is None:
                    yield answer
                    return
                link = answer.link(location)
        raise InvalidRequest(f"{link.url} is the end of more than {_MAX_REDIRECTS} redirects")


@contextmanager
def send(
    method: str, link: Link, *, headers: Mapping[str, str], bounds: Bounds, content: bytes = b""
) -> Iterator[Answer]:
    """One request, whose answer is open while the block runs. Redirects are answers like others.

    Raises NoAnswer, InvalidRequest for a URL that is none, or leads where it must not, and
    ConfigError for a header or a proxy that cannot be.
    """
    parts = _parts(link.url)
    backend = _Backend(bounds.total_seconds, only_public=not link.is_trusted)
    try:
        with (
            _pool(parts, backend) as pool,
            pool.stream(
                method,
                _target(parts),
                headers=_encoded({"Host": _ascii(parts.netloc)} | _DEFAULTS | _titled(headers)),
                content=content,
                extensions={
                    "timeout": dict.fromkeys(
                        ("connect", "read", "write", "pool"), bounds.silence_seconds
                    )
                },
            ) as response,
        ):
            yield Answer(link, response, bounds.answer_bytes)
    except (
        httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError,
        httpcore.ProxyError,
    ) as exc:  # fmt: skip
        system = exc.__context__
        said = reason(system) if isinstance(system, OSError) else str(exc)
        raise NoAnswer(said or type(exc).__name__) from exc


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what a secret may not leave. Raises InvalidRequest for no URL."""
    parts = _parts(url)
    return parts.scheme, _ascii(parts.hostname or ""), parts.port or _PORTS[parts.scheme]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public network, whatever form it hides in."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


# Compressed answers would have to be bounded twice.
_DEFAULTS = {"User-Agent": "rowvec", "Accept-Encoding": "identity", "Connection": "close"}


def _titled(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.title(): value for name, value in headers.items()}


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """The headers as bytes; the error never quotes a value, which may be a secret."""
    for name, value in headers.items():
        if not (value.isascii() and (value.isprintable() or not value)):
            raise ConfigError(f"the header {name} holds a character that no header can carry")
    try:
        return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    except UnicodeEncodeError as exc:
        raise ConfigError("the name of a header holds a character that none can carry") from exc


def _parts(url: str) -> SplitResult:
    """A URL of http or https in its parts; raises InvalidRequest for another one."""
    try:
        parts = urlsplit(url)
        is_fine = (
            parts.scheme in _PORTS
            and parts.hostname
            and parts.username is None
            and parts.port != 0
            and _ascii(parts.hostname)
        )
    except ValueError:
        is_fine = False
    if not is_fine:
        raise InvalidRequest(f"{url} is no http or https URL")
    return parts


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _target(parts: SplitResult) -> httpcore.URL:
    path = quote(parts.path or "/", safe=_PATH)
    query = f"?{quote(parts.query, safe=_QUERY)}" if parts.query else ""
    return httpcore.URL(
        scheme=parts.scheme.encode(),
        host=_ascii(parts.hostname or "").encode(),
        port=parts.port,
        target=f"{path}{query}".encode(),
    )


def _pool(parts: SplitResult, backend: _Backend) -> httpcore.ConnectionPool:
    """Connections to the host of a URL, through the proxy of the environment where it has one."""
    proxy = None
    if not proxy_bypass(parts.netloc):
        proxy = getproxies().get(parts.scheme)
    if proxy is None:
        return httpcore.ConnectionPool(network_backend=backend)
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    given = urlsplit(proxy)
    if given.scheme not in _PORTS or not given.hostname:
        raise ConfigError(f"the proxy for {parts.scheme} is none that speaks HTTP")
    if backend.only_public:
        # The proxy resolves the name anew, so this is all that we can do. Its own address is the
        # administrator's.
        backend.check(_ascii(parts.hostname or ""), parts.port or _PORTS[parts.scheme])
        backend.only_public = False
    user = (unquote(given.username or ""), unquote(given.password or ""))
    return httpcore.HTTPProxy(
        httpcore.URL(
            scheme=given.scheme.encode(), host=given.hostname.encode(), port=given.port, target=b"/"
        ),
        proxy_auth=user if given.username else None,
        network_backend=backend,
    )


class _Backend(httpcore.SyncBackend):
    """Connections of one request, all of which is done by one deadline.

    The address that was checked is the one that is connected to: a name that changes its address
    between the two finds no gap.
    """

    def __init__(self, seconds: float, *, only_public: bool) -> None:
        self.only_public = only_public
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connects to the first address of the host that answers."""
        addresses = self.check(host, port)
        for number, address in enumerate(addresses, start=1):
            try:
                stream = super().connect_tcp(
                    address, port, self.within(timeout), local_address, socket_options
                )
            except httpcore.ConnectError:
                if number == len(addresses):
                    raise
            else:
                return _Stream(stream, self)
        raise httpcore.ConnectError(f"{host} has no address")

    def check(self, host: str, port: int) -> list[str]:
        """The addresses of a host; raises InvalidRequest for one that must not be asked."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as exc:
            raise httpcore.ConnectError(exc.strerror or str(exc)) from exc
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        if self.only_public and not all(map(is_public, addresses)):
            raise InvalidRequest(
                f"an answer leads to {host}, an address that is not public: it is not followed",
                hint="give that address itself, if it is the one that you mean",
            )
        return addresses

    def within(self, timeout: float | None) -> float:
        """The timeout, cut to what is left."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(f"not done within {self._seconds:g} s")
        return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends with the request's deadline."""

    def __init__(self, stream: httpcore.NetworkStream, backend: _Backend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As the stream does."""
        return self._stream.read(max_bytes, self._backend.within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As the stream does."""
        self._stream.write(buffer, self._backend.within(timeout))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """As the stream does."""
        timeout = self._backend.within(timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._backend)

    def close(self) -> None:
        """As the stream does."""
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        """As the stream does."""
        return self._stream.get_extra_info(info)
