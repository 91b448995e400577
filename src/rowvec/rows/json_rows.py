"""Objects of JSON as rows: one a line, one array, or one after the other over several lines."""

from __future__ import annotations

import codecs
import io
import json
import secrets
from collections.abc import Iterator
from typing import IO, Any

from rowvec.errors import BadRow
from rowvec.rows.exact_json import decoder, loads
from rowvec.rows.reading import (
    MAX_ROW_BYTES,
    Batch,
    OnBad,
    Place,
    Row,
    Rows,
    line_blocks,
    refuse,
    too_long,
)  # fmt: skip

_CHUNK_BYTES = 1 << 18
_SPACE = " \t\r\n"

# Errors that more text could fix. "Expecting ..." is one too, at the very end.
_UNFINISHED = ("Unterminated string", "Invalid \\escape", "Invalid \\uXXXX escape")
_NEAR_THE_END = 16


def read_json(stream: io.BufferedReader, place: Place, *, on_bad: OnBad = refuse) -> Rows:
    """The objects, whichever of the three forms their beginning shows.

    An array, and objects that are spread over lines, are read piece by piece too; but behind a
    broken value in them nothing can be told apart, so that one is an error whatever `on_bad` does.
    """
    return _each(json_batches(stream, place, on_bad=on_bad), place)


def json_batches(
    stream: io.BufferedReader, place: Place, *, on_bad: OnBad = refuse
) -> Iterator[Batch]:
    """The same, many at once where they are lines."""
    line = _to_first_value(stream)
    # Looked at, not read: an array may be one line of any length.
    start = stream.peek(1)
    if start[:1] == b"[" or start.partition(b"\n")[0].strip() == b"{":
        objects = _objects(_values(_chunks(stream), place, line), place, on_bad)
        return (((place.number,), [row], place.size) for row in objects)
    return _batches(line_blocks(stream, place, on_bad, first=line), place, on_bad)


def _to_first_value(stream: io.BufferedReader) -> int:
    """Passes over a byte order mark and empty lines; the number of the line that follows."""
    if stream.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
    line = 1
    while (following := stream.peek(1)[:1]) and following in b" \t\r\n":
        line += stream.read(1) == b"\n"
    return line


def read_ndjson(stream: io.BufferedReader, place: Place, *, on_bad: OnBad = refuse) -> Rows:
    """The objects of newline-delimited JSON, empty lines left out."""
    return _each(ndjson_batches(stream, place, on_bad=on_bad), place)


def ndjson_batches(
    stream: io.BufferedReader, place: Place, *, on_bad: OnBad = refuse
) -> Iterator[Batch]:
    """The same, many at once."""
    return _batches(line_blocks(stream, place, on_bad), place, on_bad)


def _each(batches: Iterator[Batch], place: Place) -> Rows:
    for numbers, rows, size in batches:
        place.size = size // len(rows)
        for place.number, row in zip(numbers, rows, strict=True):  # who reports a row reads it
            yield row


def _batches(blocks: Iterator[tuple[int, bytes]], place: Place, on_bad: OnBad) -> Iterator[Batch]:
    """Each block parsed in one call, or line by line where a line is anything but one object."""
    for first, block in blocks:
        rows = _rows_of(block)
        if rows is not None:
            yield range(first, first + len(rows)), rows, len(block)
            continue
        for place.number, line in enumerate(io.BytesIO(block), start=first):
            row = _row_of(line, place, on_bad)
            if row is not None:
                yield (place.number,), [row], len(line)


_TOGETHER_BYTES = 1 << 20

# Stands between the lines of a block while it is parsed, so that values which begin on one line and
# end on another, or share one, cannot pass for one value a line: no file knows it.
_BETWEEN = secrets.randbits(63)
_SEPARATOR = b",%d," % _BETWEEN


def _rows_of(block: bytes) -> list[Row] | None:
    """The lines' objects; None where a line is not exactly one."""
    if len(block) > _TOGETHER_BYTES:  # parsed as it stands, without copies of it
        return None
    lines = block.removesuffix(b"\n")
    try:
        values = loads(b"[" + lines.replace(b"\n", _SEPARATOR) + b"]")
    except (ValueError, RecursionError, BadRow):
        return None
    rows = values[::2]
    between = lines.count(b"\n")
    if len(values) != 2 * between + 1 or values.count(_BETWEEN) != between:
        return None
    return rows if set(map(type, rows)) == {dict} else None


