"""A crew of Ray actors: each a backfill with a model and a connection of its own.

When a node dies, Ray restarts its actor elsewhere and calls it again; what it held is free at once
with its connection. Nothing but the table itself says what is left to do.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

from rowvec.backfill.crew.crew import Crew, close, share, together
from rowvec.backfill.crew.private_worker import private_worker
from rowvec.backfill.report import Reporter, Summary
from rowvec.backfill.run import BackfillRequest, backfill
from rowvec.config import Settings
from rowvec.db.connection import resolve_dsn
from rowvec.errors import BackendFailed, ConfigError

_LOOK_SECONDS = 0.5
_CONNECT_SECONDS = 5

# Addresses that name no host.
_FOUND_BY_RAY = ("auto", "local")

# The life of an actor, what it did in it, rows that were waiting, sentences.
_State = tuple[str, Summary | None, int, list[str]]


class Hand:
    """What an actor is: one backfill, which tells how far it is while it runs."""

    def __init__(self) -> None:
        # Another one after a restart: its sums begin at zero.
        self._life = uuid.uuid4().hex
        self._summary: Summary | None = None
        self._total = 0
        self._said: list[str] = []
        self._stop = asyncio.Event()

    async def fill(self, settings: dict[str, Any], request: dict[str, Any]) -> _State:
        """Runs to the end; gives the last `state`."""
        built = Settings.build(**settings)
        async with private_worker(built) as worker:
            self._summary = await backfill(
                built, BackfillRequest(**request), worker=worker, reporter=self, stop=self._stop
            )
        return await self.state()

    async def state(self) -> _State:
        """How far it is."""
        return self._life, self._summary, self._total, self._said

    async def stop(self) -> None:
        """Ends the backfill after the batch in hand."""
        self._stop.set()

    def begin(self, total: int) -> None:
        """So many rows are waiting."""
        self._total = total

    def advance(self, summary: Summary) -> None:
        """A batch has been committed."""
        self._summary = summary

    def say(self, message: str) -> None:
        """A sentence that cannot wait."""
        self._said.append(message)


async def run_on_ray(
    settings: Settings,
    request: BackfillRequest,
    crew: Crew,
    reporter: Reporter,
    stop: asyncio.Event,
) -> Summary:
    """Runs the crew to the end, or to the batches in hand on a stop.

    Raises ConfigError where there is no Ray or no cluster, BackendFailed with what the first actor
    that failed said.
    """
    # Ray prints what it reports of its nodes, and our stdout is for the result alone.
    with redirect_stdout(sys.stderr):
        ray = _connected(crew)
        try:
            check_room(ray.cluster_resources(), crew, reporter.say)
            total = await _Watch(ray, settings, request, crew, reporter).until_done(stop)
        finally:
            ray.shutdown()
    await close(settings, request, total, reporter)
    return total


def _connected(crew: Crew) -> Any:
    try:
        ray = importlib.import_module("ray")
    except ImportError as exc:
        raise ConfigError(
            "--engine ray needs the package ray", hint="pip install 'rowvec[ray]'"
        ) from exc
    _check(crew.address)
    # A cluster for this run has room for its actors, whatever the machine has: they mostly wait.
    room = {} if crew.address else {"num_cpus": max(crew.workers, os.cpu_count() or 1)}
    try:
        ray.init(
            address=crew.address or "local", log_to_driver=False, logging_level="error", **room
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as exc:
        if crew.address is None:
            reason = " ".join(str(exc).split())
            raise ConfigError(f"Ray does not start on this machine: {reason}") from exc
        if crew.address in _FOUND_BY_RAY:
            raise _no_cluster(crew.address) from exc
        # Somebody listens there: a cluster that asks for a token does not say so to us.
        raise ConfigError(
            f"what listens at {crew.address} is no Ray cluster that lets us in",
            hint="where it has a token: export RAY_AUTH_MODE=token, and have its ~/.ray/auth_token"
            " here too",
        ) from exc
    return ray


def _check(address: str | None) -> None:
    """Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if address is None or address in _FOUND_BY_RAY:
        return
    if not host or not port.isdigit():
        raise ConfigError(
            f"{address!r} is no address of a Ray cluster", hint="give HOST:PORT, as ray start says"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as exc:
        raise _no_cluster(address) from exc


def check_room(there: Mapping[str, float], crew: Crew, say: Callable[[str], None]) -> None:
    """Says how many actors will wait for processors or GPUs; Ray would wait silently.

    Raises ConfigError where the cluster is begun for this run, since it will not grow.
    """
    gpus = there.get("GPU", 0)
    if gpus < crew.gpus_per_worker:
        said = f"a worker is to have {crew.gpus_per_worker:g} GPUs, and the cluster has {gpus:g}"
        if crew.address is None:
            raise ConfigError(said, hint="leave --gpus-per-worker out, or give --address")
        say(f"{said}: waiting for more")
        return
    room = [there.get("CPU", 0)] + ([gpus / crew.gpus_per_worker] if crew.gpus_per_worker else [])
    places = int(min(room))
    if places < crew.workers:
        say(
            f"the cluster has room for {places} of {crew.workers} workers:"
            " the others begin where there is more"
        )


def actor_settings(settings: Settings, crew: Crew) -> dict[str, Any]:
    """The settings that an actor gets; the others are its node's.

    One that has a GPU of Ray's computes on that, and says so where torch does not see it.
    """
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    given["dsn"] = resolve_dsn(settings)
    if crew.gpus_per_worker and settings.device == "auto":
        given["device"] = "cuda"
    return given


def _no_cluster(address: str | None) -> ConfigError:
    return ConfigError(
        f"no Ray cluster answers at {address}",
        hint="ray start --head begins one, and says its address; without --address one is begun"
        " for this run",
    )


class _Watch:
    """The actors of one run, seen from the driver."""

    def __init__(
        self, ray: Any, settings: Settings, request: BackfillRequest, crew: Crew, reporter: Reporter
    ) -> None:
        self._ray = ray
        self._reporter = reporter
        self._parts: dict[str, Summary] = {}
        self._heard: dict[str, int] = {}
        self._has_begun = False
        actor = ray.remote(
            num_cpus=1, num_gpus=crew.gpus_per_worker, max_restarts=-1, max_task_retries=-1
        )(Hand)
        each, request = share(settings, request, crew.workers)
        given = actor_settings(each, crew)
        hands = [actor.remote() for _ in range(crew.workers)]
        self._runs = {hand.fill.remote(given, asdict(request)): hand for hand in hands}

    async def until_done(self, stop: asyncio.Event) -> Summary:
        """Looks at them now and then until all have ended."""
        is_told = False
        while self._runs:
            if stop.is_set() and not is_told:
                is_told = True
                for hand in self._runs.values():
                    hand.stop.remote()
            runs = [*self._runs]
            done, _ = await asyncio.to_thread(
                self._ray.wait, runs, num_returns=len(runs), timeout=_LOOK_SECONDS
            )
            for run in done:
                await self._end(run)
            if self._runs:
                await self._look()
        return together(self._parts.values())

    async def _end(self, run: Any) -> None:
        try:
            self._note(*await asyncio.to_thread(self._ray.get, run))
        except self._ray.exceptions.RayError as exc:
            cause = getattr(exc, "cause", None)
            raise BackendFailed(str(cause or exc).strip().split("\n")[-1]) from exc
        # What it held is for those that found no room so far.
        self._ray.kill(self._runs.pop(run))

    async def _look(self) -> None:
        states = [hand.state.remote() for hand in self._runs.values()]
        answered, _ = await asyncio.to_thread(
            self._ray.wait, states, num_returns=len(states), timeout=_LOOK_SECONDS
        )
        for state in answered:
            try:
                life, summary, total, said = await asyncio.to_thread(self._ray.get, state)
            except self._ray.exceptions.RayError:
                continue  # its node is gone, and Ray starts it elsewhere
            self._note(life, summary, total, said)

    def _note(self, life: str, summary: Summary | None, total: int, said: list[str]) -> None:
        for sentence in said[self._heard.get(life, 0) :]:
            self._reporter.say(sentence)
        self._heard[life] = len(said)
        if total and not self._has_begun:
            self._has_begun = True
            self._reporter.begin(total)
        if summary is not None:
            self._parts[life] = summary
            self._reporter.advance(together(self._parts.values()))
