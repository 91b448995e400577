"""`rowvec up`, `rowvec down`, `rowvec psql`: a Postgres and a worker on this machine."""

from __future__ import annotations

import os
import shutil
from dataclasses import asdict
from pathlib import Path

import click

from rowvec.cli.options import database_dsn, json_flag, setting
from rowvec.cli.output import print_json, stderr
from rowvec.config import Settings
from rowvec.embedded.instance import Instance
from rowvec.embedded.postgres import PostgresCluster
from rowvec.errors import ConfigError


@click.command()
@setting("data")
@setting("sync", "--sync/--no-sync")
@json_flag
def up(*, data: Path | None, sync: bool | None, as_json: bool) -> None:
    r"""Start an embedded Postgres and a worker, and print the database's DSN.

    Creates what is missing below --data, starts what does not run, migrates. The DSN alone is the
    last line on stdout; everything else goes to stderr. Run again, it changes nothing. A worker
    with a changed models.toml is restarted. A `rowvec sync` keeps embeddings filled, unless
    --no-sync.

    \b
    Example:
      rowvec up
      psql "$(rowvec up)"
      rowvec up --data ./here
    """
    settings = Settings.build(data=data, sync=sync)
    instance = Instance.of(settings)
    instance.up(_say, sync=settings.sync)
    if as_json:
        print_json(asdict(instance.state()))
    else:
        click.echo(instance.dsn)


@click.command()
@setting("data")
@json_flag
def down(*, data: Path | None, as_json: bool) -> None:
    r"""Stop what `rowvec up` started; the data stays.

    The sync, the worker, and Postgres.

    \b
    Example:
      rowvec down
      rowvec down --data ./here
    """
    instance = Instance.of(Settings.build(data=data))
    has_run = instance.down(_say)
    if as_json:
        print_json({"stopped": has_run})
    elif not has_run:
        _say(f"Nothing runs in {instance.root}")


@click.command(context_settings={"ignore_unknown_options": True})
@setting("dsn")
@setting("data")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(dsn: str | None, data: Path | None, arguments: tuple[str, ...]) -> None:
    r"""Open psql on the database.

    That of --dsn, else of the PG* variables, else of `rowvec up`. Arguments after -- are psql's
    own. With --data the database of `rowvec up` there is meant, whatever the environment says.

    \b
    Example:
      rowvec psql
      rowvec psql -- -c 'SELECT * FROM rowvec.status'
    """
    settings = Settings.build(dsn=dsn, data=data)
    target = database_dsn(settings, dsn=dsn, data=data)
    program = _psql(settings)
    os.execv(program, [program, *([target] if target else []), *arguments])  # noqa: S606


def _psql(settings: Settings) -> str:
    """The psql of PATH, which edits lines and remembers them, else the embedded one."""
    found = shutil.which("psql")
    if found is not None:
        return found
    try:
        return str(PostgresCluster(settings.data).binary("psql"))
    except ConfigError as exc:
        raise ConfigError(
            "psql is not installed", hint="apt install postgresql-client, or any other psql"
        ) from exc


def _say(message: str) -> None:
    stderr().print(message, markup=False)
