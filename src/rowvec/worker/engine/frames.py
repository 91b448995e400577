"""How messages between listener and engine travel over a socket pair: as JSON, and a blob beside.

A frame's first byte says which message it is. No frame is large: either side would be busy with
one.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence

import orjson

from rowvec.worker.engine import messages
from rowvec.worker.engine.messages import Message

_HEAD = struct.Struct("<BII")

# Both processes run the same release: the order is no protocol.
_KINDS: tuple[type[Message], ...] = (
    messages.Configure,
    messages.ModelRequest,
    messages.SplitRequest,
    messages.ProbeRequest,
    messages.MoreInputs,
    messages.Cancel,
    messages.Answer,
    messages.VectorAnswer,
    messages.TokenAnswer,
    messages.SpanAnswer,
    messages.PieceAnswer,
    messages.Part,
    messages.Failed,
    messages.Hello,
    messages.Loading,
    messages.NotLoaded,
    messages.Loaded,
    messages.Dropped,
    messages.Computed,
)
_BYTE_OF = {kind: number for number, kind in enumerate(_KINDS)}

# What is encoded within a millisecond or two.
_FRAME_CHARACTERS = 1 << 18

# Frames that are copied together cost less than a wake-up of the other process.
_HELD_BYTES = 1 << 16


def encode(message: Message, blob: bytes = b"") -> bytes:
    """The bytes of one frame."""
    text = orjson.dumps(message, default=str)
    return b"".join((_HEAD.pack(_BYTE_OF[type(message)], len(text), len(blob)), text, blob))


class FrameWriter:
    """Writes frames to a transport, those of one turn of the event loop together.

    The other side then wakes once for all of them.
    """

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes] = []
        self._size = 0

    def write(self, message: Message, blob: bytes = b"") -> None:
        """Sends a frame, soon; in order."""
        frame = encode(message, blob)
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(frame)
        self._size += len(frame)
        if self._size > _HELD_BYTES:
            self._flush()

    def _flush(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


def in_frames(texts: Sequence[str]) -> list[Sequence[str]]:
    """The texts in order, in frames; at least one."""
    if sum(map(len, texts)) <= _FRAME_CHARACTERS:
        return [texts]
    frames: list[Sequence[str]] = []
    begun: list[str] = []
    size = 0
    for text in texts:
        if begun and size + len(text) > _FRAME_CHARACTERS:
            frames.append(begun)
            begun, size = [], 0
        begun.append(text)
        size += len(text)
    return [*frames, begun]


class FrameReader:
    """Calls `on_frame` for each whole frame that was fed."""

    def __init__(self, on_frame: Callable[[Message, bytes], None]) -> None:
        self._on_frame = on_frame
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Takes bytes as they come."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            kind, text_length, blob_length = _HEAD.unpack_from(self._buffer)
            start, end = _HEAD.size + text_length, _HEAD.size + text_length + blob_length
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as view:
                fields = orjson.loads(view[_HEAD.size : start])
                blob = bytes(view[start:end])
            del self._buffer[:end]
            self._on_frame(_KINDS[kind].from_json(fields), blob)
