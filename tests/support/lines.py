"""What lies between a session and its worker: a line that can stall, lose packets and be cut."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from pydantic import SecretStr

from rowvec.db.server import set_worker
from support.postgres import Database
from support.waiting import eventually


@dataclass
class Base(Database):
    """A migrated database of one test, on one of the majors."""

    def point_at(self, host: str, port: int | str, password: str, **options: str) -> None:
        """Makes what listens there the worker of the database."""
        with self.connect() as connection:
            wanted = {"host": host, "port": str(port), **options}
            set_worker(connection, wanted, SecretStr(password))

    def waits(self, pid: int) -> bool:
        """Whether that session is in the waiting loop of a call."""
        with self.connect() as watcher:
            row = watcher.execute(
                "SELECT wait_event FROM pg_stat_activity WHERE pid = %s", (pid,)
            ).fetchone()
        return row == ("PgSleep",)


_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27


@dataclass
class Proxy:
    """A TCP port before a worker's socket, whose packets can be lost and whose lines cut."""

    target: Path
    lines: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._forwarding = threading.Event()
        self._forwarding.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.target))
                self.lines.append((client, server))
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._forwarding.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def stall(self) -> None:
        """Takes what comes and passes nothing on; the other end is acknowledged everything."""
        self._forwarding.clear()

    def flow(self) -> None:
        """Passes on what was held up, and everything from now on."""
        self._forwarding.set()

    def lose_packets(self) -> None:
        """From now on the kernel drops every packet of clients, as a broken network does."""
        instruction = struct.pack("HBBI", 0x06, 0, 0, 0)  # return 0: keep nothing of the packet
        buffer = ctypes.create_string_buffer(instruction)
        program = struct.pack("HL", 1, ctypes.addressof(buffer))
        for end in (self._door, *(client for client, _ in self.lines)):
            end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def cut(self) -> None:
        """Resets every line."""
        reset = struct.pack("ii", 1, 0)
        for ends in self.lines:
            for end in ends:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                    # Not close alone: a thread that reads keeps the socket.
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self.lines.clear()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._forwarding.set()
        self.cut()


@dataclass
class Striker:
    """Does something once a session waits for its worker."""

    base: Base

    @contextlib.contextmanager
    def __call__(
        self, connection: psycopg.Connection, strike: Callable[[], object]
    ) -> Iterator[None]:
        pid = connection.info.backend_pid

        def wait_and_strike() -> None:
            eventually(lambda: self.base.waits(pid))
            strike()

        thread = threading.Thread(target=wait_and_strike)
        thread.start()
        yield
        thread.join()
