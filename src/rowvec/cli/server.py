"""`rowvec server`: where the database finds its worker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psycopg

from rowvec.cli.options import database_dsn, json_flag, setting
from rowvec.cli.output import print_json, print_table, stderr, stdout
from rowvec.config import Settings, read_secret
from rowvec.db import rotation
from rowvec.db.schema import connect_migrated
from rowvec.db.server import ping as ask_worker
from rowvec.db.server import set_worker, worker_options
from rowvec.embedded.worker_process import Worker
from rowvec.errors import ConfigError

# The libpq of older servers knows no load_balance_hosts.
_BALANCES_FROM = 160000

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@click.group()
def server() -> None:
    r"""Tell the database where its worker is.

    The database connects to the worker, so the address is as seen from the database's machine.

    \b
    Example:
      rowvec server set --host worker.example.com --port 5466 --password-file worker.password
      rowvec server ping
    """


@server.command(name="set")
@setting("dsn")
@setting("data")
@click.option("--host", help="Host name, several with commas, or the folder of a unix socket.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; 5466 for a unix socket.")
@setting("password_file")
@click.option("--dbname", help="A name that the worker ignores and its log does not.")
@click.option(
    "--load-balance-hosts",
    type=click.Choice(("random", "disable")),
    help="Of several hosts: one at random, which is the default from Postgres 16 on, or always the"
    " first that answers.",
)
@click.option("--sslmode", type=click.Choice(_SSL_MODES), help="How TLS is used.")
@click.option("--sslrootcert", help="Certificate authority, a path on the database's machine.")
@json_flag
def set_(
    *,
    dsn: str | None,
    data: Path | None,
    password_file: Path | None,
    as_json: bool,
    **options: str | int | None,
) -> None:
    r"""Change where the worker is, or its password.

    Several hosts are replicas with the same models and password: each new connection takes one at
    random, and the next where that does not answer. A job takes them in turn.

    What is not given stays as it is. Sessions that are connected to a worker notice when they next
    have to connect. Postgres is asked not to log the password, where you may ask that.

    \b
    Example:
      rowvec server set --host 10.0.0.7 --password-file worker.password --sslmode verify-full
      rowvec server set --host worker1,worker2,worker3
    """
    settings = Settings.build(dsn=dsn, data=data, password_file=password_file)
    given = {name: str(value) for name, value in options.items() if value is not None}
    password = read_secret(settings.password_file) if settings.password_file else None
    if not given and password is None:
        raise ConfigError(
            "nothing to set", hint="give --host, --port, --password-file or another option"
        )
    with _connect(dsn, data) as conn:
        if "," in given.get("host", "") and conn.info.server_version >= _BALANCES_FROM:
            given.setdefault("load_balance_hosts", "random")
        change = set_worker(conn, given, password)
        now = worker_options(conn)
    _warn_of_log(change.quiet)
    if as_json:
        print_json({"changed": change.made, "options": now})
    else:
        stdout().print("Changed." if change.made else "Nothing to change.", _sentence(now))


@server.command(name="rotate")
@setting("dsn")
@setting("data")
@setting("password_file")
@click.option(
    "--keep-old", is_flag=True, help="Let the worker accept the old password, too, from now on."
)
@click.option(
    "--forget-old", is_flag=True, help="Only end that: the first password of the file stays."
)
@json_flag
def rotate_(
    *,
    dsn: str | None,
    data: Path | None,
    password_file: Path | None,
    keep_old: bool,
    forget_old: bool,
    as_json: bool,
) -> None:
    r"""Change the password between the database and its worker, with no call refused.

    Run it where the worker's password file is: a new password becomes its first line, the worker
    accepts both, the database tries the new one and keeps it, the old one is removed. Without
    --password-file, the file of `rowvec up`.

    Where several databases share the worker: --keep-old in the first, `rowvec server set
    --password-file` in the others, then --forget-old.

    \b
    Example:
      rowvec server rotate --password-file worker.password
    """
    settings = Settings.build(dsn=dsn, data=data, password_file=password_file)
    file = settings.password_file or Worker(settings.data).password_file
    if forget_old:
        before = rotation.forget_old(file)
        result, said = {"accepted": 1, "before": before}, "The first password alone is accepted."
    else:
        with _connect(dsn, data) as conn:
            done = rotation.rotate(conn, file, keep_old=keep_old)
        _warn_of_log(not done.may_be_logged)
        result = {"accepted": done.accepted, "may_be_logged": done.may_be_logged}
        said = f"Changed; the worker accepts {done.accepted} of the passwords in {file}."
    if as_json:
        print_json(result)
    else:
        stdout().print(said)


@server.command()
@setting("dsn")
@setting("data")
@json_flag
def show(*, dsn: str | None, data: Path | None, as_json: bool) -> None:
    r"""Show where the database looks for its worker; the password is not shown.

    \b
    Example:
      rowvec server show --json
    """
    with _connect(dsn, data) as conn:
        options = worker_options(conn)
    if as_json:
        print_json(options)
    else:
        print_table(["option", "value"], [[name, options[name]] for name in sorted(options)])


@server.command()
@setting("dsn")
@setting("data")
@json_flag
def ping(*, dsn: str | None, data: Path | None, as_json: bool) -> None:
    r"""Let the database call its worker, and say how long that takes.

    The way of every embed() in SQL: from the database, with its password. Exits with 1 and says why
    where it does not get through.

    \b
    Example:
      rowvec server ping
    """
    with _connect(dsn, data) as conn:
        ask_worker(conn)
        # The first call connects, and every later one of a session finds the line there.
        start = time.perf_counter()
        ask_worker(conn)
        milliseconds = (time.perf_counter() - start) * 1000
        options = worker_options(conn)
    if as_json:
        print_json({"milliseconds": round(milliseconds, 3), "options": options})
    else:
        stdout().print(f"The worker answers in {milliseconds:.1f} ms.", _sentence(options))


@contextmanager
def _connect(dsn: str | None, data: Path | None) -> Iterator[psycopg.Connection]:
    settings = Settings.build(dsn=dsn, data=data)
    where = database_dsn(settings, dsn=dsn, data=data)
    with connect_migrated(where, "rowvec server") as conn:
        yield conn


def _warn_of_log(quiet: bool) -> None:  # noqa: FBT001  # the one thing that it is about
    if not quiet:
        stderr().print(
            "Postgres may have logged the password: this user may not turn log_statement off.",
            "See https://github.com/rowvec/rowvec/blob/main/docs/security.md",
        )


def _sentence(options: dict[str, str]) -> str:
    return f"The database looks for it at {options.get('host')}, port {options.get('port')}."
