"""Rows of CSV and TSV. A broken record is named by its line, and the ones behind it are found."""

from __future__ import annotations

import csv
import itertools
from collections import deque
from collections.abc import Iterator
from typing import IO

from rowvec.errors import BadRow
from rowvec.rows.columns import unique
from rowvec.rows.reading import MAX_ROW_BYTES, OnBad, Place, Rows, lines, refuse, too_long

_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_csv(
    stream: IO[bytes],
    place: Place,
    *,
    separator: str = ",",
    encoding: str = "utf-8",
    pad: bool = False,
    on_bad: OnBad = refuse,
) -> Rows:
    """The records below the header; an empty cell is None.

    A record with more cells than the header is bad, and one with fewer, unless `pad` lets the
    missing ones be None.
    """
    records = _Records(stream, place, separator, encoding, on_bad)
    header = records.header()
    names = list(unique(header))
    for line, cells in records:
        if not cells:
            continue
        if len(cells) != len(names) and not (pad and len(cells) < len(names)):
            records.give_back_all_but_first()
            place.number = line
            on_bad(BadRow(f"{place} has {len(cells)} cells, its header {len(names)}"))
            continue
        place.number = line
        padded = itertools.chain(cells, itertools.repeat(""))
        yield {key: cell or None for key, cell in zip(names, padded, strict=False)}


class _Records:
    """Records with the number of their first line.

    The lines of a record are kept until it is known to be good. An open quote swallows all lines up
    to the next one: only the first of them was bad, the others are read again.
    """

    def __init__(
        self, stream: IO[bytes], place: Place, separator: str, encoding: str, on_bad: OnBad
    ) -> None:
        start = stream.read(2) if not hasattr(stream, "peek") else stream.peek(2)[:2]
        if start in _BYTE_ORDER_MARKS:
            raise BadRow(
                f"{place.name} is {_BYTE_ORDER_MARKS[start]}, which is not read",
                hint="convert it: iconv -f UTF-16 -t UTF-8",
            )
        self._place, self._name = place, place.name
        self._separator = separator
        self._on_bad = on_bad
        self._source = self._decoded(stream, encoding)
        self._again: deque[tuple[int, str]] = deque()
        self._record: list[tuple[int, str]] = []
        self._size = 0
        self._reader = self._new_reader()

    def header(self) -> list[str]:
        """The names of the columns; raises BadRow where the first line is none."""
        try:
            return next(self._reader, [])
        except csv.Error as exc:
            raise BadRow(f"the header of {self._name} is not valid CSV: {exc}") from exc

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            self._record.clear()
            self._size = 0
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except _TooLong:
                line = self._record[0][0]
                self.give_back_all_but_first()
                self._on_bad(too_long(f"the record from line {line} of {self._name} on"))
                continue
            except csv.Error as exc:
                line = self._record[0][0]
                self.give_back_all_but_first()
                self._on_bad(BadRow(f"line {line} of {self._name} is not valid CSV: {exc}"))
                continue
            yield self._record[0][0], cells

    def give_back_all_but_first(self) -> None:
        """The record is bad: what follows its first line will be read again."""
        self._again.extendleft(reversed(self._record[1:]))
        self._reader = self._new_reader()

    def _new_reader(self) -> Iterator[list[str]]:
        csv.field_size_limit(MAX_ROW_BYTES)
        return csv.reader(self._lines(), delimiter=self._separator, strict=True)

    def _lines(self) -> Iterator[str]:
        while True:
            if self._again:
                numbered = self._again.popleft()
            else:
                found = next(self._source, None)
                if found is None:
                    return
                numbered = found
            self._record.append(numbered)
            self._size += len(numbered[1])
            if self._size > MAX_ROW_BYTES:
                raise _TooLong
            yield numbered[1]

    def _decoded(self, stream: IO[bytes], encoding: str) -> Iterator[tuple[int, str]]:
        first_encoding = "utf-8-sig" if encoding in ("utf-8", "utf8") else encoding
        for number, line in lines(stream, self._place, self._on_bad):
            try:
                yield number, line.decode(encoding if number > 1 else first_encoding)
            except UnicodeDecodeError:
                self._on_bad(
                    BadRow(
                        f"line {number} of {self._name} is not valid {encoding}",
                        hint="say which encoding it is, for example --encoding cp1252",
                    )
                )


class _TooLong(Exception):
    """A record beyond the limit: most likely a quote that is never closed."""
