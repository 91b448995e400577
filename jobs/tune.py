"""Measures an index: what `rowvec tune` runs, and `python -m rowvec.jobs.tune`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from rowvec.config import Settings
from rowvec.index.index_progress import IndexProgress, LoggedIndexProgress
from rowvec.index.tune import TuneRequest, TuneResult, tune
from rowvec.job_runner import check_schema, print_result, result_of


def run(settings: Settings, request: TuneRequest, reporter: IndexProgress) -> TuneResult:
    """Measures and stores."""
    check_schema(settings)
    return asyncio.run(tune(settings, request, reporter))


def main() -> int:
    """Settings from the environment, progress to the log, the result as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.tune", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("--embedding", help="which one, where the table has several")
    parser.add_argument("--target-recall", type=float, help="recall@10 that search must reach")
    arguments = parser.parse_args()
    print_result(
        result_of(
            lambda: run(Settings.build(), TuneRequest(**vars(arguments)), LoggedIndexProgress())
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
