"""`rowvec runner`: a role for jobs, which has no rights of its own."""

from __future__ import annotations

from pathlib import Path

import click

from rowvec.cli.options import database_dsn, json_flag, setting
from rowvec.cli.output import print_json, stdout
from rowvec.cli.role_password import role_password
from rowvec.config import Settings
from rowvec.db.connection import connect
from rowvec.db.runner import make_runner
from rowvec.db.schema import require_head


@click.command()
@click.argument("name")
@click.option(
    "--role-password-file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the password of that role; made where it is not there.",
)
@setting("dsn")
@setting("data")
@json_flag
def runner(
    *, name: str, file: Path | None, dsn: str | None, data: Path | None, as_json: bool
) -> None:
    r"""Make a role that sync and backfill may log in as, and that has no right on any table.

    It may call the functions by which jobs read and write a table as its owner. What only an owner
    may, building the index on pending rows and VACUUM, jobs do with --owner-dsn. Run it as the
    owner of the database.

    \b
    Example:
      rowvec runner jobs --role-password-file jobs.password
      rowvec sync --dsn postgresql://jobs@db.example.com/shop \
          --owner-dsn postgresql://me@db.example.com/shop
    """
    settings = Settings.build(dsn=dsn, data=data)
    with connect(
        database_dsn(settings, dsn=dsn, data=data), application_name="rowvec runner"
    ) as connection:
        require_head(connection)
        make_runner(connection, name, role_password(file))
    if as_json:
        print_json({"role": name})
    else:
        stdout().print(f"{name} may run jobs", markup=False)
