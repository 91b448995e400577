"""`rowvec models`: what the worker serves."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from rowvec.cli.options import json_flag, setting
from rowvec.cli.output import print_json, print_table
from rowvec.client import WorkerClient
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo

_COLUMNS = ["name", "kind", "dimensions", "max_tokens", "query_prompt", "document_prompt",
            "revision", "loaded", "requests", "texts"]  # fmt: skip


@click.command()
@setting("worker")
@setting("dsn")
@setting("data")
@json_flag
def models(*, as_json: bool, **given: Any) -> None:
    r"""List the models that the worker serves.

    The worker is found by --worker, else by the server entry of the database.

    \b
    Example:
      rowvec models
      rowvec models --worker 'host=127.0.0.1 port=5466 user=rowvec passfile=/path/.pgpass' --json
    """
    served = asyncio.run(_models(worker_conninfo(Settings.build(**given))))
    if as_json:
        print_json(served)
    else:
        print_table(_COLUMNS, [[model[column] for column in _COLUMNS] for model in served])


async def _models(conninfo: str) -> list[dict[str, Any]]:
    async with await WorkerClient.connect(conninfo) as client:
        return await client.models()
