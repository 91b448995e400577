"""`rowvec map`: a picture of all rows, near where their meanings are."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, stderr
from rowvec.cli.progress import PhaseBar
from rowvec.config import Settings
from rowvec.explore.map.points import MAX_POINTS
from rowvec.explore.map.run import MapRequest, MapResult
from rowvec.progress import LoggedProgress


@click.command("map")
@click.argument("source")
@embedding_option
@click.option(
    "--method",
    type=click.Choice(["pca", "umap"]),
    default="pca",
    help="pca: principal components, in seconds. umap: shows groups better, takes minutes, needs"
    " the extra umap.  [default: pca]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    default=Path("map.html"),
    help="map.html, which a browser opens, or map.png  [default: map.html]",
)
@click.option(
    "--color",
    "colors",
    multiple=True,
    metavar="COLUMN",
    help="Colour by a column, may be repeated; clusters colour it too, if `rowvec cluster` ran.",
)
@click.option(
    "--points",
    type=click.IntRange(3, MAX_POINTS),
    default=MAX_POINTS,
    help=f"Show at most so many rows, a sample beyond  [default: {MAX_POINTS:,}]",
)
@setting("dsn")
@json_flag
def map(*, as_json: bool, dsn: str | None, **given: Any) -> None:  # noqa: A001 - the command's name
    r"""Draw the rows of SOURCE in the plane: similar ones lie near each other.

    The page is one file that asks no other host for anything: hover to read a row, click for
    similar ones, search, colour by column or cluster. All places are stored in SOURCE_map.

    \b
    Example:
      rowvec map reviews
      rowvec map reviews --color stars --output map.png
    """
    settings = Settings.build(dsn=dsn)
    bar = PhaseBar("rows") if stderr().is_terminal else None
    with bar or nullcontext():
        job = importlib.import_module("rowvec.jobs.map")
        result: MapResult = job.run(settings, MapRequest(**given), bar or LoggedProgress("map"))
    if as_json:
        print_json(asdict(result))
    else:
        stderr().print(
            f"{result.rows:,} rows are placed in {result.table}; {result.output} shows"
            f" {'all' if result.shown == result.rows else f'{result.shown:,}'} of them."
        )
