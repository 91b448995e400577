"""Stores related rows: `rowvec similarities`, and `python -m rowvec.jobs.similarities`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

import orjson

from rowvec.config import Settings
from rowvec.db.connection import connect, resolve_dsn
from rowvec.db.schema import require_head
from rowvec.errors import RowvecError
from rowvec.search.report import LogReporter
from rowvec.search.similarities import (
    Progress,
    SimilaritiesRequest,
    SimilaritiesResult,
    similarities,
)


def run(settings: Settings, request: SimilaritiesRequest, progress: Progress) -> SimilaritiesResult:
    """Brings the table of similar rows up to date; killed, it keeps what was committed."""
    with connect(resolve_dsn(settings)) as connection:
        require_head(connection)
    return asyncio.run(similarities(settings, request, progress))


def main() -> int:
    """Settings from the environment, progress to the log, the result as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.similarities", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("-k", type=int, default=10, help="others of each row")
    parser.add_argument("--embedding", help="which one, where the table has several")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        result = run(Settings.build(), SimilaritiesRequest(**vars(arguments)), LogReporter())
    except RowvecError as exc:
        sys.exit(f"error: {exc}")
    sys.stdout.buffer.write(orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
