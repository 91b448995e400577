"""A request of many megabytes, read and checked while it arrives."""

from __future__ import annotations

import codecs
from typing import Any

from rowvec.errors import InvalidText, NotARequest
from rowvec.protocol.request import (
    Request,
    check_characters,
    decode,
    from_fields,
    image_characters,
)
from rowvec.protocol.streamed import STREAM_BYTES, StreamedObject

# For what is beside the texts and short; a query to rerank by may be as long as a text.
_AROUND_BYTES = 1 << 20


class LargeTexts:
    """The fields of an object with the large member `array`.

    `feed` and `finish` raise as `request.decode` does, and InvalidText.
    """

    def __init__(self, array: str, *, max_input_bytes: int, max_image_bytes: int = 0) -> None:
        self._looking = _Looking()
        self._object = StreamedObject(
            array,
            self._looking.check,
            max_text_bytes=max(max_input_bytes, image_characters(max_image_bytes)),
            max_around_bytes=max_input_bytes + _AROUND_BYTES,
        )

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes."""
        self._object.feed(piece)

    def finish(self) -> dict[str, Any]:
        """The fields, once everything was fed."""
        return self._object.finish()

    @property
    def longest(self) -> int:
        """Bytes that no text exceeds."""
        return self._looking.longest


class _Looking:
    """Looks at every text once, and is not what holds them."""

    def __init__(self) -> None:
        self.longest = 0

    def check(self, text: object, number: int) -> None:
        if isinstance(text, str):
            check_characters(text, number)
            # A character has at most four bytes.
            self.longest = max(self.longest, 4 * len(text))


class LargeRequest:
    """The text of a query, in one of the codecs of `statements.codec`, in pieces.

    `feed` and `finish` raise as `request.parse` does.
    """

    def __init__(self, encoding: str, *, max_input_bytes: int, max_image_bytes: int) -> None:
        self._encoding = encoding
        self._decoder = None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)()
        self._limits = {"max_input_bytes": max_input_bytes, "max_image_bytes": max_image_bytes}
        self._texts = LargeTexts("inputs", **self._limits)

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes."""
        self._texts.feed(self._as_utf8(piece, final=False))

    def finish(self) -> Request:
        """The request, once everything was fed."""
        self._texts.feed(self._as_utf8(b"", final=True))
        return from_fields(self._texts.finish(), **self._limits, longest=self._texts.longest)

    def _as_utf8(self, piece: bytes, *, final: bool) -> bytes:
        if self._decoder is None:
            return piece
        try:
            return self._decoder.decode(piece, final).encode()
        except UnicodeDecodeError as exc:
            raise InvalidText(f"the request is not valid {self._encoding}") from exc


class Body:
    """The body of an HTTP request as it arrives, small or large. `array` has its texts.

    `feed` and `fields` raise as `request.decode` does, and InvalidText. `longest` bounds the bytes
    of any text, and is None where that was not looked at.
    """

    def __init__(self, array: str, *, max_input_bytes: int) -> None:
        self._array = array
        self._max_input_bytes = max_input_bytes
        self._small = bytearray()
        self._large: LargeTexts | None = None
        self.size = 0

    @property
    def longest(self) -> int | None:
        """Bytes that no text exceeds."""
        return None if self._large is None else self._large.longest

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes."""
        self.size += len(piece)
        if self._large is not None:
            self._large.feed(piece)
            return
        self._small += piece
        if len(self._small) > STREAM_BYTES:
            self._large = LargeTexts(self._array, max_input_bytes=self._max_input_bytes)
            self._large.feed(bytes(self._small))
            self._small.clear()

    def fields(self) -> dict[str, Any]:
        """The fields, once everything was fed."""
        if self._large is not None:
            return self._large.finish()
        if not self._small.lstrip().startswith(b"{"):
            raise NotARequest("the body is not a JSON object")
        return decode(bytes(self._small))