def _row_of(line: bytes, place: Place, on_bad: OnBad) -> Row | None:
    try:
        value = loads(line if place.number > 1 else line.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError) as exc:
        if not line.isspace():
            # The parser's own words may quote the line, its place may not.
            column = f" (column {exc.colno})" if isinstance(exc, json.JSONDecodeError) else ""
            on_bad(BadRow(f"{place} is not valid JSON{column}"))
        return None
    except BadRow as exc:
        on_bad(BadRow(f"{place} {exc}"))
        return None
    if type(value) is dict:
        return value
    on_bad(BadRow(f"{place} is no JSON object"))
    return None


def _objects(values: Iterator[Any], place: Place, on_bad: OnBad) -> Iterator[Row]:
    for value in values:
        if isinstance(value, dict):
            yield value
        else:
            on_bad(BadRow(f"the value on {place} is no JSON object"))


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


class _Text:
    """The text that was read and not yet parsed; grows by chunks, forgets what is done."""

    def __init__(self, chunks: Iterator[bytes], place: Place, line: int) -> None:
        self._chunks = chunks
        self._decode = codecs.getincrementaldecoder("utf-8")()
        self.place = place
        self.text = ""
        self.at = 0
        self.ended = False
        self._line, self._counted = line, 0

    def seek(self, characters: str) -> str:
        """Moves behind these characters, and gives the one that follows; none at the end."""
        while True:
            text, at = self.text, self.at
            while at < len(text) and text[at] in characters:
                at += 1
            self.at = at
            if at < len(text) or self.ended:
                return text[at : at + 1]
            self.grow(_CHUNK_BYTES)

    def grow(self, size: int) -> None:
        """Forgets what was parsed, and reads this many characters more, or to the end."""
        self.line()
        pieces = [self.text[self.at :]]
        self.at = self._counted = 0
        while size > 0 and not self.ended:
            chunk = next(self._chunks, b"")
            self.ended = not chunk
            try:
                piece = self._decode.decode(chunk, final=self.ended)
            except UnicodeDecodeError as exc:
                raise BadRow(
                    f"{self.place.name} is not valid UTF-8, after line {self._line}"
                ) from exc
            pieces.append(piece)
            size -= len(piece)
        self.text = "".join(pieces)

    def line(self) -> int:
        """The number of the line that is being parsed."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line


def _values(chunks: Iterator[bytes], place: Place, line: int) -> Iterator[Any]:
    """The elements of an array, or the values that stand one after the other."""
    source = _Text(chunks, place, line)
    is_array = source.seek(_SPACE) == "["
    source.at += is_array
    while following := source.seek(_SPACE + "," if is_array else _SPACE):
        if is_array and following == "]":
            return
        yield _value(source)
    if is_array:
        raise BadRow(f"the array in {place.name} has no end: the file is cut off")


def _value(source: _Text) -> Any:
    place = source.place
    place.number = source.line()
    while True:
        try:
            value, end = decoder.raw_decode(source.text, source.at)
        except BadRow as exc:
            raise BadRow(f"the value on {place} {exc}") from exc
        except (ValueError, RecursionError) as exc:
            where = f"the value on {place}"
            if source.ended or not _may_be_cut(exc, len(source.text)):
                raise BadRow(f"{where} is not valid JSON") from exc
            if len(source.text) - source.at > MAX_ROW_BYTES:
                raise too_long(where) from exc
        else:
            # A number at the very end may have more digits.
            if end < len(source.text) or source.ended:
                place.size = end - source.at
                source.at = end
                return value
        # Doubled each time, so that a long value is parsed few times over.
        source.grow(max(_CHUNK_BYTES, len(source.text) - source.at))


def _may_be_cut(exc: Exception, length: int) -> bool:
    if not isinstance(exc, json.JSONDecodeError):
        return False
    return exc.msg.startswith(_UNFINISHED) or exc.pos >= length - _NEAR_THE_END
