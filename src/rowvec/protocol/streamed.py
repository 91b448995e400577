"""A large JSON object, read as its bytes arrive, so that no other request waits for parsing.

One member, a list of texts, has the megabytes. Its elements are decoded and checked a piece at a
time; what stands around them is small, and decoded at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import orjson

from rowvec.errors import InvalidRequest, NotARequest, RequestTooLarge, RowvecError
from rowvec.protocol.request import why_not_json

# Larger requests are read so.
STREAM_BYTES = 1 << 20

# What the batcher holds.
_MOST_TEXTS = 1_000_000

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_ELEMENTS = re.compile(rb"(?:\s*+(?:%b|null)\s*+,)*+" % _STRING, re.DOTALL)
_LAST = re.compile(rb"\s*+((?:%b|null)?+)\s*+\]" % _STRING, re.DOTALL)
_DELIMITER = re.compile(rb"\s*+([,\]])")
_CLOSING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
# Cut off by the end of a piece: it may still become an element.
_BEGUN = re.compile(
    rb'\s*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+\\?|%b\s*+|n?u?l?l?\s*+)\Z' % _STRING, re.DOTALL
)
_WHOLE = re.compile(rb"\s*+%b" % _STRING, re.DOTALL)
_TOKEN = re.compile(rb'\s*+(%b|[{}\[\]:,]|[^\s"{}\[\]:,]++(?=[\s"{}\[\]:,]))' % _STRING, re.DOTALL)

_BACKSLASH = ord("\\")

_NOT_JSON = "the request is not valid JSON"


class StreamedObject:
    """Takes pieces with `feed`, and gives the fields with `finish`.

    `array` names the member that is a list of texts, `check` is called with each of its texts and
    their numbers from 1. `max_text_bytes` bounds a text before it is whole, `max_around_bytes` all
    that is not in the list. Raises what `request.decode` does, and RequestTooLarge.
    """

    def __init__(
        self,
        array: str,
        check: Callable[[Any, int], None],
        *,
        max_text_bytes: int,
        max_around_bytes: int,
    ) -> None:
        self._key = orjson.dumps(array)
        self._array = array
        self._check = check
        # A character may be written as six, in \uXXXX.
        self._max_held_bytes = 6 * max_text_bytes + 1024
        self._max_around_bytes = max_around_bytes
        self._texts: list[Any] = []
        self._around = bytearray()
        self._held = bytearray()
        # How far the text that is begun was searched for its end; 0 where none is.
        self._scanned = 0
        self._delimiter_is_due = False
        self._state: Literal["head", "elements", "tail"] = "head"
        self._depth = 0
        self._last_tokens = (b"", b"")

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes."""
        self._held += piece
        try:
            self._take()
        except RowvecError:
            # The error's traceback leads here, and may live longer than megabytes should.
            self._held.clear()
            self._texts.clear()
            raise

    def _take(self) -> None:
        # No bound method is kept as the state: the object and it would keep each other, and the
        # texts, until the collector comes by.
        match self._state:
            case "head":
                self._head()
            case "elements":
                self._elements()
            case "tail":
                self._tail()

    def finish(self) -> dict[str, Any]:
        """The fields, once everything was fed."""
        if self._state == "elements":
            raise NotARequest(_NOT_JSON)
        self._tail()
        around = bytes(self._around)
        if not around.lstrip().startswith(b"{"):
            raise NotARequest("the request is not a JSON object")
        fields = _loads(around)
        if self._state == "tail":
            if fields.get(self._array) != []:
                raise InvalidRequest(f"{self._array} is given twice")
            fields[self._array], self._texts = self._texts, []
        else:
            self._check_all(fields.get(self._array))
        assert isinstance(fields, dict)
        return fields

    def _head(self) -> None:
        """Looks for the list among the members of the object."""
        at = 0
        while found := _TOKEN.match(self._held, at):
            at = found.end()
            token = found[1]
            if token in b"{[":
                if token == b"[" and self._depth == 1 and self._last_tokens == (self._key, b":"):
                    self._keep(at)
                    self._state = "elements"
                    self._elements()
                    return
                self._depth += 1
            elif token in b"}]":
                self._depth -= 1
            self._last_tokens = self._last_tokens[1], token
        self._keep(at)
        self._bound(len(self._held))

    def _elements(self) -> None:
        """Decodes the elements that are whole."""
        if self._scanned and not self._take_long():
            return
        if self._delimiter_is_due and not self._take_delimiter():
            return
        whole = _ELEMENTS.match(self._held)
        assert whole is not None
        end = whole.end()
        if end:
            self._decode(bytes(self._held[: self._held.rindex(b",", 0, end)]))
        if last := _LAST.match(self._held, end):
            if last[1]:
                self._decode(last[1])
            elif self._texts:
                raise NotARequest(_NOT_JSON)
            del self._held[: last.end()]
            self._end_list()
            return
        del self._held[:end]
        self._begin_long()

    def _begin_long(self) -> None:
        """What is held is an element that has not ended, or no text."""
        if not _BEGUN.match(self._held):
            if _WHOLE.match(self._held):
                raise NotARequest(_NOT_JSON)
            raise InvalidRequest("the input is not a text", input_number=len(self._texts) + 1)
        self._scanned = self._held.find(b'"') + 1
        if self._scanned:
            self._look_on()

    def _take_long(self) -> bool:
        """Decodes the text that is begun where its end has come."""
        closing = _CLOSING.match(self._held, self._scanned)
        if closing is None:
            self._look_on()
            return False
        self._decode(bytes(self._held[: closing.end()]))
        del self._held[: closing.end()]
        self._scanned = 0
        self._delimiter_is_due = True
        return True

    def _look_on(self) -> None:
        """What was looked at of a text that is begun is not looked at again."""
        if _CLOSING.match(self._held, self._scanned):
            return
        if len(self._held) > self._max_held_bytes:
            raise RequestTooLarge(
                "the input has more bytes than the worker takes",
                hint="shorten it, or raise the worker's max_input_bytes",
                input_number=len(self._texts) + 1,
            )
        unpaired = end = len(self._held)
        while unpaired > self._scanned and self._held[unpaired - 1] == _BACKSLASH:
            unpaired -= 1
        self._scanned = end - (end - unpaired) % 2

    def _take_delimiter(self) -> bool:
        """Whether another element follows the one that was taken alone."""
        found = _DELIMITER.match(self._held)
        if found is None:
            if self._held.strip():
                raise NotARequest(_NOT_JSON)
            return False
        is_last = found[1] == b"]"
        del self._held[: found.end()]
        self._delimiter_is_due = False
        if is_last:
            self._end_list()
            return False
        return True

    def _end_list(self) -> None:
        self._around += b"]"
        self._state = "tail"
        self._tail()

    def _decode(self, elements: bytes) -> None:
        texts = _loads(b"[" + elements + b"]")
        if len(self._texts) + len(texts) > _MOST_TEXTS:
            raise RequestTooLarge(f"{self._array} has more than {_MOST_TEXTS} elements")
        self._check_all(texts)
        self._texts += texts

    def _check_all(self, texts: object) -> None:
        if isinstance(texts, list):
            for number, text in enumerate(texts, start=len(self._texts) + 1):
                self._check(text, number)

    def _tail(self) -> None:
        """Keeps what comes after the list."""
        self._keep(len(self._held))

    def _keep(self, length: int) -> None:
        self._around += self._held[:length]
        del self._held[:length]
        self._bound(0)

    def _bound(self, more: int) -> None:
        if len(self._around) + more > self._max_around_bytes:
            raise RequestTooLarge(
                f"what stands beside {self._array} has more than {self._max_around_bytes} bytes"
            )


def _loads(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise why_not_json(text) from exc
