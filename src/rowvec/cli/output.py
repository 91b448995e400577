"""What a person sees: results to stdout, everything else to stderr, errors as one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import orjson
from rich.box import HEAVY_HEAD, Box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rowvec.errors import ConfigError, RowvecError, SchemaError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SCHEMA = 3


# Where no terminal has a width of its own: a name in a pipe is not cut in two.
_PIPE_WIDTH = 240


def stdout() -> Console:
    """The console for results."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(highlight=False, soft_wrap=True, width=width)


def stderr() -> Console:
    """The console for progress and messages."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def fail(error: RowvecError) -> int:
    """Prints the error as a sentence and its hint, and gives the exit code."""
    console = stderr()
    console.print(f"[bold red]error:[/] {escape(str(error))}")
    if error.hint:
        console.print(f"[dim]hint:[/] {escape(error.hint)}")
    if isinstance(error, SchemaError):
        return EXIT_SCHEMA
    return EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED


@contextmanager
def working(what: str) -> Iterator[None]:
    """Says on a terminal what is being done while the block runs, where no bar can tell how far."""
    console = stderr()
    with console.status(escape(what)) if console.is_terminal else nullcontext():
        yield


def print_json(value: object) -> None:
    """One JSON document on stdout, one line."""
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    sys.stdout.buffer.write(orjson.dumps(value, default=str, option=options))
    sys.stdout.buffer.flush()


def frame(box: Box) -> dict[str, Any]:
    """The options of a table that has this frame on a terminal, and none in a pipe."""
    return {"box": box} if sys.stdout.isatty() else {"box": None, "pad_edge": False}


def print_table(columns: list[str], rows: list[list[Any]], *, title: str | None = None) -> None:
    """A table on stdout; in a pipe, columns of plain text."""
    table = Table(title=title, title_justify="left", **frame(HEAVY_HEAD))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if v is None else escape(str(v)) for v in row))
    stdout().print(table)
