"""Stores related rows: `rowvec similarities`, and `python -m rowvec.jobs.similarities`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from rowvec.config import Settings
from rowvec.job_runner import check_schema, print_result, result_of
from rowvec.progress import LoggedProgress, Progress
from rowvec.search.similarities import (
    SimilaritiesRequest,
    SimilaritiesResult,
    similarities,
)


def run(settings: Settings, request: SimilaritiesRequest, progress: Progress) -> SimilaritiesResult:
    """Brings the table of similar rows up to date; killed, it keeps what was committed."""
    check_schema(settings)
    return asyncio.run(similarities(settings, request, progress))


def main() -> int:
    """Settings from the environment, progress to the log, the result as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.similarities", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("-k", type=int, default=10, help="others of each row")
    parser.add_argument("--embedding", help="which one, where the table has several")
    arguments = parser.parse_args()
    print_result(
        result_of(
            lambda: run(
                Settings.build(),
                SimilaritiesRequest(**vars(arguments)),
                LoggedProgress("similarities"),
            )
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
