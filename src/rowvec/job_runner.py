"""What the jobs share: the check of the schema, a gentle end at a signal, and their `main`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson

from rowvec.config import Settings
from rowvec.db.connection import connect, resolve_dsn
from rowvec.db.schema import require_head
from rowvec.errors import RowvecError

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def check_schema(settings: Settings) -> None:
    """Raises SchemaError unless the database is at the revision that this release needs."""
    with connect(resolve_dsn(settings)) as connection:
        require_head(connection)


def run_until_signal(job: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """Runs the job; the first SIGINT or SIGTERM sets its event, a second one ends it at once."""

    async def watched() -> T:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def end_gently() -> None:
            stop.set()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

        for number in _SIGNALS:
            loop.add_signal_handler(number, end_gently)
        return await job(stop)

    return asyncio.run(watched())


def log_progress() -> None:
    """Sends what a job says to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")


def result_of(run: Callable[[], T], on_error: Callable[[RowvecError], None] | None = None) -> T:
    """What the job gives; its error ends the process with 1 and a sentence."""
    log_progress()
    try:
        return run()
    except RowvecError as exc:
        if on_error is not None:
            on_error(exc)
        sys.exit(f"error: {exc}")


def print_result(result: object) -> None:
    """One line of JSON on stdout."""
    sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE))
