"""`rowvec worker`: serves models, or asks a running worker whether it is there."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import click

from rowvec import logs
from rowvec.cli.options import setting
from rowvec.config import Settings
from rowvec.extras import needed_for


@click.command()
@setting("listen")
@setting("models")
@setting("password_file")
@setting("tls_cert_file")
@setting("tls_key_file")
@setting("tls_required")
@setting("http_listen")
@setting("api_key_file")
@setting("http_timeout_seconds")
@setting("max_connections")
@setting("max_requests")
@setting("max_queue_bytes")
@setting("max_request_bytes")
@setting("max_input_bytes")
@setting("max_image_bytes")
@setting("max_image_pixels")
@setting("max_batch_tokens")
@setting("max_batch_seconds")
@setting("cache_bytes")
@setting("threads")
@setting("device")
@setting("memory_budget")
@setting("cache_dir")
@setting("idle_timeout_seconds")
@setting("login_timeout_seconds")
@setting("engine_stall_seconds")
@setting("engine_refuse_seconds")
@setting("shutdown_grace_seconds")
@setting("log_format")
@click.option(
    "--ping", is_flag=True, help="Ask a running worker at --listen; exit 0 if it answers."
)
def worker(*, ping: bool, **given: Any) -> None:
    r"""Serve embedding models to Postgres.

    Without --models, serves all-MiniLM-L6-v2 where its package is installed. SIGTERM finishes what
    was accepted and exits 0.

    \b
    Example:
      rowvec worker --listen 0.0.0.0:5466 --models models.toml --password-file worker.password
      rowvec worker --password-file worker.password --http-listen 127.0.0.1:8466
      rowvec worker --ping --password-file worker.password
    """
    settings = Settings.build(**given)
    if ping:
        asyncio.run(_ping(settings))
        return
    logs.configure(settings.log_format, level=logging.getLogger().level)
    # A client's installation has the command, and not what it needs.
    with needed_for("the worker"):
        from rowvec.worker.server import run  # noqa: PLC0415

    run(settings)


async def _ping(settings: Settings) -> None:
    from rowvec.client import WorkerClient  # noqa: PLC0415  # for a ping alone

    async with await WorkerClient.connect(listen_conninfo(settings)) as client:
        await client.ping()


def listen_conninfo(settings: Settings) -> str:
    """How to reach the worker that these settings would start, from the same machine."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415  # for a ping alone

    password = settings.password().get_secret_value()
    if settings.listen.startswith("/"):
        host, port = settings.listen, "5466"
    else:
        host, _, port = settings.listen.rpartition(":")
        host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
    return make_conninfo(host=host, port=port, user="rowvec", password=password, dbname="rowvec")
