"""`rowvec backfill`: the job of rowvec.jobs, with a bar and a summary."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any, get_args

import click

from rowvec.backfill.crew.crew import Crew, Engine
from rowvec.backfill.report import LogReporter, Summary
from rowvec.backfill.run import BackfillRequest
from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr
from rowvec.cli.progress import BackfillBar
from rowvec.config import Settings

_INTERRUPTED = 130


def _job(name: str) -> Any:
    # By name: jobs/ stands beside src/, and nothing in src/ imports it.
    return importlib.import_module(f"rowvec.jobs.{name}")


@click.command()
@click.argument("source")
@embedding_option
@setting("commit_rows")
@click.option("--limit", type=click.IntRange(min=1), metavar="ROWS", help="Embed at most so many.")
@setting("image_folder")
@setting("max_rows_per_second")
@click.option(
    "--engine",
    type=click.Choice(get_args(Engine)),
    default="worker",
    show_default=True,
    help="Who computes: the database's worker, a copy of the model beside each job (local), or"
    " such jobs on a Ray cluster (ray).",
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, help="Jobs at once.")
@click.option("--gpus-per-worker", type=click.FloatRange(0), default=0, help="With Ray.")
@click.option("--address", help="Of the Ray cluster [default: one on this machine, for the run].")
@setting("lease_seconds")
@setting("dsn")
@setting("owner_dsn")
@setting("worker")
@setting("models")
@setting("worker_wait_seconds")
@json_flag
def backfill(
    *,
    source: str,
    embedding: str | None,
    limit: int | None,
    engine: Engine,
    workers: int,
    gpus_per_worker: float,
    address: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    r"""Embed all pending rows of SOURCE, a table's name as written in SQL.

    Commits as it goes and continues where it was stopped; several at once share the work. A row
    that the model refuses is set aside in rowvec.failure until its text changes.

    Exit codes: 0 all pending rows are done or set aside (--json tells which), 1 it had to stop,
    2 usage, 3 run `rowvec migrate` first, 130 interrupted after the batch in hand.

    \b
    Example:
      rowvec backfill reviews
      rowvec backfill 'shop."Order"' --embedding by_title --commit-rows 100
      rowvec backfill reviews --engine ray --workers 8 --address 10.0.0.5:6379
    """
    if engine != "ray" and (address or gpus_per_worker):
        raise click.UsageError("--address and --gpus-per-worker go with --engine ray")
    settings = Settings.build(**given)
    request = BackfillRequest(source, embedding, limit)
    crew = Crew(engine, workers, gpus_per_worker, address)
    bar = BackfillBar(source) if stderr().is_terminal else None
    with bar or nullcontext():
        summary: Summary = _job("backfill").run(settings, request, bar or LogReporter(), crew)
    if as_json:
        print_json(asdict(summary) | {"rows_per_second": round(summary.rows_per_second, 1)})
    else:
        _tell(summary)
    if summary.stopped:
        raise click.exceptions.Exit(_INTERRUPTED)


def _tell(summary: Summary) -> None:
    """What a person wants to know at the end, on stderr: there is nothing to pipe on."""
    console = stderr()
    verb = "Interrupted" if summary.stopped else "Done"
    left = "an unknown number" if summary.pending is None else f"{_rows(summary.pending)} still"
    console.print(
        f"{verb}: {_rows(summary.written)} embedded in {summary.seconds:.1f} s "
        f"({summary.rows_per_second:,.0f} rows/s), {left} pending"
    )
    for count, what in (
        (summary.by_sync, "were in the hands of a sync, which wrote them first"),
        (summary.cleared, "without a text any more, vector removed"),
        (summary.kept, "kept the vectors that they had when the embedding was declared"),
        (summary.changed, "changed or deleted meanwhile, left as they are"),
        (summary.truncated, "longer than the model reads, their ends are not embedded"),
        (summary.failed, "refused and set aside, see rowvec.failure"),
    ):
        if count:
            console.print(f"{_rows(count)} {what}")
    if summary.failures:
        print_table(
            ["key", "SQLSTATE", "reason"],
            [[f.key, f.sqlstate, f.message] for f in summary.failures[:10]],
        )


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"
