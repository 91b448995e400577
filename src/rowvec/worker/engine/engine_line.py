"""The connection to one engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from typing_extensions import override

from rowvec.worker.engine.frames import FrameReader, FrameWriter
from rowvec.worker.engine.messages import Message


class EngineLine(asyncio.Protocol):
    """Frames to and from it. Its loss needs no notice: the process ends with it."""

    def __init__(self, on_frame: Callable[[Message, bytes], None]) -> None:
        self._reader = FrameReader(on_frame)
        self._writer: FrameWriter | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._writer = FrameWriter(transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)

    def write(self, message: Message) -> None:
        """Sends a message; the engine that it goes to may be dead."""
        assert self._writer is not None
        self._writer.write(message)
