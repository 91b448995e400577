"""Faults 9 to 20: floods, fuzz and what kills, freezes or starves a worker or its engine."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
import psutil
import psycopg
import pytest

from rowvec.client import WorkerClient
from rowvec.errors import BackendFailed, DeadlineExceeded, InvalidRequest, OutOfMemory, Overloaded
from rowvec.models.families.stand_in import derived_vector
from rowvec.worker.half_open import MOST_OF_ONE_ADDRESS
from support.postgres import refused
from support.waiting import eventually
from support.workers import StartWorker, Worker

MODELS = """
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
name = "deadly"
kind = "stand-in"
dimensions = 8
die = "kill the engine"
[[model]]
name = "starving"
kind = "stand-in"
dimensions = 8
memory_tokens = 8
[[model]]
name = "refusing"
kind = "stand-in"
dimensions = 8
refuse = "refuse me"
"""

# Of `slow`, 8 texts of two words.
SMALL_BATCHES = ("--max-batch-tokens", "16")


def startup(parameters: bytes) -> bytes:
    return struct.pack("!ii", len(parameters) + 9, 196608) + parameters + b"\0"


STARTUP = startup(b"user\0rowvec\0")
TLS, GSS = (struct.pack("!ii", 8, code) for code in (80877103, 80877104))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(100):
            await scenario()

    asyncio.run(limited())


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Asks again and again; the scenario's limit bounds it."""
    while not await condition():  # noqa: ASYNC110  # it is another process that is watched
        await asyncio.sleep(0.01)


async def computed(client: WorkerClient, name: str) -> int:
    """Texts that the model has computed."""
    return next(int(m["texts"]) for m in await client.models() if m["name"] == name)


def texts(count: int, tag: str) -> list[str]:
    return [f"{tag} {i}" for i in range(count)]


def are_right(vectors: Any, inputs: list[str]) -> bool:
    return bool((vectors == np.stack([derived_vector(text, 8) for text in inputs])).all())


def engine_of(worker: Worker) -> psutil.Process:
    (engine,) = psutil.Process(worker.process.pid).children()
    return engine


def plain(worker: Worker) -> socket.socket:
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(60)
    line.connect(f"{worker.folder}/.s.PGSQL.5466")
    return line


def everything(line: socket.socket) -> bytes:
    """What comes until the worker closes the line."""
    data = b""
    while piece := line.recv(65536):
        data += piece
    return data


def test_fault_09_queue_full(start_worker: StartWorker) -> None:
    """Refused at once with class 53, and told how long the queue is; others go on."""
    worker = start_worker(MODELS, *SMALL_BATCHES, "--max-requests", "1")

    async def scenario() -> None:
        async with (
            await WorkerClient.connect(worker.conninfo) as client,
            await WorkerClient.connect(worker.conninfo) as other,
        ):
            asking = asyncio.create_task(client.embed("slow", texts(5000, "full")))
            await until(lambda: computed(other, "slow"))
            with pytest.raises(Overloaded, match=r"queue is full: 1 of 1 requests") as caught:
                await other.embed("stand-in", ["x"])
            assert caught.value.sqlstate == "53400"
            await other.ping()
            asking.cancel()
            await asyncio.wait([asking])

            async def admitted() -> bool:
                try:
                    return are_right((await other.embed("stand-in", ["x"])).vectors, ["x"])
                except Overloaded:
                    return False

            await until(admitted)

    run(scenario)


def test_fault_10_expired_in_the_queue(start_worker: StartWorker) -> None:
    """A request whose deadline passed while it waited is never computed."""
    worker = start_worker(MODELS)

    async def scenario() -> None:
        async with (
            await WorkerClient.connect(worker.conninfo) as client,
            await WorkerClient.connect(worker.conninfo) as other,
        ):
            # One batch of six seconds, which nothing interrupts.
            ahead = asyncio.create_task(client.embed("slow", texts(300, "ahead")))

            async def begun() -> bool:
                return any(m["name"] == "slow" and m["loaded"] for m in await other.models())

            await until(begun)
            with pytest.raises(DeadlineExceeded, match="200 ms"):
                await other.embed("stand-in", texts(100, "late"), deadline_ms=200)
            await ahead
            assert are_right((await other.embed("stand-in", ["next"])).vectors, ["next"])
            assert await computed(other, "stand-in") == 1

    run(scenario)


