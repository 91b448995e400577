"""`rowvec cluster`: groups of rows by meaning, with a bar and a table of what was found."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import click

from rowvec.cli.chat_options import chat_model, chat_options
from rowvec.cli.options import embedding_option, json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr
from rowvec.cli.progress import PhaseBar
from rowvec.config import Settings
from rowvec.explore.cluster.naming import Naming
from rowvec.explore.cluster.run import ClusterRequest, ClusterResult
from rowvec.progress import LoggedProgress

_SHOWN_CHARACTERS = 80


@click.command()
@click.argument("source")
@click.argument("clusters", metavar="N", type=click.IntRange(min=2))
@embedding_option
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Another start  [default: 0]")
@click.option("--summary", is_flag=True, help="Have a language model name and describe each.")
@chat_options
@setting("dsn")
@json_flag
def cluster(
    *,
    source: str,
    clusters: int,
    embedding: str | None,
    seed: int,
    summary: bool,
    as_json: bool,
    dsn: str | None,
    **model: Any,
) -> None:
    r"""Sort the rows of SOURCE into N groups of similar meaning (k-means), and name each.

    Stores each row's cluster in the table SOURCE_cluster and each cluster's name and centroid in
    SOURCE_centroid; another run replaces both.

    \b
    Example:
      rowvec cluster reviews 20
      rowvec cluster reviews 20 --json | jq '.clusters[].name'
      rowvec cluster reviews 20 --summary --endpoint http://localhost:11434/v1 --model llama3.2
    """
    settings = Settings.build(dsn=dsn)
    chat = chat_model(**model)
    if summary != (chat is not None):
        raise click.UsageError("--summary goes with --endpoint and --model, or with --local")
    naming = None if chat is None else Naming(chat)
    request = ClusterRequest(source, clusters, embedding, seed)
    bar = PhaseBar("rows") if stderr().is_terminal else None
    with bar or nullcontext():
        job = importlib.import_module("rowvec.jobs.cluster")
        result: ClusterResult = job.run(settings, request, bar or LoggedProgress("cluster"), naming)
    if as_json:
        print_json(asdict(result))
    else:
        _tell(result)


def _tell(result: ClusterResult) -> None:
    print_table(
        ["cluster", "rows", "name", "most central row"],
        [
            [one.cluster, f"{one.rows:,}", one.name, _short(one.central[0].text)]
            for one in result.clusters
        ],
        title=f"{result.source}: {result.rows:,} rows in {len(result.clusters)} clusters",
    )
    stderr().print(
        f"Each row's cluster is in {result.table}, the clusters are in {result.centroids}."
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
