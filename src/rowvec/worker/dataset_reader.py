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
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from rowvec.errors import ModelError, RowvecError
from rowvec.models.dataset_columns import header, row
from rowvec.models.dataset_files import find_files
from rowvec.models.dataset_listing import DatasetSpec
from rowvec.models.dataset_rows import open_dataset

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
    pages = _pages(asked)
    for line in sys.stdin.buffer:
        max_bytes, max_rows = map(int, line.split())
        try:
            next(pages)
            page = pages.send((max_bytes, max_rows))
            _write(answers, OK, b"\n".join(page))
        except RowvecError as exc:
            _fail(answers, exc)
            return
        except Exception as exc:  # noqa: BLE001  # the top of a process
            # The words of other people's exceptions may quote the data.
            name = asked["spec"]["name"]
            _fail(answers, ModelError(f"cannot read the dataset {name!r}: {type(exc).__name__}"))
            return


def _pages(asked: dict[str, Any]) -> Iterator[Any]:
    """Takes the bounds of a page, gives its rows; the first begins with the columns."""
    spec = asked["spec"]
    path = None if spec["path"] is None else Path(spec["path"])
    found = find_files(DatasetSpec(**{**spec, "path": path}), asked["subset"], asked["split"])
    columns, values = open_dataset(found, offset=asked["offset"], limit=asked["limit"])
    numbered = zip(itertools.count(asked["offset"] + 1), values, strict=False)
    rows = (row(columns, each, number) for number, each in numbered)
    first = [header(columns)] if not asked["offset"] else []
    while True:
        max_bytes, max_rows = yield
        page, size = first, 0
        for each in itertools.islice(rows, max_rows):
            page.append(each)
            size += len(each)
            if size >= max_bytes:
                break
        first = []
        yield page


def _fail(answers: IO[bytes], error: RowvecError) -> None:
    said = {"sqlstate": error.sqlstate, "message": str(error), "hint": error.hint}
    _write(answers, FAILED, orjson.dumps(said))


def _write(answers: IO[bytes], status: bytes, text: bytes) -> None:
    answers.write(LENGTH.pack(len(text)) + status + text)
    answers.flush()


if __name__ == "__main__":
    main()
