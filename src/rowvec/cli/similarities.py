"""`rowvec similarities`: each row's nearest others, stored and kept up to date, with a bar."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import click

from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, stderr
from rowvec.cli.progress import PhaseBar
from rowvec.config import Settings
from rowvec.progress import LoggedProgress
from rowvec.search.similarities import SimilaritiesRequest, SimilaritiesResult


@click.command()
@click.argument("source")
@click.option(
    "-k", type=click.IntRange(1, 1000), default=10, help="Others of each row  [default: 10]"
)
@embedding_option
@setting("dsn")
@json_flag
def similarities(*, as_json: bool, dsn: str | None, **given: Any) -> None:
    r"""Store the K nearest others of every row of SOURCE in the table SOURCE_similar.

    Its columns: the key, the other row's key with other_ before each name, rank, score (the larger
    the nearer). Run it again after changes: only what they affect is compared. Commits as it
    goes, and continues where it was stopped. A deleted row's entries are deleted with it.

    \b
    Example:
      rowvec similarities articles -k 5
      SELECT other_id, score FROM articles_similar WHERE id = 42 ORDER BY rank;
    """
    settings = Settings.build(dsn=dsn)
    bar = PhaseBar("rows") if stderr().is_terminal else None
    with bar or nullcontext():
        job = importlib.import_module("rowvec.jobs.similarities")
        result: SimilaritiesResult = job.run(
            settings, SimilaritiesRequest(**given), bar or LoggedProgress("similarities")
        )
    if as_json:
        print_json(asdict(result) | {"rows_per_second": round(result.rows_per_second, 1)})
        return
    stderr().print(
        f"Done: {result.changed:,} of {result.rows:,} rows were new or changed; "
        f"{result.compared:,} compared with all others in {result.seconds:.1f} s "
        f"({result.rows_per_second:,.0f} rows/s), {result.entered:,} others got a new neighbour. "
        f"They are in {result.table}."
    )
