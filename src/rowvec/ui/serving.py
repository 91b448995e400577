"""Runs the application until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from rowvec.addresses import is_loopback, split_address
from rowvec.config import Settings, read_secret
from rowvec.errors import ConfigError
from rowvec.ui.app import application
from rowvec.ui.database import Database

_SHUTDOWN_SECONDS = 5


def serve(settings: Settings, dsn: str, *, ready: Callable[[str], None]) -> None:
    """Serves the pages at `ui_listen` until SIGINT or SIGTERM; tells `ready` the URL.

    Raises ConfigError where the address cannot be had, or reaches beyond this machine without
    a password, or where the role of the DSN could do more than read; DatabaseError where the
    database cannot be reached.
    """
    host, port = split_address(settings.ui_listen)
    file = settings.ui_password_file
    password = None if file is None else read_secret(file)
    if password is None and not is_loopback(host):
        raise ConfigError(
            f"{host} reaches beyond this machine, and the page shows your rows",
            hint="give --password-file, or listen on 127.0.0.1",
        )
    database = Database(dsn, statement_seconds=settings.ui_statement_seconds)
    database.check()
    with _listen(host, port) as listening:
        bound, number = listening.getsockname()[:2]
        shown = f"[{bound}]" if ":" in bound else bound
        ready(f"http://{shown}:{number}/")
        config = uvicorn.Config(
            application(database, settings, password),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as exc:
        raise ConfigError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc
