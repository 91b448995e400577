"""Keeps embeddings filled: what `rowvec sync` runs, and `python -m rowvec.jobs.sync`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence

from rowvec.config import Settings
from rowvec.db.connection import connect, resolve_dsn
from rowvec.db.schema import require_head
from rowvec.db.worker_address import worker_conninfo
from rowvec.errors import DatabaseUnavailable, RowvecError
from rowvec.pipeline.sync import Task, sync


def run(settings: Settings, sources: Sequence[str] | None, say: Callable[[str], None]) -> None:
    """Runs until SIGINT or SIGTERM, and the batch in hand is written; a second one ends at once."""
    try:
        with connect(resolve_dsn(settings)) as connection:
            require_head(connection)
    except DatabaseUnavailable as exc:
        say(f"{exc}: waiting for it")

    async def until_signal() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def end_gently() -> None:
            stop.set()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end_gently)
        await sync(Task(settings, sources, lambda: worker_conninfo(settings), say, stop))

    asyncio.run(until_signal())


def main() -> int:
    """Settings from the environment, what happens to the log."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.sync", description=__doc__)
    parser.add_argument("sources", nargs="*", help="tables, as written in SQL; all where none is")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        run(Settings.build(), arguments.sources or None, logging.getLogger("rowvec.sync").info)
    except RowvecError as exc:
        sys.exit(f"error: {exc}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
