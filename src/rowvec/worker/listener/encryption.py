"""TLS from bytes to bytes: neither sockets nor tasks.

asyncio's own TLS would read what it likes before a handshake is done, and begin clocks of its own.
"""

from __future__ import annotations

import contextlib
import ssl

_PIECE_BYTES = 1 << 16


class Encryption:
    """The server's side of one encrypted connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._line = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_agreed = False
        self.is_closed = False

    def decrypt(self, data: bytes) -> bytes:
        """Takes what came from the client, gives what is in it; raises SSLError."""
        self._incoming.write(data)
        pieces = []
        try:
            if not self.is_agreed:
                self._line.do_handshake()
                self.is_agreed = True
            while piece := self._line.read(_PIECE_BYTES):
                pieces.append(piece)
            self.is_closed = True
        except ssl.SSLWantReadError:
            pass
        return b"".join(pieces)

    def encrypt(self, data: bytes) -> bytes:
        """What is to be sent for it, with what else has to be said; raises SSLError."""
        self._line.write(data)
        return self.outgoing()

    def outgoing(self) -> bytes:
        """What has to be said to the client by itself: its part of a handshake, an alert."""
        return self._outgoing.read()

    def close(self) -> bytes:
        """The last word."""
        with contextlib.suppress(ssl.SSLError):  # it never began, or waits for the client's
            self._line.unwrap()
        return self.outgoing()
