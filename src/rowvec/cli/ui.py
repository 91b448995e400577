"""`rowvec ui`: the embeddings of a database in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from rowvec.cli.options import database_dsn, setting
from rowvec.cli.output import stdout
from rowvec.config import Settings, read_secret
from rowvec.db.connection import as_user, embedded_dsn
from rowvec.db.viewer import VIEWER
from rowvec.errors import ConfigError


@click.command()
@setting("ui_listen", "--listen")
@setting("ui_password_file", "--password-file")
@setting("ui_role", "--role")
@setting("ui_role_password_file", "--role-password-file")
@setting("ui_statement_seconds", "--statement-seconds")
@setting("dsn")
@setting("data")
def ui(
    *,
    ui_listen: str | None,
    ui_password_file: Path | None,
    ui_role: str | None,
    ui_role_password_file: Path | None,
    ui_statement_seconds: float | None,
    dsn: str | None,
    data: Path | None,
) -> None:
    r"""See the embeddings of a database in a browser: progress, search, map, recall, failures.

    It only reads, sends no text anywhere but to your own worker, and listens on this machine alone
    unless you give it a password. It does not start as a role that could do more than read: `rowvec
    up` makes one for it, `rowvec viewer` makes one elsewhere.

    \b
    Example:
      rowvec ui
      rowvec ui --listen 0.0.0.0:8467 --password-file ui.password --role lookout
    """
    settings = Settings.build(
        ui_listen=ui_listen,
        ui_password_file=ui_password_file,
        ui_role=ui_role,
        ui_role_password_file=ui_role_password_file,
        ui_statement_seconds=ui_statement_seconds,
        dsn=dsn,
        data=data,
    )
    try:
        from rowvec.ui.serving import serve  # noqa: PLC0415 - an extra, not in every installation
    except ModuleNotFoundError as exc:
        raise ConfigError(
            f"the page needs the package {exc.name}", hint="pip install 'rowvec[ui]'"
        ) from exc
    serve(
        settings,
        _viewers_dsn(settings, database_dsn(settings, dsn=dsn, data=data)),
        ready=lambda url: stdout().print(f"{url}  (Ctrl-C ends it)"),
    )


def _viewers_dsn(settings: Settings, dsn: str) -> str:
    """The DSN with the role that logs in: the one given, or the one that `rowvec up` made."""
    role = settings.ui_role or (VIEWER if dsn == embedded_dsn(settings) else None)
    if role is None:
        return dsn
    file = settings.ui_role_password_file
    return as_user(dsn, role, None if file is None else read_secret(file))
