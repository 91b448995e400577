"""The process that reads one dataset: `python -m rowvec.worker.dataset_reader`.

The listener starts it for a load and ends it after. The first line of its input says what to read;
each further one (`bytes rows`) asks for a page. An answer is its length, a status and, line by
line, rows; or an error.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import struct
import sys
from pathlib import Path
from typing import IO, Any

import orjson

from rowvec.datasets.files import find_files
from rowvec.datasets.listing import DatasetSpec
from rowvec.datasets.rows import open_dataset
from rowvec.errors import ModelError, RowvecError
from rowvec.rows.columns import header, row

LENGTH = struct.Struct("<Q")
OK, FAILED = b"+", b"-"


def main() -> None:
    """Answers until its input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # What a library prints must not stand between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    asked = orjson.loads(sys.stdin.buffer.readline())
    pages: _Pages | None = None
    for line in sys.stdin.buffer:
        max_bytes, max_rows = map(int, line.split())
        try:
            pages = pages or _Pages(asked)
            _write(answers, OK, b"\n".join(pages.next(max_bytes, max_rows)))
        except RowvecError as exc:
            _fail(answers, exc)
            return
        except Exception as exc:  # noqa: BLE001  # the top of a process
            # The words of other people's exceptions may quote the data.
            name = asked["spec"]["name"]
            _fail(answers, ModelError(f"cannot read the dataset {name!r}: {type(exc).__name__}"))
            return


class _Pages:
    """An open dataset, page after page; the first begins with the columns."""

    def __init__(self, asked: dict[str, Any]) -> None:
        spec = asked["spec"]
        path = None if spec["path"] is None else Path(spec["path"])
        found = find_files(DatasetSpec(**{**spec, "path": path}), asked["subset"], asked["split"])
        offset = asked["offset"]
        columns, values = open_dataset(found, offset=offset, limit=asked["limit"])
        numbered = enumerate(values, start=offset + 1)
        self._rows = (row(columns, each, number) for number, each in numbered)
        self._first = [] if offset else [header(columns)]

    def next(self, max_bytes: int, max_rows: int) -> list[bytes]:
        """Rows up to a number, or until they have a number of bytes."""
        page, self._first = self._first, []
        size = 0
        for each in itertools.islice(self._rows, max_rows):
            page.append(each)
            size += len(each)
            if size >= max_bytes:
                break
        return page


def _fail(answers: IO[bytes], error: RowvecError) -> None:
    said = {"sqlstate": error.sqlstate, "message": str(error), "hint": error.hint}
    _write(answers, FAILED, orjson.dumps(said))


def _write(answers: IO[bytes], status: bytes, text: bytes) -> None:
    answers.write(LENGTH.pack(len(text)) + status + text)
    answers.flush()


if __name__ == "__main__":
    main()
