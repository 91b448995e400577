"""`rowvec ui`: the embeddings of a database in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from rowvec.cli.options import database_dsn, setting
from rowvec.cli.output import stdout
from rowvec.config import Settings
from rowvec.errors import ConfigError


@click.command()
@setting("ui_listen", "--listen")
@setting("ui_password_file", "--password-file")
@setting("ui_role", "--role")
@setting("dsn")
@setting("data")
def ui(
    *,
    ui_listen: str | None,
    ui_password_file: Path | None,
    ui_role: str | None,
    dsn: str | None,
    data: Path | None,
) -> None:
    r"""See the embeddings of a database in a browser: progress, search, map, recall, failures.

    It only reads, sends no text anywhere but to your own worker, and listens on this machine alone
    unless you give it a password.

    \b
    Example:
      rowvec ui
      rowvec ui --listen 0.0.0.0:8467 --password-file ui.password --role rowvec_viewer
    """
    settings = Settings.build(
        ui_listen=ui_listen, ui_password_file=ui_password_file, ui_role=ui_role, dsn=dsn, data=data
    )
    try:
        from rowvec.ui.serving import serve  # noqa: PLC0415 - an extra, not in every installation
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"the page needs the package {exc.name}", hint="pip install 'rowvec[ui]'"
        ) from exc
    serve(
        settings,
        database_dsn(settings, dsn=dsn, data=data),
        ready=lambda url: stdout().print(f"{url}  (Ctrl-C ends it)"),
    )
