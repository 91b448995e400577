"""`rowvec sync`: the daemon of rowvec.jobs.sync."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import click

from rowvec.cli.options import setting
from rowvec.config import Settings


@click.command()
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@setting("commit_rows")
@setting("sync_connections")
@setting("image_folder")
@setting("dsn")
@setting("owner_dsn")
@setting("worker")
def sync(*, sources: tuple[str, ...], **given: Any) -> None:
    r"""Keep the embeddings of SOURCE, or of all tables, filled as rows come and change.

    Runs until it is stopped (SIGTERM, Ctrl-C), and then ends after the batch in hand. A new
    embedding is found within seconds, a paused one is left alone. Several share the embeddings, and
    take over from one that died. A worker or a database that is down is waited for. `rowvec up`
    runs one.

    \b
    Example:
      rowvec sync
      rowvec sync reviews 'shop."Order"' --dsn postgresql://me@db.example.com/shop
    """
    settings = Settings.build(**given)
    # By name: jobs/ stands beside src/, and nothing in src/ imports it.
    job = importlib.import_module("rowvec.jobs.sync")
    job.run(settings, sources or None, logging.getLogger("rowvec.sync").info)
