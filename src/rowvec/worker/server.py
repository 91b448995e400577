"""The worker's main process: puts the parts together, runs them, and stops them in order."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import ssl
from collections.abc import Mapping
from typing import Protocol

from rowvec.addresses import is_loopback, split_address
from rowvec.config import Settings
from rowvec.errors import ConfigError, RowvecError, ShuttingDown
from rowvec.extras import needed_for
from rowvec.models.device import resolve_device
from rowvec.models.listing import Listing, read_listing
from rowvec.models.measurements import measured_backends
from rowvec.models.pinning import pinned
from rowvec.models.threads import granted_threads
from rowvec.worker.admission import Admission
from rowvec.worker.cache import VectorCache
from rowvec.worker.dataset_pages import Datasets
from rowvec.worker.engine.client import EngineClient
from rowvec.worker.http.api_keys import ApiKeys
from rowvec.worker.listener.accepting import Listener
from rowvec.worker.listener.client_session import Rules
from rowvec.worker.listener.passwords import Passwords
from rowvec.worker.metrics import Metrics, Vitals
from rowvec.worker.observing import Observer
from rowvec.worker.service import Service

logger = logging.getLogger(__name__)


class _Port(Protocol):
    """Where clients come in."""

    @property
    def connections(self) -> int:
        """Clients that are connected."""

    def interrupt_all(self, reason: RowvecError) -> None:
        """Ends every request that is computed with an error."""

    async def close(self) -> None:
        """Ends every connection after the answer that is sent on it."""


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; returns when all that was accepted is answered.

    A second signal ends the process at once, non-zero. Raises ConfigError before it listens.
    """
    listing = read_listing(settings.models)
    rules = Rules(
        passwords=Passwords(settings.secret_file()),
        tls=_tls(settings),
        tls_required=settings.tls_required,
        max_request_bytes=settings.max_request_bytes,
        max_input_bytes=settings.max_input_bytes,
        max_image_bytes=settings.max_image_bytes,
        idle_timeout_seconds=settings.idle_timeout_seconds,
        login_timeout_seconds=settings.login_timeout_seconds,
    )
    _warn_if_exposed(settings)
    keys = _api_keys(settings)
    asyncio.run(_serve(settings, listing, rules, keys, resolve_device(settings.device)))


async def _serve(
    settings: Settings, written: Listing, rules: Rules, keys: ApiKeys | None, device: str
) -> None:
    # Before it listens: what is asked is answered by the weights of now.
    listing = pinned(written)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
    admission = Admission(max_requests=settings.max_requests, max_bytes=settings.max_queue_bytes)
    cache = VectorCache(settings.cache_bytes)
    metrics = Metrics()
    observer = Observer(metrics, listing)
    threads = granted_threads(settings.threads)
    engine = EngineClient(
        listing,
        max_batch_tokens=settings.max_batch_tokens,
        max_batch_seconds=settings.max_batch_seconds,
        max_image_bytes=settings.max_image_bytes,
        max_image_pixels=settings.max_image_pixels,
        threads=threads,
        device=device,
        memory_budget=settings.memory_budget,
        compiled=settings.cache_dir / "compiled",
        measured=measured_backends(settings.cache_dir, written.specs, threads),
        stall_seconds=settings.engine_stall_seconds,
        refuse_seconds=settings.engine_refuse_seconds,
        log_format=settings.log_format,
        on_batch=metrics.batch_computed,
    )
    datasets = Datasets(listing.datasets)
    service = Service(
        listing, engine, admission, cache, datasets, max_bytes=settings.max_queue_bytes
    )
    listener = Listener(rules, service.answer, observer, max_connections=settings.max_connections)
    ports: dict[str, _Port] = {"postgres": listener}
    if settings.http_listen is not None:
        # Its library is a third of what the listener imports: for those who want it.
        with needed_for("answering HTTP"):
            from rowvec.worker.http.api import Api, HttpRules  # noqa: PLC0415
            from rowvec.worker.http.http_server import HttpServer  # noqa: PLC0415

        api = Api(
            HttpRules.of(settings, keys),
            service,
            admission=admission,
            observer=observer,
            metrics=metrics,
            not_ready=lambda: "the worker is stopping" if admission.closed else engine.not_ready(),
        )
        ports["http"] = http = HttpServer.of(settings, api, rules.tls)
        logger.info("answering HTTP on %s", await http.open(settings.http_listen))
    metrics.watch(Vitals(admission, cache, engine, functools.partial(_connections, ports)))
    address = await listener.open(settings.listen)
    async with asyncio.TaskGroup() as group:
        # If it ends early, which is a bug, the group ends the worker with it.
        running = group.create_task(engine.run(), name="engine")
        logger.info("listening on %s", address)
        await stop.wait()
        logger.info("stopping: finishing what was accepted")
        await _drain(listener, ports, admission, settings.shutdown_grace_seconds)
        await datasets.close()
        running.cancel()
    logger.info("stopped")


async def _drain(
    listener: Listener, ports: Mapping[str, _Port], admission: Admission, grace_seconds: float
) -> None:
    """Answers what was accepted, within the grace, and fails the rest with ShuttingDown.

    HTTP listens on meanwhile: /readyz tells load balancers, new requests get 503.
    """
    await listener.stop_listening()
    try:
        async with asyncio.timeout(grace_seconds):
            await admission.close()
    except TimeoutError:
        logger.warning("not all was finished within %s s: cancelling the rest", grace_seconds)
        for port in ports.values():
            port.interrupt_all(ShuttingDown("the worker is stopping"))
    for port in ports.values():
        await port.close()


def _connections(ports: Mapping[str, _Port]) -> dict[str, int]:
    return {protocol: port.connections for protocol, port in ports.items()}


def _api_keys(settings: Settings) -> ApiKeys | None:
    if settings.api_key_file is not None:
        return ApiKeys(settings.api_key_file)
    if settings.http_listen is not None and not is_loopback(split_address(settings.http_listen)[0]):
        raise ConfigError(
            f"HTTP on {settings.http_listen} is reachable from other machines, and needs API keys",
            hint="give --api-key-file, or listen on 127.0.0.1",
        )
    return None


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
    # A handshake costs the worker more than the client, which may have one.
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"cannot use the certificate {settings.tls_cert_file} with the key"
            f" {settings.tls_key_file}: {exc}"
        ) from exc
    return context


def _warn_if_exposed(settings: Settings) -> None:
    if settings.tls_cert_file is not None:
        return
    for address in (settings.listen, settings.http_listen):
        if address is None or address.startswith("/"):
            continue
        if not is_loopback(split_address(address)[0]):
            logger.warning(
                "%s is reachable from other machines, and without TLS texts travel in plain:"
                " give --tls-cert-file and --tls-key-file",
                address,
            )
