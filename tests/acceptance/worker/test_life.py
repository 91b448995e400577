"""What a worker does when clients leave, engines die and it is told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import psycopg
import pytest

from rowvec.client import ServedModel, WorkerClient
from rowvec.errors import (
    BackendFailed,
    DeadlineExceeded,
    RowvecError,
    ShuttingDown,
    WorkerUnreachable,
)
from rowvec.models.families.stand_in import derived_vector
from support.waiting import eventually
from support.workers import StartWorker, Worker

# A batch of `slow` holds what fits into its tokens: 8 texts of two words, 160 ms.
SLOW = """
[[model]]
name = "stand-in"
kind = "stand-in"
dimensions = 8
[[model]]
name = "slow"
kind = "stand-in"
dimensions = 8
delay_ms_per_text = 20
[[model]]
name = "large"
kind = "stand-in"
dimensions = 8
load_ms = 1000
[[model]]
name = "hanging"
kind = "stand-in"
dimensions = 8
delay_ms_per_text = 3600000
"""
SMALL_BATCHES = ("--max-batch-tokens", "16")


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(limited())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Asks again and again; the scenario's limit bounds it."""
    while not await condition():  # noqa: ASYNC110  # it is another process that is watched
        await asyncio.sleep(0.01)


async def model(client: WorkerClient, name: str) -> ServedModel:
    return next(m for m in await client.models() if m["name"] == name)


def texts(count: int, tag: str = "text") -> list[str]:
    return [f"{tag} {i}" for i in range(count)]


def engine_of(worker: Worker) -> psutil.Process:
    (engine,) = psutil.Process(worker.process.pid).children()
    return engine


def test_a_client_that_leaves_takes_its_work_with_it(start_worker: StartWorker) -> None:
    worker = start_worker(SLOW, *SMALL_BATCHES)

    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as watcher:
            leaving = await WorkerClient.connect(worker.conninfo)
            asking = asyncio.create_task(leaving.embed("slow", texts(1000)))

            async def begun() -> bool:
                return (await model(watcher, "slow"))["texts"] > 0

            await until(begun)
            asking.cancel()
            await asyncio.wait([asking])
            # With the work dropped this is next, after the batch that runs; it would be 20 s.
            await watcher.embed("slow", ["one more"])
            assert (await model(watcher, "slow"))["texts"] < 200
            assert (await model(watcher, "slow"))["requests"] == 1

    run(scenario)


def test_a_cancelled_request_ends_with_57014_and_the_connection_stays(
    start_worker: StartWorker,
) -> None:
    worker = start_worker(SLOW, *SMALL_BATCHES)
    with psycopg.connect(worker.conninfo, autocommit=True) as connection:
        query = json.dumps({"v": 1, "op": "embed", "model": "slow", "inputs": texts(1000)})
        timer = threading.Timer(0.3, connection.cancel_safe)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(query)
        timer.join()
        connection.execute('{"v":1,"op":"ping"}')
        connection.cancel_safe()
        connection.execute('{"v":1,"op":"ping"}')


def test_a_deadline_ends_a_request_and_its_work(start_worker: StartWorker) -> None:
    worker = start_worker(SLOW, *SMALL_BATCHES)

    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as client:
            with pytest.raises(DeadlineExceeded, match="300 ms"):
                await client.embed("slow", texts(1000), deadline_ms=300)
            await client.embed("slow", ["one more"])
            assert (await model(client, "slow"))["texts"] < 200

    run(scenario)


def test_a_deadline_that_passes_while_the_model_loads_says_so(start_worker: StartWorker) -> None:
    worker = start_worker(SLOW)

    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as client:
            await client.embed("stand-in", texts(1))
            with pytest.raises(DeadlineExceeded, match="large is still being loaded") as caught:
                await client.embed("large", texts(1), deadline_ms=200)
            assert "warm = true" in str(caught.value.hint)
            await client.embed("large", texts(1), deadline_ms=30_000)

    run(scenario)


def test_an_idle_connection_is_closed_and_the_client_connects_anew(
    start_worker: StartWorker,
) -> None:
    worker = start_worker(SLOW, "--idle-timeout-seconds", "0.2")

    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as client:
            connection = client._connection
            assert connection is not None
            loop = asyncio.get_running_loop()
            closed = asyncio.Event()
            loop.add_reader(connection.socket, closed.set)
            await closed.wait()
            loop.remove_reader(connection.socket)
            with pytest.raises(WorkerUnreachable):
                await client.ping()
            await client.ping()

    run(scenario)


def test_an_engine_killed_in_the_middle_is_replaced_and_the_request_answered(
    start_worker: StartWorker,
) -> None:
    worker = start_worker(SLOW, *SMALL_BATCHES)

    async def scenario() -> None:
        async with (
            await WorkerClient.connect(worker.conninfo) as client,
            await WorkerClient.connect(worker.conninfo) as watcher,
        ):
            asking = asyncio.create_task(client.embed("slow", texts(40)))

            async def begun() -> bool:
                return (await model(watcher, "slow"))["texts"] > 0

            await until(begun)
            first = engine_of(worker)
            first.kill()
            await watcher.ping()
            answer = await asking
            for text, vector in zip(texts(40), answer.vectors, strict=True):
                assert (vector == derived_vector(text, 8)).all()
            assert engine_of(worker).pid != first.pid

    run(scenario)


