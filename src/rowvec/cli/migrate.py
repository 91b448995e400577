"""`rowvec migrate` and `rowvec uninstall`: rowvec in a database, and out of it again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from psycopg.conninfo import conninfo_to_dict

from rowvec.cli.options import database_dsn, json_flag, setting
from rowvec.cli.output import print_json, stderr, stdout, working
from rowvec.config import Settings
from rowvec.db import schema
from rowvec.db import uninstall as removal
from rowvec.db.connection import database_errors
from rowvec.errors import ConfigError


@click.command()
@setting("dsn")
@setting("data")
@click.option("--bootstrap-sql", is_flag=True, help="Print what a superuser runs once, and exit.")
@click.option("--owner", help="Who will migrate, for --bootstrap-sql; else the user of the DSN.")
@click.option("--search-path", is_flag=True, help="Put rowvec on the database's search_path.")
@click.option(
    "--with",
    "extras",
    type=click.Choice(["pgml"]),
    multiple=True,
    help="Also install PostgresML's functions, in the schema pgml; later runs keep them current.",
)
@json_flag
def migrate(
    *,
    dsn: str | None,
    data: Path | None,
    bootstrap_sql: bool,
    owner: str | None,
    search_path: bool,
    extras: tuple[str, ...],
    as_json: bool,
) -> None:
    r"""Bring a database to what this release needs.

    Creates or upgrades the schema rowvec: catalog, functions, the entry of the worker, the roles
    rowvec_user and rowvec_caller. Run again, or by two at once, it changes nothing more. A
    superuser needs nothing else; the owner of a database lets a superuser run the output of
    --bootstrap-sql first.

    \b
    Example:
      rowvec migrate --bootstrap-sql --owner me | psql -U postgres shop
      rowvec migrate --dsn postgresql://me@db.example.com/shop
    """
    settings = Settings.build(dsn=dsn, data=data)
    target = database_dsn(settings, dsn=dsn, data=data)
    if bootstrap_sql:
        click.echo(schema.bootstrap_sql(owner or _user(target)), nl=False)
        return
    with working("migrating"):
        done = schema.migrate(target, search_path=search_path, with_pgml="pgml" in extras)
    if as_json:
        print_json(asdict(done))
    elif done.before == done.after and not done.applied:
        stdout().print(f"Nothing to do: revision {done.after}, all functions are current.")
    else:
        came = f"from revision {done.before} " if done.before else ""
        stdout().print(
            f"Migrated {came}to revision {done.after}, {len(done.applied)} files of SQL applied."
        )


@click.command()
@setting("dsn")
@setting("data")
@click.option("--drop-columns", is_flag=True, help="Drop the columns with the vectors as well.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_flag
def uninstall(
    *, dsn: str | None, data: Path | None, drop_columns: bool, yes: bool, as_json: bool
) -> None:
    r"""Remove rowvec from a database.

    Lists what goes and asks. The vectors and their indexes stay unless --drop-columns. dblink and
    the roles go only where nothing else needs them, in this database or another of the cluster.

    \b
    Example:
      rowvec uninstall --dsn postgresql://me@db.example.com/shop
      rowvec uninstall --yes --drop-columns
    """
    settings = Settings.build(dsn=dsn, data=data)
    target = database_dsn(settings, dsn=dsn, data=data)
    if not yes:
        _list("This goes:", "This stays:", removal.plan(target, drop_columns=drop_columns))
        click.confirm("Remove rowvec from this database?", abort=True, err=True)
    with working("removing rowvec"):
        done = removal.uninstall(target, drop_columns=drop_columns)
    if as_json:
        print_json(asdict(done))
    else:
        _list("Removed:", "Left:", done)


def _user(dsn: str) -> str:
    """The user that a DSN names."""
    with database_errors():
        user = conninfo_to_dict(dsn).get("user")
    if not user:
        raise ConfigError("the DSN names no user", hint="say who will migrate: --owner NAME")
    return str(user)


def _list(goes: str, stays: str, items: removal.Removal) -> None:
    """What goes and what stays, to stderr: a question may follow."""
    for title, phrases in ((goes, items.goes), (stays, items.stays)):
        if phrases:
            stderr().print(title)
        for phrase in phrases:
            stderr().print(f"  {phrase}", markup=False)
