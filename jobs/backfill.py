"""Fills an embedding column: what `rowvec backfill` runs, and `python -m rowvec.jobs.backfill`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

import orjson

from rowvec.config import Settings
from rowvec.db.connection import connect, resolve_dsn
from rowvec.db.schema import require_head
from rowvec.db.worker_address import worker_conninfo
from rowvec.errors import RowvecError
from rowvec.pipeline.backfill import Request, backfill
from rowvec.pipeline.report import LogReporter, Reporter, Summary


def run(settings: Settings, request: Request, reporter: Reporter) -> Summary:
    """Runs to the end, or to the batch in hand at SIGINT or SIGTERM; a second one ends at once."""
    with connect(resolve_dsn(settings)) as connection:
        require_head(connection)
    worker = worker_conninfo(settings)

    async def until_signal() -> Summary:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def end_gently() -> None:
            stop.set()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end_gently)
        return await backfill(settings, request, worker=worker, reporter=reporter, stop=stop)

    return asyncio.run(until_signal())


def main() -> int:
    """Settings from the environment, progress to the log, the summary as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.backfill", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("--embedding", help="which one, where the table has several")
    parser.add_argument("--limit", type=int, help="rows at most")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        summary = run(Settings.build(), Request(**vars(arguments)), LogReporter())
    except RowvecError as exc:
        sys.exit(f"error: {exc}")
    sys.stdout.buffer.write(orjson.dumps(summary, option=orjson.OPT_APPEND_NEWLINE))
    return 130 if summary.stopped else 0


if __name__ == "__main__":
    sys.exit(main())
