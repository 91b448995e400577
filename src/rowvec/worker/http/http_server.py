"""Listens for HTTP on the event loop of the worker, bounds who connects, and stops when told."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Self

from aiohttp import web
from typing_extensions import override

from rowvec.addresses import split_address
from rowvec.config import Settings
from rowvec.errors import ConfigError, RowvecError
from rowvec.worker.http.api import Api

logger = logging.getLogger(__name__)

_BACKLOG = 512

# A client that does not read its last answer is not waited for any longer.
_CLOSE_SECONDS = 5

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class HttpServer:
    """One listening socket and the connections behind it.

    A client has `login_timeout_seconds` to send its first request that is let in, and between
    requests `idle_timeout_seconds`.
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
        self._listening: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

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
            self._listening = await asyncio.get_running_loop().create_server(
                self._connection, host, port, backlog=_BACKLOG, ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else self._login_timeout_seconds,
            )  # fmt: skip
        except OSError as exc:
            raise ConfigError(f"cannot listen on {address}: {exc.strerror or exc}") from exc
        bound, port = self._listening.sockets[0].getsockname()[:2]
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://[{bound}]:{port}" if ":" in bound else f"{scheme}://{bound}:{port}"

    def interrupt_all(self, reason: RowvecError) -> None:
        """Ends every request that is computed with an error."""
        self._api.interrupt_all(reason)

    async def close(self) -> None:
        """Takes no new connection, lets answers that are being sent go out, and ends the rest."""
        if self._listening is not None:
            self._listening.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        assert self._runner is not None
        server = self._runner.server
        assert server is not None
        if self.connections >= self._max_connections:
            return _TurnedAway()
        client = server()
        self._api.silent.add(client)
        loop = asyncio.get_running_loop()
        loop.call_later(self._login_timeout_seconds, self._close_if_silent, client)
        return client

    def _close_if_silent(self, client: web.RequestHandler) -> None:
        if client in self._api.silent:
            self._api.silent.remove(client)
            client.force_close()


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
