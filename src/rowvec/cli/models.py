"""`rowvec models`: what the worker serves, and the commands that change the list it reads."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from rowvec.cli.model_archive import pack, unpack
from rowvec.cli.model_list import add, pull, remove, verify
from rowvec.cli.model_test import test
from rowvec.cli.options import json_flag, setting
from rowvec.cli.output import print_json, print_table
from rowvec.client import ServedModel, WorkerClient
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.models.description import NO_LIMIT

_COLUMNS = {
    "name": "model", "kind": "kind", "dimensions": "dims", "max_tokens": "tokens",
    "query_prompt": "query prompt", "document_prompt": "document prompt", "revision": "revision",
    "loaded": "loaded", "backend": "backend",
}  # fmt: skip

# As git shortens a commit; --json has all of it.
_REVISION_DIGITS = 12


@click.group(invoke_without_command=True)
@setting("worker")
@setting("dsn")
@setting("data")
@json_flag
@click.pass_context
def models(context: click.Context, /, **given: Any) -> None:
    r"""List the models that the worker serves, or change which may be loaded.

    The worker is found by --worker, else by the server entry of the database. A change of the list
    is seen by a worker when it starts.

    \b
    Example:
      rowvec models
      rowvec models add my-model --path /models/my-model --models models.toml
    """
    if context.invoked_subcommand is None:
        _show(**given)


@models.command("list")
@setting("worker")
@setting("dsn")
@setting("data")
@json_flag
def list_(**given: Any) -> None:
    r"""List the models that the worker serves.

    As `rowvec models` alone does. What is in memory, since when and how much, says the SQL
    function rowvec.models(), and --json here.

    \b
    Example:
      rowvec models list --json
      rowvec models list --worker 'host=127.0.0.1 port=5466 user=rowvec passfile=/path/.pgpass'
    """
    _show(**given)


for _command in (add, pull, verify, remove, test, pack, unpack):
    models.add_command(_command)


def _show(*, as_json: bool, **given: Any) -> None:
    served = asyncio.run(_models(worker_conninfo(Settings.build(**given))))
    if as_json:
        print_json(served)
    else:
        # A terminal is 80 columns wide: what no model has is left out.
        rows = [_shown(dict(model)) for model in served]
        shown = [key for key in _COLUMNS if any(row[key] is not None for row in rows)]
        print_table([_COLUMNS[key] for key in shown], [[row[key] for key in shown] for row in rows])


def _shown(model: dict[str, Any]) -> dict[str, Any]:
    if model["max_tokens"] == NO_LIMIT:
        model["max_tokens"] = "no limit"
    if model["revision"] is not None:
        model["revision"] = model["revision"][:_REVISION_DIGITS]
    return model | {"loaded": "yes" if model["loaded"] else "no"}


async def _models(conninfo: str) -> list[ServedModel]:
    async with await WorkerClient.connect(conninfo) as client:
        return await client.models()
