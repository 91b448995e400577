"""`rowvec viewer`: a role that may look and not write, for `rowvec ui`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from rowvec.cli.options import database_dsn, setting
from rowvec.cli.output import stdout
from rowvec.config import Settings, read_secret
from rowvec.db.schema import connect_migrated
from rowvec.db.viewer import make_viewer
from rowvec.errors import ConfigError


@click.command()
@click.argument("name")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@setting("ui_role_password_file", "--role-password-file")
@setting("dsn")
@setting("data")
def viewer(
    *,
    name: str,
    sources: tuple[str, ...],
    ui_role_password_file: Path | None,
    dsn: str | None,
    data: Path | None,
) -> None:
    r"""Make a role that may search SOURCE and change nothing, for `rowvec ui` to log in as.

    It may read each SOURCE and what was made from it (without any, every table that has an
    embedding), and the failures of jobs. Run again, it may read more. Where the role could do more
    than read, nothing is changed. Run it as the owner of the database.

    The password goes into --role-password-file, which is made where it is not there. Without it the
    server has to know the role in another way, such as by peer.

    \b
    Example:
      rowvec viewer lookout reviews --role-password-file lookout.password
      rowvec ui --role lookout --role-password-file lookout.password
    """
    settings = Settings.build(dsn=dsn, data=data, ui_role_password_file=ui_role_password_file)
    file = settings.ui_role_password_file
    with connect_migrated(
        database_dsn(settings, dsn=dsn, data=data), "rowvec viewer"
    ) as connection:
        if file is not None and not file.exists():
            _write_password(file)
        password = None if file is None else read_secret(file)
        tables = make_viewer(connection, name, sources, password)
    stdout().print(f"{name} may read: {', '.join(tables) or 'no table yet'}", markup=False)


def _write_password(file: Path) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise ConfigError(f"cannot make {file}: {exc.strerror}") from exc
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{secrets.token_urlsafe(24)}\n")
