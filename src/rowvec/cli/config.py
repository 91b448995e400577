"""`rowvec config`: every setting, its value, and where the value came from."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape

from rowvec.cli.options import json_flag
from rowvec.cli.output import print_json, stdout
from rowvec.config import PREFIX, Settings
from rowvec.db.connection import without_password


@click.command()
@json_flag
def config(*, as_json: bool) -> None:
    r"""Show every setting, its value, and where it came from.

    Each under the variable that sets it. Passwords are never shown: they come from files, and one
    within a DSN is left out.

    \b
    Example:
      rowvec config
      ROWVEC_COMMIT_ROWS=100 rowvec config --json
    """
    settings = Settings.build()
    found = [_describe(settings, name) for name in Settings.model_fields]
    if as_json:
        print_json(found)
        return
    console = stdout()
    for one in found:
        value = "" if one["value"] is None else one["value"]
        console.print(
            f"[bold]{one['variable']}[/] = {escape(str(value))}  [dim]({one['source']})[/]"
        )
        console.print(f"    {escape(one['description'])}", style="dim")


def _describe(settings: Settings, name: str) -> dict[str, Any]:
    value = getattr(settings, name)
    if name in {"dsn", "worker"} and value is not None:
        value = without_password(value)
    return {
        "name": name,
        "value": value,
        "source": "environment" if name in settings.model_fields_set else "default",
        "variable": f"{PREFIX}{name.upper()}",
        "description": Settings.model_fields[name].description,
    }
