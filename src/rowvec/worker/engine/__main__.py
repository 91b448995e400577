"""The process that computes: `python -m rowvec.worker.engine SOCKET BLACK_BOX LOG_FORMAT`.

The listener starts it, and it ends when the listener does.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import socket
import sys

from rowvec import logs
from rowvec.worker.engine.answering import Engine
from rowvec.worker.engine.black_box import BlackBox
from rowvec.worker.engine.frames import FrameReader, FrameWriter
from rowvec.worker.engine.messages import Configure, Message


class _ListenerLine(asyncio.Protocol):
    """The connection to the listener; its end is the end of the process."""

    def __init__(self, box: BlackBox) -> None:
        self._box = box
        self._engine: Engine | None = None
        self._reader = FrameReader(self._on_frame)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)

    def _on_frame(self, message: Message, _blob: bytes) -> None:
        if self._engine is not None:
            self._engine.on_message(message)
            return
        assert self._transport is not None
        assert isinstance(message, Configure)
        self._engine = Engine(message, FrameWriter(self._transport), self._box)
        self._engine.start()

    def connection_lost(self, _exc: Exception | None) -> None:
        # Not sys.exit: a thread that computes, or hangs, would be waited for.
        os._exit(0)


async def _serve(connection: socket.socket, box: BlackBox) -> None:
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(functools.partial(_ListenerLine, box), connection)
    await asyncio.Event().wait()


def main() -> None:
    """Serves the listener at the inherited socket; never returns."""
    # A terminal's Ctrl-C and an init system's SIGTERM reach every process: the listener drains,
    # and this one ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logs.configure("json" if sys.argv[3] == "json" else "text", level=logging.INFO)
    noisy_ones = "sentence_transformers", "transformers", "huggingface_hub"
    for noisy in (*noisy_ones, "langchain_text_splitters"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    connection, box = socket.socket(fileno=int(sys.argv[1])), BlackBox(int(sys.argv[2]))
    asyncio.run(_serve(connection, box))


if __name__ == "__main__":
    main()
