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

_COLUMNS = {
    "name": "model", "kind": "kind", "dimensions": "dims", "max_tokens": "tokens",
    "query_prompt": "query prompt", "document_prompt": "document prompt", "revision": "revision",
    "loaded": "loaded",
}  # fmt: skip


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
        # A terminal is 80 columns wide: what no model has is left out.
        shown = [key for key in _COLUMNS if any(model[key] is not None for model in served)]
        print_table(
            [_COLUMNS[key] for key in shown], [[model[key] for key in shown] for model in served]
        )


async def _models(conninfo: str) -> list[dict[str, Any]]:
    async with await WorkerClient.connect(conninfo) as client:
        return await client.models()