def test_fault_11_sigterm(start_worker: StartWorker) -> None:
    """What was accepted is answered, what comes is refused, and the exit code is 0."""
    worker = start_worker(MODELS, *SMALL_BATCHES)

    async def scenario() -> None:
        clients = [await WorkerClient.connect(worker.conninfo) for _ in range(4)]
        asking = [
            asyncio.create_task(client.embed("slow", texts(20, f"load {i}")))
            for i, client in enumerate(clients)
        ]
        async with await WorkerClient.connect(worker.conninfo) as watcher:
            await until(lambda: computed(watcher, "slow"))
            worker.process.send_signal(signal.SIGTERM)
            for i, answer in enumerate(await asyncio.gather(*asking)):
                assert are_right(answer.vectors, texts(20, f"load {i}"))
        for client in clients:
            await client.close()

    run(scenario)
    assert worker.process.wait(timeout=60) == 0
    assert not (worker.folder / ".s.PGSQL.5466").exists()


def test_fault_12_connection_flood(start_worker: StartWorker) -> None:
    """Who knows no password keeps nobody out: the oldest go. Logins are capped, with words."""
    worker = start_worker(MODELS, "--max-connections", "2", "--login-timeout-seconds", "600")
    process = psutil.Process(worker.process.pid)
    with psycopg.connect(worker.conninfo, autocommit=True) as client:
        # Answered by the engine, whose lines to the listener are open by then.
        client.execute('{"v":1,"op":"embed","model":"stand-in","inputs":["a"]}')
        before = process.num_fds()
    with ExitStack() as flood:
        lines = [flood.enter_context(plain(worker)) for _ in range(500)]
        gone = 500 - MOST_OF_ONE_ADDRESS
        eventually(lambda: all(map(is_closed, lines[:gone])))
        assert not any(map(is_closed, lines[gone:]))
        # They take places of the flood.
        first = flood.enter_context(psycopg.connect(worker.conninfo, autocommit=True))
        flood.enter_context(psycopg.connect(worker.conninfo, autocommit=True))
        for _ in range(20):
            with pytest.raises(psycopg.OperationalError, match="2 clients are connected"):
                psycopg.connect(worker.conninfo)
        assert first.execute('{"v":1,"op":"ping"}').nextset()
        assert is_closed(lines[gone])
        assert not any(map(is_closed, lines[gone + 22 :]))
    eventually(lambda: process.num_fds() <= before)


def is_closed(line: socket.socket) -> bool:
    """Whether the other end is gone; what it does not say is not waited for."""
    is_readable, _, _ = select.select([line], [], [], 0)
    try:
        return bool(is_readable) and line.recv(1) == b""
    except ConnectionResetError:
        return True


def test_fault_12_slow_login(start_worker: StartWorker) -> None:
    """A client that sends a byte and no more is closed, and the place is another's."""
    worker = start_worker(MODELS, "--login-timeout-seconds", "0.5")
    for begun in (b"", b"\0", STARTUP[:-1], STARTUP, STARTUP + b"p\0\0\0\x36SCRAM-SHA-256\0"):
        with closing(plain(worker)) as line:
            line.sendall(begun)
            everything(line)


@pytest.mark.parametrize(
    "asked",
    [[TLS, TLS], [GSS, GSS], [GSS, TLS, GSS], [TLS, GSS, TLS]],
    ids=["TLS twice", "GSS twice", "GSS around TLS", "TLS around GSS"],
)
def test_fault_12_encryption_is_asked_for_once(shared_worker: Worker, asked: list[bytes]) -> None:
    """Each kind; who repeats it costs the worker no second answer."""
    with closing(plain(shared_worker)) as line:
        line.sendall(b"".join(asked))
        answer = everything(line)
    assert answer.startswith(b"N" * len(set(asked)) + b"E")
    assert b"SFATAL\0" in answer


