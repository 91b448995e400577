"""One client's bytes: asyncio's transport on one side, whole messages on the other."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable

from rowvec.errors import ProtocolError
from rowvec.protocol import wire
from rowvec.protocol.streamed import STREAM_BYTES
from rowvec.worker.listener.encryption import Encryption
from rowvec.worker.observing import ConnectionClosed

logger = logging.getLogger(__name__)

# A client may send its next requests ahead; beyond this it has to wait for the answers.
_READ_AHEAD_BYTES = 1 << 20

# A client that does not read its last answer is not waited for any longer.
_CLOSE_SECONDS = 5


class Connection(asyncio.Protocol):
    """Reads messages and writes bytes; calls `on_lost` once when the client is gone.

    Until `trust` is called a client may send `limit` bytes in all, those of a TLS handshake among
    them, and no more is read. A client that leaves is noticed at once, whatever runs for it.
    """

    def __init__(self, limit: int) -> None:
        self.reader = wire.Reader(limit, is_strict=True)
        self.on_lost: Callable[[], None] = _nothing
        self._unproven_bytes: int | None = limit
        self._transport: asyncio.Transport | None = None
        self._encryption: Encryption | None = None
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
        return self._encryption is not None

    @property
    def local(self) -> bool:
        """Whether the client came through a unix socket, where there is no TLS."""
        assert self._transport is not None
        return not isinstance(self._transport.get_extra_info("peername"), tuple)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        if self._unproven_bytes is not None:
            self._unproven_bytes -= len(data)
            if self._unproven_bytes < 0:
                self._pause_reading()
                self._wake()
                return
        if self._encryption is not None:
            data = self._decrypted(self._encryption, data)
        self.reader.feed(data)
        if self._arrived is not None:
            self._wake()
        elif self.reader.buffered > self.reader.limit + _READ_AHEAD_BYTES:
            self._pause_reading()

    def _decrypted(self, encryption: Encryption, data: bytes) -> bytes:
        assert self._transport is not None
        try:
            data = encryption.decrypt(data)
        except ssl.SSLError as exc:
            logger.info("%s: no TLS: %s", self.peer, exc.reason)
            self._transport.write(encryption.outgoing())  # the alert
            self._transport.close()
            return b""
        self._transport.write(encryption.outgoing())
        if encryption.is_closed:
            self._transport.close()
        return data

    def _pause_reading(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self._reading_paused = True

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

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
        self._unproven_bytes = None
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
        if (found := self.reader.message()) is not None:
            await asyncio.sleep(0)  # it was sent ahead: others have their turn first
            return found
        while (found := self.reader.message()) is None:
            await self._more()
        return found

    async def _more(self) -> None:
        if self._lost.is_set():
            raise ConnectionClosed
        self._check_budget()
        if self._reading_paused:
            assert self._transport is not None
            self._reading_paused = False
            self._transport.resume_reading()
        self._arrived = asyncio.get_running_loop().create_future()
        try:
            await self._arrived
        finally:
            self._arrived = None
        self._check_budget()

    def _check_budget(self) -> None:
        if self._unproven_bytes is not None and self._unproven_bytes < 0:
            raise ProtocolError("more bytes came than a client may send before the login")

    def write(self, data: bytes) -> None:
        """Sends bytes; a client that is gone, or in the middle of a handshake, gets none."""
        if self._transport is None or self._lost.is_set():
            return
        if self._encryption is None:
            self._transport.write(data)
        elif self._encryption.is_agreed:
            self._transport.write(self._encryption.encrypt(data))

    async def drain(self, patience_seconds: float) -> None:
        """Waits while the client reads slower than we write; raises ConnectionClosed.

        One that takes next to nothing for so long is not waited for any longer.
        """
        if self._lost.is_set():
            raise ConnectionClosed
        if self._writable is None:
            return
        try:
            async with asyncio.timeout(patience_seconds):
                await self._writable
        except TimeoutError:
            self.abort()
            raise ConnectionClosed from None

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Begins TLS; raises ProtocolError, ConnectionClosed."""
        # Bytes sent in plain before the handshake would be taken for encrypted ones after it.
        if self.reader.buffered:
            raise ProtocolError("bytes came between the request for TLS and its answer")
        self.write(b"S")
        self._encryption = Encryption(context)
        while not self._encryption.is_agreed:
            await self._more()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Ends the connection once what was written is sent, or the client takes too long."""
        if self._transport is None:
            return
        if self._encryption is not None and not self._lost.is_set():
            self._transport.write(self._encryption.close())
        self._transport.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._lost.wait()
        except TimeoutError:
            self._transport.abort()


def _nothing() -> None:
    """Before a session begins there is nothing to drop."""
