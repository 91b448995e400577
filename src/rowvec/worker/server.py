"""The worker's main process: puts the parts together, runs them, and stops them in order."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import signal
import ssl

from rowvec.config import Settings
from rowvec.errors import ConfigError, ShuttingDown
from rowvec.models.listing import Listing, read_listing
from rowvec.protocol.scram import Verifier
from rowvec.worker.admission import Admission
from rowvec.worker.cache import VectorCache
from rowvec.worker.engine_client import EngineClient
from rowvec.worker.listener import Listener, split_address
from rowvec.worker.service import Service
from rowvec.worker.session import Rules

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; returns when all that was accepted is answered.

    A second signal ends the process at once, non-zero. Raises ConfigError before it listens.
    """
    listing = read_listing(settings.models)
    rules = Rules(
        verifier=Verifier.of(settings.password().get_secret_value()),
        tls=_tls(settings),
        tls_required=settings.tls_required,
        max_request_bytes=settings.max_request_bytes,
        max_input_bytes=settings.max_input_bytes,
        idle_timeout_seconds=settings.idle_timeout_seconds,
    )
    _warn_if_exposed(settings)
    asyncio.run(_serve(settings, listing, rules))


async def _serve(settings: Settings, listing: Listing, rules: Rules) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
    admission = Admission(max_requests=settings.max_requests, max_bytes=settings.max_queue_bytes)
    engine = EngineClient(
        listing,
        max_batch_tokens=settings.max_batch_tokens,
        threads=settings.threads,
        stall_seconds=settings.engine_stall_seconds,
    )
    service = Service(
        listing,
        engine,
        admission,
        VectorCache(settings.cache_bytes),
        max_reply_bytes=settings.max_queue_bytes,
    )
    listener = Listener(rules, service.answer, max_connections=settings.max_connections)
    address = await listener.open(settings.listen)
    async with asyncio.TaskGroup() as group:
        # If it ends by itself, which is a bug, the group ends the worker with it.
        running = group.create_task(engine.run(), name="engine")
        logger.info("listening on %s", address)
        await stop.wait()
        logger.info("stopping: finishing what was accepted")
        await _drain(listener, admission, settings.shutdown_grace_seconds)
        running.cancel()
    logger.info("stopped")


async def _drain(listener: Listener, admission: Admission, grace_seconds: float) -> None:
    """Answers what was accepted, within the grace, and fails the rest with ShuttingDown."""
    listener.stop_listening()
    try:
        async with asyncio.timeout(grace_seconds):
            await admission.close()
    except TimeoutError:
        logger.warning("not all was finished within %s s: cancelling the rest", grace_seconds)
        listener.interrupt_all(ShuttingDown("the worker is stopping"))
    await listener.close()


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        logger.warning("second signal: ending at once")
        os._exit(1)
    stop.set()


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"cannot use the certificate {settings.tls_cert_file} with the key"
            f" {settings.tls_key_file}: {exc}"
        ) from exc
    return context


def _warn_if_exposed(settings: Settings) -> None:
    if settings.listen.startswith("/") or settings.tls_cert_file is not None:
        return
    host, _ = split_address(settings.listen)
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        logger.warning(
            "%s is reachable from other machines, and without TLS texts travel in plain:"
            " give --tls-cert-file and --tls-key-file",
            settings.listen,
        )