@pytest.mark.parametrize(
    "sent",
    [
        STARTUP + b"p" + struct.pack("!i", 1 << 20),
        # Each part is small enough, and all of them are not.
        TLS + GSS + startup(b"application_name\0" + b"x" * 9_000 + b"\0") + b"p" + bytes(2_000),
        startup(b"".join(b"a%d\0b\0" % number for number in range(101))),
    ],
    ids=["a large message", "many bytes", "many parameters"],
)
def test_fault_12_size_before_authentication(shared_worker: Worker, sent: bytes) -> None:
    """Nobody unknown may send more than 10 kB in all: no memory is spent on them."""
    with closing(plain(shared_worker)) as line:
        line.sendall(sent)
        assert b"SFATAL\0" in everything(line)


def test_fault_12_client_that_never_reads(start_worker: StartWorker) -> None:
    """Its answers are not kept for it: it is not read any further, and then closed."""
    worker = start_worker(MODELS, "--idle-timeout-seconds", "0.5")
    with psycopg.connect(worker.conninfo) as connection:
        line = socket.socket(fileno=os.dup(connection.fileno()))
        line.settimeout(60)
        refused_each_time = itertools.repeat((b"Q" + struct.pack("!i", 6) + b"x\0") * 1000)
        with closing(line), pytest.raises(ConnectionError):
            send_all(line, refused_each_time)


