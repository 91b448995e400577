"""One client's bytes: asyncio's transport on one side, whole messages on the other."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from rowvec.errors import ProtocolError
from rowvec.protocol import wire
from rowvec.protocol.streamed import STREAM_BYTES
from rowvec.worker.observing import ConnectionClosed

# A client may send its next requests ahead; beyond this it has to wait for the answers.
_READ_AHEAD_BYTES = 1 << 20

# A client that does not read its last answer is not waited for any longer.
_CLOSE_SECONDS = 5


class Connection(asyncio.Protocol):
    """Reads messages and writes bytes; calls `on_lost` once when the client is gone.

    `limit` bounds a message until `trust` is called. A client that leaves is noticed at once,
    whatever runs for it.
    """

    def __init__(
        self, limit: int, on_made: Callable[[Connection], None], on_lost: Callable[[], None]
    ) -> None:
        self.reader = wire.Reader(limit, is_strict=True)
        self._on_made = on_made
        self.on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._lost = asyncio.Event()

    @property
    def peer(self) -> str:
        """Where the client is, for the log."""
        assert self._transport is not None
        name = self._transport.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "unix socket"

    @property
    def encrypted(self) -> bool:
        """Whether TLS was agreed on."""
        assert self._transport is not None
        return self._transport.get_extra_info("ssl_object") is not None

    @property
    def local(self) -> bool:
        """Whether the client came through a unix socket, where there is no TLS."""
        assert self._transport is not None
        return not isinstance(self._transport.get_extra_info("peername"), tuple)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio; a second time when TLS begins."""
        assert isinstance(transport, asyncio.Transport)
        first = self._transport is None
        self._transport = transport
        if first:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self.reader.feed(data)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)
        elif self.reader.buffered > self.reader.limit + _READ_AHEAD_BYTES:
            assert self._transport is not None
            self._transport.pause_reading()
            self._reading_paused = True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called by asyncio."""
        self._lost.set()
        for waiter in (self._arrived, self._writable):
            if waiter is not None and not waiter.done():
                waiter.set_exception(ConnectionClosed())
        self.on_lost()

    def pause_writing(self) -> None:
        """Called by asyncio when the client reads slower than we write."""
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Called by asyncio."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def trust(self, limit: int) -> None:
        """The client has logged in: messages may be so large, and larger ones are dropped."""
        self.reader.limit = limit
        self.reader.is_strict = False
        self.reader.stream_bytes = STREAM_BYTES

    async def opening(self) -> wire.Opening | wire.Startup | wire.Cancel:
        """The next message before authentication; raises ProtocolError, ConnectionClosed."""
        while (found := self.reader.opening()) is None:
            await self._more()
        return found

    async def piece(self) -> bytes:
        """The next bytes of a streamed text, none after the last; raises as `message` does."""
        while (found := self.reader.piece()) is None:
            await self._more()
        return found

    async def message(self) -> wire.Message | wire.TooLarge | wire.Streamed:
        """The next message; raises ProtocolError, ConnectionClosed."""
        while (found := self.reader.message()) is None:
            await self._more()
        return found

    async def _more(self) -> None:
        if self._lost.is_set():
            raise ConnectionClosed
        if self._reading_paused:
            assert self._transport is not None
            self._reading_paused = False
            self._transport.resume_reading()
        self._arrived = asyncio.get_running_loop().create_future()
        try:
            await self._arrived
        finally:
            self._arrived = None

    def write(self, data: bytes) -> None:
        """Sends bytes; a client that is gone gets none."""
        if self._transport is not None and not self._lost.is_set():
            self._transport.write(data)

    async def drain(self) -> None:
        """Waits while the client reads slower than we write; raises ConnectionClosed."""
        if self._lost.is_set():
            raise ConnectionClosed
        if self._writable is not None:
            await self._writable

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Begins TLS; raises ProtocolError, ConnectionClosed."""
        # Bytes sent in plain before the handshake would be taken for encrypted ones after it.
        if self.reader.buffered:
            raise ProtocolError("bytes came between the request for TLS and its answer")
        assert self._transport is not None
        self._transport.write(b"S")
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                self._transport, self, context, server_side=True
            )
        except (OSError, ssl.SSLError) as exc:
            raise ConnectionClosed from exc
        assert encrypted is not None
        self._transport = encrypted

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Ends the connection once what was written is sent, or the client takes too long."""
        assert self._transport is not None
        self._transport.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._lost.wait()
        except TimeoutError:
            self._transport.abort()
