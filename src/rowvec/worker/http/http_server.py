"""Listens for HTTP on the worker's event loop, bounds connections, and stops on request."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Self

from aiohttp import web
from typing_extensions import override

from rowvec.addresses import split_address
from rowvec.config import Settings
from rowvec.errors import ConfigError, RowvecError, TooManyConnections
from rowvec.worker.door import Door, listen_tcp
from rowvec.worker.half_open import HalfOpen, Place
from rowvec.worker.http.api import Api

logger = logging.getLogger(__name__)

# A client that does not read its last answer is not waited for any longer.
_CLOSE_SECONDS = 5

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class HttpServer:
    """One listening socket and the connections behind it.

    A client has `login_timeout_seconds` to send its first request that is let in, the TLS handshake
    included, and between requests `idle_timeout_seconds`. Until then its connection is half-open,
    and those are counted apart.
    """

    def __init__(
        self,
        api: Api,
        *,
        tls: ssl.SSLContext | None,
        max_connections: int,
        idle_timeout_seconds: float,
        login_timeout_seconds: float,
    ) -> None:
        self._api = api
        self._tls = tls
        self._max_connections = max_connections
        self._idle_timeout_seconds = idle_timeout_seconds
        self._login_timeout_seconds = login_timeout_seconds
        self._half_open = HalfOpen()
        self._visitors: dict[asyncio.BaseProtocol, _Visitor] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._door: Door | None = None
        self._runner: web.AppRunner | None = None
        api.admit = self._admit

    @classmethod
    def of(cls, settings: Settings, api: Api, tls: ssl.SSLContext | None) -> Self:
        """With the limits that the settings say."""
        return cls(
            api,
            tls=tls,
            max_connections=settings.max_connections,
            idle_timeout_seconds=settings.idle_timeout_seconds,
            login_timeout_seconds=settings.login_timeout_seconds,
        )

    @property
    def connections(self) -> int:
        """Clients that are connected."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    async def open(self, address: str) -> str:
        """Listens at HOST:PORT and gives the URL; raises ConfigError where it cannot."""
        host, port = split_address(address)
        self._runner = web.AppRunner(
            self._api.application(),
            access_log=None,
            logger=_aiohttp_logger(),
            handler_cancellation=True,
            keepalive_timeout=self._idle_timeout_seconds,
            lingering_time=_CLOSE_SECONDS,
            shutdown_timeout=_CLOSE_SECONDS,
            # What a client says of its body is checked before the body is touched.
            auto_decompress=False,
        )
        await self._runner.setup()
        try:
            sockets = listen_tcp(host, port)
        except OSError as exc:
            raise ConfigError(f"cannot listen on {address}: {exc.strerror or exc}") from exc
        bound, port = sockets[0].getsockname()[:2]
        self._door = Door(sockets, self._half_open, self._enter)
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://[{bound}]:{port}" if ":" in bound else f"{scheme}://{bound}:{port}"

    def interrupt_all(self, reason: RowvecError) -> None:
        """Ends every request that is computed with an error."""
        self._api.interrupt_all(reason)

    async def close(self) -> None:
        """Takes no new connection, lets answers that are being sent go out, and ends the rest."""
        if self._door is not None:
            await self._door.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _enter(self, client: socket.socket, address: str) -> None:
        place = self._half_open.add(address, client.close)
        task = asyncio.get_running_loop().create_task(self._receive(client, place), name="visitor")
        place.drop = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _receive(self, client: socket.socket, place: Place) -> None:
        """Has a connection until its client is known, is gone, or was too slow."""
        assert self._runner is not None
        server = self._runner.server
        assert server is not None
        handler = server()
        visitor = self._visitors[handler] = _Visitor(handler)
        is_full = self._known() >= self._max_connections
        seconds = self._login_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().connect_accepted_socket(
                    _TurnedAway if is_full else lambda: visitor, client, ssl=self._tls,
                    ssl_handshake_timeout=None if self._tls is None else seconds,
                    ssl_shutdown_timeout=None if self._tls is None else _CLOSE_SECONDS,
                )  # fmt: skip
                if not is_full:
                    await visitor.settled.wait()
        except (OSError, TimeoutError):
            logger.debug("a client of HTTP left, or was too slow")
        finally:
            place.leave()
            if not visitor.is_known:
                visitor.abort()
                del self._visitors[handler]

    def _known(self) -> int:
        return sum(visitor.is_known for visitor in self._visitors.values())

    def _admit(self, handler: asyncio.BaseProtocol) -> None:
        visitor = self._visitors.get(handler)
        if visitor is None or visitor.is_known:
            return
        if self._known() >= self._max_connections:
            raise TooManyConnections(
                f"{self._max_connections} clients are connected, and the worker takes no more",
                hint="close some, or raise the worker's max_connections",
            )
        visitor.is_known = True
        visitor.settled.set()
        visitor.on_lost = partial(self._visitors.pop, handler, None)


class _Visitor(asyncio.Protocol):
    """Stands before aiohttp's handler of a connection, and knows when the client is gone."""

    def __init__(self, handler: web.RequestHandler) -> None:
        self._handler = handler
        self._transport: asyncio.Transport | None = None
        self.is_known = False
        self.settled = asyncio.Event()
        self.on_lost: Callable[[], object] = self.settled.set

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._handler.connection_made(transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)

    @override
    def eof_received(self) -> None:
        self._handler.eof_received()

    @override
    def pause_writing(self) -> None:
        self._handler.pause_writing()

    @override
    def resume_writing(self) -> None:
        self._handler.resume_writing()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._handler.connection_lost(exc)
        self.on_lost()


class _TurnedAway(asyncio.Protocol):
    """A client beyond the limit of connections."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_FULL)
        transport.close()


class _WithoutWords(logging.Filter):
    """Bytes that are no HTTP are quoted by aiohttp's exceptions, and are no error of ours."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.exc_info = None
        return True


def _aiohttp_logger() -> logging.Logger:
    found = logging.getLogger(f"{__name__}.aiohttp")
    if not found.filters:
        found.addFilter(_WithoutWords())
    return found
