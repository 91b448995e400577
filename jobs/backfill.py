"""Fills an embedding column: what `rowvec backfill` runs, and `python -m rowvec.jobs.backfill`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import get_args

from rowvec.backfill.crew.crew import Crew, Engine
from rowvec.backfill.crew.line_report import LineReporter
from rowvec.backfill.crew.on_ray import run_on_ray
from rowvec.backfill.crew.private_worker import private_worker
from rowvec.backfill.crew.processes import run_processes
from rowvec.backfill.report import LogReporter, Reporter, Summary
from rowvec.backfill.run import BackfillRequest, backfill
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.job_runner import check_schema, print_result, result_of, run_until_signal


def run(
    settings: Settings, request: BackfillRequest, reporter: Reporter, crew: Crew | None = None
) -> Summary:
    """Runs to the end, or to the batch in hand at SIGINT or SIGTERM; a second one ends at once."""
    crew = crew or Crew()
    check_schema(settings)
    return run_until_signal(lambda stop: _run(settings, request, crew, reporter, stop))


async def _run(
    settings: Settings,
    request: BackfillRequest,
    crew: Crew,
    reporter: Reporter,
    stop: asyncio.Event,
) -> Summary:
    if crew.engine == "ray":
        return await run_on_ray(settings, request, crew, reporter, stop)
    if crew.workers > 1:
        return await run_processes(settings, request, crew, reporter, stop)
    if crew.engine == "local":
        async with private_worker(settings) as worker:
            return await backfill(settings, request, worker=worker, reporter=reporter, stop=stop)
    worker = worker_conninfo(settings)
    return await backfill(settings, request, worker=worker, reporter=reporter, stop=stop)


def main() -> int:
    """Settings from the environment, progress to the log, the summary as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="rowvec.jobs.backfill", description=__doc__)
    parser.add_argument("source", help="table, as written in SQL")
    parser.add_argument("--embedding", help="which one, where the table has several")
    parser.add_argument("--limit", type=int, help="rows at most")
    parser.add_argument("--engine", choices=get_args(Engine), default="worker", help="who computes")
    parser.add_argument(
        "--part-of-crew", action="store_true", help="progress as JSON lines; no VACUUM at the end"
    )
    given = parser.parse_args()
    lines = LineReporter()
    request = BackfillRequest(
        given.source, given.embedding, given.limit, closing=not given.part_of_crew
    )
    reporter = lines if given.part_of_crew else LogReporter()
    summary = result_of(
        lambda: run(Settings.build(), request, reporter, Crew(given.engine)),
        on_error=lines.fail if given.part_of_crew else None,
    )
    if given.part_of_crew:
        lines.end(summary)
    else:
        print_result(summary)
    return 130 if summary.stopped else 0


if __name__ == "__main__":
    sys.exit(main())