def send_all(line: socket.socket, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        line.sendall(piece)


def test_fault_14_cancel_with_a_wrong_key(shared_worker: Worker) -> None:
    """Ignored: the line is closed without a word, and the request goes on."""
    with psycopg.connect(shared_worker.conninfo, autocommit=True) as connection:
        process = connection.pgconn.backend_pid
        with closing(plain(shared_worker)) as line:
            line.sendall(b"".join(n.to_bytes(4) for n in (16, 80877102, process, 12345)))
            assert everything(line) == b""
        query = {"v": 1, "op": "embed", "model": "slow", "inputs": texts(20, "key")}
        cursor = connection.execute(json.dumps(query))
        assert cursor.nextset()
        assert len(cursor.fetchall()) == 20


@pytest.mark.parametrize(
    ("user", "password"), [("rowvec", "wrong"), ("postgres", None), ("nobody", "wrong")]
)
def test_fault_15_wrong_password(shared_worker: Worker, user: str, password: str | None) -> None:
    """28P01 and the same words, be it the password or the user that is wrong."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(
            shared_worker.conninfo, user=user, password=password or shared_worker.password
        )
    assert f'password authentication failed for user "{user}"' in str(caught.value)


def test_fault_15_wrong_password_through_dblink(conn: psycopg.Connection) -> None:
    """Dblink makes 08001 of it; the sentence says what to do, and shows no password."""
    conn.execute(
        "ALTER USER MAPPING FOR rowvec_caller SERVER rowvec_worker "
        "OPTIONS (SET password 'wrong one')"
    )
    with refused("08001", "refused the password", "rowvec server set") as refusal:
        conn.execute("SELECT rowvec.embed('stand-in', 'x')")
    assert "wrong one" not in refusal.everything


@pytest.mark.parametrize(
    ("ask", "sqlstate"),
    [
        (lambda c: c.execute('{"v":1,"op":"ping"}', prepare=True), "0A000"),
        (lambda c: c.execute("SELECT %s", ("x",)), "0A000"),
        (lambda c: c.execute("SELECT 1"), "42601"),
        (lambda c: c.execute("DROP TABLE x; SELECT 1"), "42601"),
        (lambda c: c.execute('{"v":1'), "42601"),
        (lambda c: c.execute("[1]"), "42601"),
        (lambda c: c.pgconn.exec_prepared(b"x", []), "0A000"),
    ],
    ids=["prepared", "parameters", "SQL", "more SQL", "half JSON", "list", "execute"],
)
def test_fault_17_extended_protocol_or_no_json(
    shared_worker: Worker, ask: Callable[[Any], Any], sqlstate: str
) -> None:
    """An SQL error, and the connection stays usable."""
    with psycopg.connect(shared_worker.conninfo, autocommit=True) as connection:
        try:
            result = ask(connection)
        except psycopg.Error as exc:
            found = exc.sqlstate
        else:
            found = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode()
        assert found == sqlstate
        cursor = connection.execute('{"v":1,"op":"ping"}')
        assert cursor.nextset()
        assert cursor.fetchall() == [("pong",)]


def test_fault_18_poison_text(start_worker: StartWorker) -> None:
    """Only the request that holds it fails: those it shared batches with get their vectors.

    It is found by its second killing, refused from then on without being computed, and the log
    tells of it without its words.
    """
    worker = start_worker(MODELS)
    poison = "please kill the engine, secretly"

    async def scenario() -> None:
        clients = [await WorkerClient.connect(worker.conninfo) for _ in range(5)]
        asking = [
            asyncio.create_task(client.embed("deadly", texts(50, f"neighbour {i}")))
            for i, client in enumerate(clients[1:])
        ]
        with pytest.raises(BackendFailed, match="input 2: the input ended the engine twice"):
            await clients[0].embed("deadly", ["fine", poison, "fine, too"])
        for i, answer in enumerate(await asyncio.gather(*asking)):
            assert are_right(answer.vectors, texts(50, f"neighbour {i}"))
        engine = engine_of(worker)
        with pytest.raises(BackendFailed, match="input 1: the input ended the engine twice"):
            await clients[1].embed("deadly", [poison])
        assert are_right((await clients[2].embed("deadly", ["fine"])).vectors, ["fine"])
        # To another model it is a text like any other.
        assert are_right((await clients[3].embed("stand-in", [poison])).vectors, [poison])
        assert engine_of(worker).pid == engine.pid
        for client in clients:
            await client.close()

    run(scenario)
    log = worker.log.read_text()
    assert "ended the engine twice" in log
    assert "secretly" not in log


def test_fault_18_refusal_ends(start_worker: StartWorker) -> None:
    """After a while the text is tried again."""
    worker = start_worker(MODELS, "--engine-refuse-seconds", "0.1")

    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as client:
            for times in (1, 2):

                async def convicted(times: int = times) -> bool:
                    with pytest.raises(BackendFailed, match="ended the engine twice"):
                        await client.embed("deadly", ["kill the engine"])
                    return worker.log.read_text().count("refused for a while") >= times

                await until(convicted)

    run(scenario)


def test_fault_18_refused_text(shared_worker: Worker) -> None:
    """A text that the model refuses costs its batchmates nothing."""

    async def scenario() -> None:
        async with (
            await WorkerClient.connect(shared_worker.conninfo) as client,
            await WorkerClient.connect(shared_worker.conninfo) as other,
        ):
            asking = asyncio.create_task(other.embed("refusing", texts(100, "mate")))
            with pytest.raises(InvalidRequest, match=r"^input 3: "):
                await client.embed("refusing", ["a", "b", "refuse me", "c"])
            assert are_right((await asking).vectors, texts(100, "mate"))

    run(scenario)


def test_fault_19_out_of_memory(start_worker: StartWorker) -> None:
    """The batch is split until it fits; a text that fits alone nowhere is 53200, and all go on."""
    worker = start_worker(MODELS)

    async def scenario() -> None:
        async with await WorkerClient.connect(worker.conninfo) as client:
            engine = engine_of(worker)
            many = texts(100, "two words")
            assert are_right((await client.embed("starving", many)).vectors, many)
            with pytest.raises(OutOfMemory, match=r"^input 2: "):
                await client.embed("starving", ["fits", "w " * 9])
            assert are_right((await client.embed("starving", ["after"])).vectors, ["after"])
            assert engine_of(worker).pid == engine.pid

    run(scenario)


def test_fault_20_mixed_models(shared_worker: Worker) -> None:
    """Many models and clients at once: everybody gets what they would alone."""
    names = ("stand-in", "slow", "refusing", "deadly")

    async def scenario() -> None:
        clients = [await WorkerClient.connect(shared_worker.conninfo) for _ in range(8)]

        async def ask(number: int, client: WorkerClient) -> None:
            for turn in range(10):
                some = texts(5, f"mixed {number} {turn}")
                answer = await client.embed(names[(number + turn) % len(names)], some)
                assert are_right(answer.vectors, some)

        await asyncio.gather(*(ask(i, client) for i, client in enumerate(clients)))
        for client in clients:
            await client.close()

    run(scenario)
