"""`rowvec viewer`: a role that may look and not write, for `rowvec ui`."""

from __future__ import annotations

from pathlib import Path

import click

from rowvec.cli.options import database_dsn, json_flag, setting
from rowvec.cli.output import print_json, stdout
from rowvec.cli.role_password import role_password
from rowvec.config import Settings
from rowvec.db.schema import connect_migrated
from rowvec.db.viewer import make_viewer


@click.command()
@click.argument("name")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@setting("ui_role_password_file", "--role-password-file")
@setting("dsn")
@setting("data")
@json_flag
def viewer(
    *,
    name: str,
    sources: tuple[str, ...],
    ui_role_password_file: Path | None,
    dsn: str | None,
    data: Path | None,
    as_json: bool,
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
        tables = make_viewer(connection, name, sources, role_password(file))
    if as_json:
        print_json({"role": name, "tables": tables})
    else:
        stdout().print(f"{name} may read: {', '.join(tables) or 'no table yet'}", markup=False)
