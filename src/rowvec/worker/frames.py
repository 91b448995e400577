"""Messages between listener and engine: a JSON header and a blob, over a socket pair.

A header's `op` tells what it is. To the engine: `configure` (first), `embed`, `embed_image`,
`count_tokens`, `chunk`, `split`, `cancel`, `probe`, and `inputs`, which the request of that id will
add its own to. From it: `hello`, `loading`, `loaded`, `dropped`, `computed` (a batch), `answer`,
`failed`, and `part`, the first rows of an answer. So no frame is large: either side would be busy
with one.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from rowvec.models.description import Description
from rowvec.models.spec import ModelSpec

_LENGTHS = struct.Struct("<II")

# What is encoded within a millisecond or two.
_FRAME_CHARACTERS = 1 << 18

# Frames that are copied together cost less than a wake-up of the other process.
_HELD_BYTES = 1 << 16

Header = dict[str, Any]


def encode(header: Mapping[str, Any], blob: bytes = b"") -> bytes:
    """The bytes of one frame."""
    text = orjson.dumps(header, default=str)
    return b"".join((_LENGTHS.pack(len(text), len(blob)), text, blob))


class FrameWriter:
    """Writes frames to a transport, those of one turn of the event loop together.

    The other side then wakes once for all of them.
    """

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes] = []
        self._size = 0

    def write(self, header: Mapping[str, Any], blob: bytes = b"") -> None:
        """Sends a frame, soon; in order."""
        frame = encode(header, blob)
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

    def __init__(self, on_frame: Callable[[Header, bytes], None]) -> None:
        self._on_frame = on_frame
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Takes bytes as they come."""
        self._buffer += data
        while len(self._buffer) >= _LENGTHS.size:
            text_length, blob_length = _LENGTHS.unpack_from(self._buffer)
            start, end = _LENGTHS.size + text_length, _LENGTHS.size + text_length + blob_length
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as view:
                header = orjson.loads(view[_LENGTHS.size : start])
                blob = bytes(view[start:end])
            del self._buffer[:end]
            self._on_frame(header, blob)


def spec_from_json(fields: Mapping[str, Any]) -> ModelSpec:
    """The ModelSpec that `encode` wrote (it knows dataclasses and paths)."""
    folder, described = fields["folder"], fields["description"]
    return ModelSpec(
        **{
            **fields,
            # JSON has one kind of sequence.
            "description": Description(
                **{
                    **described,
                    "reads": tuple(described["reads"]),
                    "backends": tuple(described["backends"]),
                }
            ),
            "aliases": tuple(fields["aliases"]),
            "roles": tuple(fields["roles"]),
            "folder": None if folder is None else Path(folder),
        }
    )
