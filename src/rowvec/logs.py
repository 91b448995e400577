"""How log lines look: for a person, or as JSON for a program.

Neither contains a text of a user: of an exception that is not ours, whose message may quote one,
the type and the place are shown.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from types import TracebackType
from typing import Literal

from typing_extensions import override

from rowvec.errors import RowvecError

Format = Literal["text", "json"]

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure(form: Format, *, level: int) -> None:
    """Sends log lines to stderr in this form; where another program arranged its own, does not."""
    root = logging.getLogger()
    ours = [h for h in root.handlers if isinstance(h.formatter, TextFormatter | JsonFormatter)]
    if root.handlers and not ours:
        return
    for handler in ours:
        root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root.addHandler(handler)
    root.setLevel(level)


# What a client called itself must not look like a line of its own.
_CONTROLS = {n: f"\\x{n:02x}" for n in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}


class TextFormatter(logging.Formatter):
    """One line a record, and below it where an exception came from."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).translate(_CONTROLS)

    @override
    def formatException(self, ei: _ExcInfo) -> str:
        return "" if ei[1] is None else describe(ei[1])


class JsonFormatter(logging.Formatter):
    """One JSON object a record; what a record has in `fields` stands beside its message."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = describe(record.exc_info[1])
        return json.dumps(line)


def describe(error: BaseException) -> str:
    """Types and places of an exception and of what caused it; the words only of our own."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = "" if cause is None else f"{describe(cause)}\nand then\n"
    words = f": {error}" if isinstance(error, RowvecError) else ""
    places = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}{places}{type(error).__name__}{words}"
