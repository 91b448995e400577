"""`rowvec embed`: vectors of a few texts, files or images, from the worker."""

from __future__ import annotations

import asyncio
import base64
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import numpy.typing as npt
import orjson

from rowvec.cli.options import json_flag, setting
from rowvec.client import WorkerClient
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.errors import ConfigError

Format = Literal["json", "base64", "hex", "vector"]
_Vector = npt.NDArray[np.float32]

# Texts of one request: enough for full batches, little to wait for in a pipe.
_TEXTS_AT_ONCE = 64

_WRITE: dict[Format, Callable[[_Vector], Any]] = {
    "json": lambda vector: vector,
    "base64": lambda vector: base64.b64encode(vector.astype("<f4").tobytes()).decode(),
    "hex": lambda vector: vector.astype("<f4").tobytes().hex(),
    "vector": lambda vector: f"'{_json(vector).decode()}'::vector({len(vector)})",
}


@click.command()
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option("-m", "--model", required=True, help="Name of a model that the worker serves.")
@click.option(
    "--input-type",
    type=click.Choice(["query", "document"]),
    help="Put the model's own prefix for queries or documents before each text.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(_WRITE)),
    default="json",
    help="json: numbers; base64, hex: float32, little-endian; vector: a literal for SQL"
    "  [default: json]",
)
@click.option("--files", nargs=2, metavar="DIR GLOB", help="Embed the content of text files.")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Embed a JPEG, PNG, WebP or GIF file; may be repeated.",
)
@setting("worker")
@setting("dsn")
@setting("data")
@json_flag
def embed(
    *,
    texts: tuple[str, ...],
    model: str,
    input_type: str | None,
    format_: Format,
    files: tuple[str, str] | None,
    images: tuple[Path, ...],
    as_json: bool,
    **given: Any,
) -> None:
    r"""Print the vector of each TEXT, one line each, as pgvector reads it.

    Without TEXT, each line of stdin is one. With --json, a line is an object that has the text, or
    the path, beside the vector.

    \b
    Example:
      rowvec embed -m all-MiniLM-L6-v2 'Hello world'
      rowvec embed -m all-MiniLM-L6-v2 --files docs '**/*.md' --json
      cut -f 2 reviews.tsv | rowvec embed -m all-MiniLM-L6-v2 --json
    """
    if sum(map(bool, (texts, files, images))) > 1:
        raise ConfigError("give one of TEXT, --files and --image")
    kwargs = {} if input_type is None else {"input_type": input_type}
    write = _WRITE[format_]

    def show(name: str, label: str, vector: _Vector) -> None:
        row = {name: label, "embedding": write(vector)} if as_json else write(vector)
        sys.stdout.buffer.write((row.encode() if isinstance(row, str) else _json(row)) + b"\n")

    conninfo = worker_conninfo(Settings.build(**given))
    if images:
        asyncio.run(_embed_images(conninfo, model, images, kwargs, show))
    else:
        asyncio.run(_embed(conninfo, model, _inputs(texts, files), kwargs, show))


_Show = Callable[[str, str, _Vector], None]


def _inputs(
    texts: tuple[str, ...], files: tuple[str, str] | None
) -> Iterator[tuple[str, str, str]]:
    """What each text is called (`text` or `path`), its label, and the text itself."""
    if files is not None:
        from rowvec.load.text_files import text_files  # noqa: PLC0415
        from rowvec.rows.reading import refuse  # noqa: PLC0415

        for row in text_files(Path(files[0]).expanduser(), files[1]).rows(refuse):
            yield "path", row["path"], row["content"]
        return
    if not texts and sys.stdin.isatty():
        raise ConfigError("no text to embed", hint="give TEXT, or pipe lines in")
    for text in texts or (line.rstrip("\r\n") for line in sys.stdin):
        yield "text", text, text


async def _embed(
    conninfo: str,
    model: str,
    inputs: Iterator[tuple[str, str, str]],
    kwargs: dict[str, Any],
    show: _Show,
) -> None:
    async with await WorkerClient.connect(conninfo) as client:
        while batch := list(itertools.islice(inputs, _TEXTS_AT_ONCE)):
            texts = [text for _, _, text in batch]
            answer = await client.embed(model, texts, kwargs, priority="interactive")
            for (name, label, _), vector in zip(batch, answer.vectors, strict=True):
                show(name, label, vector)
            sys.stdout.buffer.flush()


async def _embed_images(
    conninfo: str, model: str, images: tuple[Path, ...], kwargs: dict[str, Any], show: _Show
) -> None:
    async with await WorkerClient.connect(conninfo) as client:
        for image in images:
            answer = await client.embed_images(model, [image.read_bytes()], kwargs)
            show("path", str(image), answer.vectors[0])


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