def test_an_engine_that_dies_twice_on_a_request_fails_it(start_worker: StartWorker) -> None:
    worker = start_worker(SLOW, *SMALL_BATCHES)

    async def scenario() -> None:
        async with (
            await WorkerClient.connect(worker.conninfo) as client,
            await WorkerClient.connect(worker.conninfo) as watcher,
        ):
            asking = asyncio.create_task(client.embed("slow", texts(1000)))
            for _ in range(2):

                async def computing() -> bool:
                    return (await model(watcher, "slow"))["loaded"]

                await until(computing)
                engine_of(worker).kill()

                async def noticed() -> bool:
                    return not await computing()

                await until(noticed)
            with pytest.raises(BackendFailed, match="died twice"):
                await asking
            await client.embed("stand-in", ["after"])

    run(scenario)


def test_an_engine_that_hangs_is_killed_after_the_deadline(start_worker: StartWorker) -> None:
    worker = start_worker(SLOW, "--engine-stall-seconds", "0.5")

    async def scenario() -> None:
        async with (
            await WorkerClient.connect(worker.conninfo) as client,
            await WorkerClient.connect(worker.conninfo) as other,
        ):
            await client.embed("stand-in", ["warm"])
            first = engine_of(worker)
            hanging = asyncio.create_task(client.embed("hanging", ["x"], deadline_ms=500))
            with pytest.raises(DeadlineExceeded):
                await hanging
            # It waits behind the one that hangs, and is answered by the next engine.
            await other.embed("stand-in", ["waits"])
            assert engine_of(worker).pid != first.pid

    run(scenario)


def test_what_the_grace_does_not_suffice_for_fails_with_57p01(start_worker: StartWorker) -> None:
    worker = start_worker(SLOW, *SMALL_BATCHES, "--shutdown-grace-seconds", "0.2")

    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as watcher:
            client = await WorkerClient.connect(worker.conninfo)
            asking = asyncio.create_task(client.embed("slow", texts(5000)))

            async def begun() -> bool:
                return (await model(watcher, "slow"))["texts"] > 0

            await until(begun)
            worker.process.send_signal(signal.SIGTERM)
            with pytest.raises(ShuttingDown):
                await asking
            await client.close()

    run(scenario)
    assert worker.process.wait(timeout=30) == 0


def test_a_second_signal_ends_at_once(start_worker: StartWorker) -> None:
    worker = start_worker(SLOW, *SMALL_BATCHES)

    async def scenario() -> None:
        client = await WorkerClient.connect(worker.conninfo)
        asking = asyncio.create_task(client.embed("slow", texts(5000)))
        async with await WorkerClient.connect(worker.conninfo) as watcher:

            async def begun() -> bool:
                return (await model(watcher, "slow"))["texts"] > 0

            await until(begun)
        worker.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(eventually, lambda: not (worker.folder / ".s.PGSQL.5466").exists())
        worker.process.send_signal(signal.SIGTERM)
        with pytest.raises(RowvecError):
            await asking

    run(scenario)
    assert worker.process.wait(timeout=30) == 1


def test_the_engine_ends_with_its_listener(start_worker: StartWorker) -> None:
    worker = start_worker(SLOW)
    # It listens before it has started one.
    eventually(psutil.Process(worker.process.pid).children)
    engine = engine_of(worker)
    worker.process.kill()
    worker.process.wait(timeout=30)
    engine.wait(timeout=30)


def test_a_socket_that_a_killed_worker_left_is_taken_over(start_worker: StartWorker) -> None:
    first = start_worker(SLOW)
    first.process.kill()
    first.process.wait(timeout=30)
    second = start_worker(SLOW, socket_folder=first.folder)

    async def scenario() -> None:
        async def answers() -> bool:
            try:
                async with await WorkerClient.connect(second.conninfo) as client:
                    await client.ping()
            except WorkerUnreachable:
                return False
            return True

        await until(answers)

    run(scenario)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def start_tcp_worker(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a worker on a port of the loopback; gives how to reach it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> str:
        models, password, log = (tmp_path / name for name in ("models.toml", "password", "log"))
        models.write_text(SLOW)
        password.write_text("sesame")
        port = free_port()
        with log.open("wb") as output:
            started.append(
                subprocess.Popen(
                    [Path(sys.executable).parent / "rowvec", "worker",
                     "--listen", f"127.0.0.1:{port}", "--models", models,
                     "--password-file", password, *arguments],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                )
            )  # fmt: skip
        eventually(lambda: b"listening on" in log.read_bytes())
        return f"host=127.0.0.1 port={port} user=rowvec password=sesame dbname=rowvec"

    yield start
    for process in started:
        process.terminate()
        assert process.wait(timeout=30) == 0


def test_tcp_without_tls(start_tcp_worker: Callable[..., str]) -> None:
    conninfo = start_tcp_worker()

    async def scenario() -> None:
        async with await WorkerClient.connect(conninfo) as client:
            answer = await client.embed("stand-in", ["over tcp"])
            assert (answer.vectors[0] == derived_vector("over tcp", 8)).all()

    run(scenario)
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        psycopg.connect(conninfo, sslmode="require")


def test_nobody_there_is_worker_unreachable() -> None:
    async def scenario() -> None:
        with pytest.raises(WorkerUnreachable):
            await WorkerClient.connect(f"host=127.0.0.1 port={free_port()} user=rowvec password=x")

    run(scenario)


def test_a_large_answer_arrives_whole(worker: Worker) -> None:
    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as client:
            inputs = [None if i % 7 == 0 else f"{i}" for i in range(5000)]
            answer = await client.embed("stand-in", inputs)
            for i, text in enumerate(inputs):
                expected = np.zeros(384) if text is None else derived_vector(text, 384)
                assert (answer.vectors[i] == expected).all()
                assert answer.nulls[i] == (text is None)

    run(scenario)
