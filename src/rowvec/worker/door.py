"""Takes connections from listening sockets, one after the other and not too fast.

asyncio's own server takes as many at once as its backlog is long, and clients that are logged in
wait meanwhile. Here they have most of the time, however many newcomers there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence

from rowvec.worker.half_open import HalfOpen, address_of

logger = logging.getLogger(__name__)

BACKLOG = 512

# A newcomer costs half a millisecond, and no more than 1,000 come in a second. The others wait in
# the backlog, where they cost nothing.
_BETWEEN_SECONDS = 0.001

# Where the system has no file or memory left for a connection, as asyncio waits, too.
_PAUSE_SECONDS = 1.0

Enter = Callable[[socket.socket, str], None]


class Door:
    """Listening sockets until `close`; `enter` gets each connection and the address it is of."""

    def __init__(self, sockets: Sequence[socket.socket], half_open: HalfOpen, enter: Enter) -> None:
        self._sockets = sockets
        self._half_open = half_open
        self._enter = enter
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._take(each), name="door") for each in sockets]

    async def close(self) -> None:
        """Takes no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in self._sockets:
            each.close()

    async def _take(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # gone before it was taken
            except OSError as exc:
                logger.warning("cannot take a connection: %s", exc.strerror)
                self._half_open.drop_oldest()
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            self._enter(client, address_of(client))
            await asyncio.sleep(_BETWEEN_SECONDS)


def listen_tcp(host: str, port: int) -> list[socket.socket]:
    """Listening sockets at every address of the host; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with contextlib.ExitStack() as opened:
        sockets = [
            opened.enter_context(socket.create_server(address[:2], family=family, backlog=BACKLOG))
            for family, address in dict.fromkeys((each[0], each[4]) for each in found)
        ]
        opened.pop_all()
    for each in sockets:
        each.setblocking(False)  # noqa: FBT003  # its only parameter
    return sockets
