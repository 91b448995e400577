"""`rowvec doctor`: what is there, what is missing, and what to run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path

import click
from rich.markup import escape

from rowvec.cli.options import database_dsn, json_flag, setting
from rowvec.cli.output import EXIT_FAILED, print_json, stdout
from rowvec.config import Settings
from rowvec.doctor.finding import Finding
from rowvec.doctor.run import examine

_COLOURS = {"ok": "green", "warning": "yellow", "wrong": "bold red"}


@click.command()
@setting("dsn")
@setting("data")
@json_flag
def doctor(*, dsn: str | None, data: Path | None, as_json: bool) -> None:
    r"""Look at everything that rowvec needs, and say what to run where something is wrong.

    Versions, disk, database, extensions, schemas, roles, worker, TLS, models and embeddings: a line
    each, ok, warning or wrong. It changes nothing. Exits with 1 where something is wrong.

    \b
    Example:
      rowvec doctor
      rowvec doctor --dsn postgresql://me@db.example.com/shop --json
    """
    settings = Settings.build(dsn=dsn, data=data)
    found = []
    for one in examine(settings, database_dsn(settings, dsn=dsn, data=data)):
        found.append(one)
        if not as_json:
            _show(one)
    counts = Counter(one.verdict for one in found)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        stdout().print(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['wrong']} wrong")
    if counts["wrong"]:
        raise click.exceptions.Exit(EXIT_FAILED)


def _show(one: Finding) -> None:
    console = stdout()
    verdict = f"[{_COLOURS[one.verdict]}]{one.verdict:7}[/]"
    console.print(f"{verdict}  [bold]{escape(one.subject)}[/]: {escape(one.says)}")
    if one.run is not None:
        console.print(f"         run: {one.run}", markup=False)
