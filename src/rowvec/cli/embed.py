"""`rowvec embed`: vectors of a few texts, from the worker."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import orjson

from rowvec.cli.options import json_flag, setting
from rowvec.client import WorkerClient
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.errors import ConfigError


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("-m", "--model", required=True, help="Name of a model that the worker serves.")
@click.option(
    "--input-type",
    type=click.Choice(["query", "document"]),
    help="Put the model's own prefix for queries or documents before each text.",
)
@setting("worker")
@setting("dsn")
@setting("data")
@json_flag
def embed(
    *, texts: tuple[str, ...], model: str, input_type: str | None, as_json: bool, **given: Any
) -> None:
    r"""Print the vector of each TEXT, one line each, as pgvector reads it.

    Without TEXT, each line of stdin is one.

    \b
    Example:
      rowvec embed -m all-MiniLM-L6-v2 'Hello world'
      cut -f 2 reviews.tsv | rowvec embed -m all-MiniLM-L6-v2 --json
    """
    inputs = list(texts) or _lines()
    kwargs = {} if input_type is None else {"input_type": input_type}
    conninfo = worker_conninfo(Settings.build(**given))
    vectors = asyncio.run(_embed(conninfo, model, inputs, kwargs))
    for text, vector in zip(inputs, vectors, strict=True):
        row: Any = {"text": text, "embedding": vector} if as_json else vector
        option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        sys.stdout.buffer.write(orjson.dumps(row, option=option))
    sys.stdout.buffer.flush()


def _lines() -> list[str]:
    if sys.stdin.isatty():
        raise ConfigError("no text to embed", hint="give TEXT, or pipe lines in")
    return [line.rstrip("\r\n") for line in sys.stdin]


async def _embed(
    conninfo: str, model: str, inputs: Sequence[str], kwargs: dict[str, Any]
) -> npt.NDArray[np.float32]:
    async with await WorkerClient.connect(conninfo) as client:
        answer = await client.embed(model, inputs, kwargs, priority="interactive")
    return answer.vectors
