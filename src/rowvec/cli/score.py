"""`rowvec score`: the sentences of a text, each coloured by its place between two poles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import click
import numpy as np
from rich.text import Text

from rowvec.cli.options import json_flag, setting
from rowvec.cli.output import print_json, stderr, stdout, working
from rowvec.client import WorkerClient
from rowvec.config import Settings
from rowvec.db.worker_address import worker_conninfo
from rowvec.errors import InvalidRequest
from rowvec.explore.score.axis import Axis, Matrix
from rowvec.explore.score.colours import mixed, strengths
from rowvec.explore.score.page import page
from rowvec.explore.score.sentences import Sentence, sentences, words
from rowvec.models.listing import MINILM

_BATCH = 256
_LIGHT, _INK = (250, 250, 248), "#1c2024"


@click.command()
@click.option(
    "--between",
    nargs=2,
    required=True,
    metavar="WORDS WORDS",
    help="The two poles, each some words, or whole sentences in lines of their own.",
)
@click.argument("file", type=click.File(encoding="utf-8"), default="-")
@click.option("-m", "--model", default=MINILM, help=f"A model of the worker  [default: {MINILM}]")
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write a page instead.",
)
@setting("worker")
@setting("dsn")
@setting("data")
@json_flag
def score(
    *,
    between: tuple[str, str],
    file: TextIO,
    model: str,
    html_file: Path | None,
    as_json: bool,
    **given: Any,
) -> None:
    r"""Colour each sentence of FILE (or of stdin) by its place between two poles.

    The poles are at -1 and 1: each is the mean of its words. Most sentences are far from both; the
    strongest of the text has the full colour.

    \b
    Example:
      rowvec score --between 'stone water hand bread' 'idea truth theory virtue' essay.txt
      rowvec score --between 'sad bitter' 'merry bright' --html letters.html letters.txt
    """
    try:
        text = file.read()
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{file.name} is not a text in UTF-8") from exc
    found = sentences(text)
    poles = [words(pole) for pole in between]
    if not found or not all(poles):
        raise InvalidRequest("there is no sentence to score, or a pole without words")
    texts = [*poles[0], *poles[1], *(one.text for one in found)]
    conninfo = worker_conninfo(Settings.build(**given))
    with working(f"embedding {len(found):,} sentences"):
        vectors = asyncio.run(_embed(conninfo, model, texts))
    first, second, rest = np.split(vectors, [len(poles[0]), len(poles[0]) + len(poles[1])])
    scores = Axis(first, second).scores(rest).tolist()
    if as_json:
        for one, value in zip(found, scores, strict=True):
            print_json({"score": round(value, 4), "sentence": one.text})
    elif html_file is not None:
        html_file.write_text(page(found, scores, between, Path(file.name).name), encoding="utf-8")
        stderr().print(f"{html_file} has {len(found):,} sentences", markup=False)
    else:
        _print(found, scores, between)


async def _embed(conninfo: str, model: str, texts: Sequence[str]) -> Matrix:
    found = []
    async with await WorkerClient.connect(conninfo) as client:
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            found.append((await client.embed(model, batch, {}, priority="interactive")).vectors)
    return np.concatenate(found)


def _print(found: Sequence[Sentence], scores: Sequence[float], poles: tuple[str, str]) -> None:
    """A line a sentence: the number says without colours what the ground says with them."""
    console = stdout()
    for name, strength in ((poles[0], -1.0), (poles[1], 1.0)):
        console.print(Text(f"{strength:+.0f}  ").append(f" {' '.join(name.split())} ",
                                                       style=_style(strength)))  # fmt: skip
    console.print()
    for one, value, strength in zip(found, scores, strengths(scores), strict=True):
        line = Text(f"{value:+.2f}  ", style="dim")
        line.append(" ".join(one.text.split()), style=_style(strength))
        console.print(line)


def _style(strength: float) -> str:
    """24 bits of colour; rich turns them into the nearest that the terminal has."""
    red, green, blue = mixed(strength, _LIGHT)
    return f"{_INK} on rgb({red},{green},{blue})"
