"""Accepts connections, bounds how many there are, and finds the one that a cancel means."""

from __future__ import annotations

import asyncio
import errno
import hmac
import itertools
import logging
import os
import socket
from functools import partial
from pathlib import Path

from rowvec.addresses import split_address
from rowvec.errors import ConfigError, RowvecError, TooManyConnections
from rowvec.protocol import wire
from rowvec.worker.door import BACKLOG, Door, listen_tcp
from rowvec.worker.half_open import HalfOpen, Place
from rowvec.worker.listener.client_connection import Connection
from rowvec.worker.listener.client_session import (
    MAX_BYTES_BEFORE_LOGIN,
    Answer,
    ClientSession,
    Rules,
)
from rowvec.worker.observing import Observer

logger = logging.getLogger(__name__)

UNIX_PORT = 5466

# A client that does not read its last answer is not waited for any longer.
_CLOSE_SECONDS = 5


class Listener:
    """One address to listen at, and the sessions behind it.

    Beside the clients that are logged in there are those that log in: cancels get through to a full
    worker, and who knows no password cannot keep out who does.
    """

    def __init__(
        self, rules: Rules, answer: Answer, observer: Observer, *, max_connections: int
    ) -> None:
        self._rules = rules
        self._answer = answer
        self._observer = observer
        self._max_connections = max_connections
        self._processes = itertools.count(1)
        self._sessions: dict[int, ClientSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._half_open = HalfOpen()
        self._door: Door | None = None
        self._socket_path: Path | None = None

    @property
    def connections(self) -> int:
        """Clients that are connected, those among them that log in."""
        return len(self._sessions)

    async def open(self, address: str) -> str:
        """Listens at HOST:PORT, or at a socket in an absolute folder; gives where that is.

        Raises ConfigError where the address cannot be used.
        """
        try:
            if address.startswith("/"):
                self._socket_path = Path(address) / f".s.PGSQL.{UNIX_PORT}"
                sockets = [_listen_unix(self._socket_path)]
            else:
                sockets = listen_tcp(*split_address(address))
        except OSError as exc:
            raise ConfigError(f"cannot listen on {address}: {exc.strerror or exc}") from exc
        self._door = Door(sockets, self._half_open, self._enter)
        if self._socket_path is not None:
            return str(self._socket_path)
        name = sockets[0].getsockname()
        return f"{name[0]}:{name[1]}"

    async def stop_listening(self) -> None:
        """Takes no new connection."""
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)
        if self._door is not None:
            await self._door.close()

    def interrupt_all(self, reason: RowvecError) -> None:
        """Ends every request that runs with an error."""
        for session in list(self._sessions.values()):
            session.interrupt(reason)

    async def close(self) -> None:
        """Ends every session after the answer it sends, and returns when all have ended."""
        for session in list(self._sessions.values()):
            session.stop()
        if self._tasks:
            _, slow = await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
            for task in slow:
                task.cancel()
            if slow:
                await asyncio.wait(slow)

    def _enter(self, client: socket.socket, address: str) -> None:
        place = self._half_open.add(address, client.close)
        task = asyncio.get_running_loop().create_task(self._serve(client, place), name="session")
        place.drop = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _serve(self, client: socket.socket, place: Place) -> None:
        connection = Connection(MAX_BYTES_BEFORE_LOGIN)
        session = ClientSession(
            connection,
            self._rules,
            self._answer,
            self._observer,
            partial(self._admit, place),
            self._cancel,
            next(self._processes),
        )
        self._sessions[session.process] = session
        connection.on_lost = session.client_left
        try:
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(lambda: connection, client)
            await session.run()
        finally:
            place.leave()
            del self._sessions[session.process]

    def _admit(self, place: Place) -> None:
        """Whoever comes here has proved who it is."""
        if sum(session.logged_in for session in self._sessions.values()) >= self._max_connections:
            raise TooManyConnections(
                f"{self._max_connections} clients are connected, the most that the worker takes",
                hint="close some, or raise the worker's max_connections",
            )
        place.leave()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a connection failed", exc_info=error)

    def _cancel(self, cancel: wire.Cancel) -> None:
        session = self._sessions.get(cancel.process)
        if session is not None and hmac.compare_digest(
            session.secret.to_bytes(4), cancel.secret.to_bytes(4)
        ):
            session.cancel_request()


def _listen_unix(path: Path) -> socket.socket:
    """A listening socket at `path`, instead of one that a killed worker left.

    Raises OSError where a worker lives there. The name appears when connections are taken.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        else:
            raise OSError(errno.EADDRINUSE, "another worker listens there")
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    # The password is what protects it, as over TCP; Postgres runs as another user than the worker.
    # Its mode is that of its making: by its name, somebody else's file could be meant by then.
    mask = os.umask(0)
    try:
        listening.bind(str(unfinished))
    finally:
        os.umask(mask)
    listening.listen(BACKLOG)
    listening.setblocking(False)  # noqa: FBT003  # its only parameter
    unfinished.rename(path)
    return listening
