"""What those who know no password cost those who do, through a worker's TCP port.

One client asks for a cached vector again and again, while another logs in anew, first alone and
then in each flood: connections that repeat a negotiation packet (1, and 8), that send the longest
startup packets, 500 that say nothing, 256 that begin TLS, and cancels. Whatever the worker closes
is opened again. Prints p50 and p99 of an answer, the share of logins that succeed within two
seconds, and their p95.

    bench/flood.py [--seconds 6] [FLOOD ...]

The floods run in a process of their own, and take processors from the worker as well.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import secrets
import selectors
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from stage import ROWVEC, percentile, report

MODELS = '[[model]]\nname = "stand-in"\nkind = "stand-in"\n'
SECRET = secrets.token_hex()
EMBED = b'{"v":1,"op":"embed","model":"stand-in","inputs":["the same text"]}'

TLS, GSS = (struct.pack("!ii", 8, code) for code in (80877103, 80877104))
CANCEL = struct.pack("!iiii", 16, 80877102, 1, 1)
_PARAMETERS = b"".join(b"%x\0\0" % number for number in range(2200))[:9_990]
STARTUP = struct.pack("!ii", len(_PARAMETERS) + 9, 196608) + _PARAMETERS + b"\0"

# How many connections, and what each sends, once or without end.
FLOODS: dict[str, tuple[int, bytes, bool]] = {
    "none": (0, b"", False),
    "gss": (1, GSS, True),
    "gss x 8": (8, GSS, True),
    "long startup": (8, STARTUP, False),
    "half-open": (500, b"", False),
    "half-open tls": (256, TLS, False),
    "cancels": (8, CANCEL, False),
}


def main() -> None:
    """Prints a line for each flood."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("floods", nargs="*", default=list(FLOODS))
    parser.add_argument("--seconds", type=float, default=6)
    arguments = parser.parse_args()
    with worker() as port:
        for name in arguments.floods:
            with flooded(port, name):
                answers, logins = measured(port, arguments.seconds)
            succeeded = [each for each in logins if each is not None and each <= 2]
            report(
                "flood", flood=name, answers=len(answers),
                p50_ms=round(1000 * percentile(answers, 50), 2),
                p99_ms=round(1000 * percentile(answers, 99), 2),
                logins=len(logins), succeeded=round(len(succeeded) / len(logins), 3),
                login_p95_ms=round(1000 * percentile(succeeded or [2.0], 95), 1),
            )  # fmt: skip


@contextmanager
def worker() -> Iterator[int]:
    """A worker of its own that takes TLS; gives its port."""
    with tempfile.TemporaryDirectory(prefix="rowvec-bench-") as name:
        folder = Path(name)
        models, password, log = (folder / each for each in ("models.toml", "password", "log"))
        models.write_text(MODELS)
        password.write_text(SECRET)
        certificate, key = folder / "cert.pem", folder / "key.pem"
        subprocess.run(
            [shutil.which("openssl") or "openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048",
             "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port: int = probe.getsockname()[1]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [ROWVEC, "worker", "--listen", f"127.0.0.1:{port}", "--models", models,
                 "--password-file", password, "--tls-cert-file", certificate,
                 "--tls-key-file", key],
                stdout=output, stderr=output,
            )  # fmt: skip
        while b"listening on" not in log.read_bytes():
            time.sleep(0.1)
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


def measured(port: int, seconds: float) -> tuple[list[float], list[float | None]]:
    """Seconds of each answer, and of each login; None for one that failed."""
    dsn = f"host=127.0.0.1 port={port} user=rowvec password='{SECRET}' connect_timeout=2"
    answers: list[float] = []
    logins: list[float | None] = []
    with psycopg.connect(dsn, autocommit=True, sslmode="disable") as client:
        client.execute(EMBED)
        end = time.monotonic() + seconds
        thread = threading.Thread(target=log_in, args=(dsn, end, logins))
        thread.start()
        while time.monotonic() < end:
            answers.append(timed(lambda: client.execute(EMBED)))
        thread.join()
    return answers, logins


def log_in(dsn: str, end: float, logins: list[float | None]) -> None:
    """Logs in again and again, some twenty times a second."""
    while time.monotonic() < end:
        try:
            logins.append(timed(lambda: psycopg.connect(dsn, sslmode="prefer").close()))
        except psycopg.OperationalError:
            logins.append(None)
        time.sleep(0.05)


def timed(function: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@contextmanager
def flooded(port: int, name: str) -> Iterator[None]:
    """The flood runs in a process of its own while the block does, and had a second to begin."""
    process = multiprocessing.get_context("spawn").Process(
        target=flood, args=(port, *FLOODS[name]), daemon=True
    )
    process.start()
    time.sleep(2)
    try:
        yield
    finally:
        process.kill()
        process.join()


def flood(port: int, count: int, sent: bytes, without_end: bool) -> None:  # noqa: FBT001
    """Holds so many connections; one that the worker closes is opened again."""
    selector = selectors.DefaultSelector()
    data = sent * 1000 if without_end else sent

    def connect() -> None:
        line = socket.socket()
        line.setblocking(False)  # noqa: FBT003  # its only parameter
        line.connect_ex(("127.0.0.1", port))
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if data else 0)
        selector.register(line, wanted)

    for _ in range(count):
        connect()
    while count:
        for key, events in selector.select():
            line = key.fileobj
            assert isinstance(line, socket.socket)
            try:
                if events & selectors.EVENT_WRITE:
                    with contextlib.suppress(BlockingIOError):
                        line.send(data)
                    if not without_end:
                        selector.modify(line, selectors.EVENT_READ)
                if not events & selectors.EVENT_READ or line.recv(65536):
                    continue
            except OSError:
                pass
            selector.unregister(line)
            line.close()
            connect()


if __name__ == "__main__":
    main()
