"""Fault 16: TLS between Postgres and the worker, with a libpq that knows it, and without."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rowvec.worker.half_open import MOST_OF_ONE_ADDRESS
from support.postgres import refused
from support.waiting import eventually

# The libpq of the stock servers knows TLS; that of the embedded Postgres does not.
WITH_TLS = pytest.mark.parametrize("postgres", [15], ids=["postgres15"], indirect=True)

EMBED = "SELECT rowvec.embed('stand-in', %s) IS NOT NULL"
MODELS = '[[model]]\nname = "stand-in"\nkind = "stand-in"\ndimensions = 8\n'


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests, and what it certifies."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def create(self) -> Authority:
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self._openssl(
            "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec",
            "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={self.folder.name}",
            "-keyout", "root.key", "-out", "root.pem",
        )  # fmt: skip
        # Postgres reads it, under its own user.
        self.root.chmod(0o644)
        return self

    def certify(self, *names: str) -> tuple[Path, Path]:
        """A certificate for these names, and its key."""
        alternatives = ",".join(names)
        (self.folder / "names").write_text(f"subjectAltName={alternatives}\n")
        self._openssl(
            "req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-subj", "/CN=worker", "-keyout", "worker.key", "-out", "worker.csr",
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-days", "2", "-in", "worker.csr", "-CA", "root.pem",
            "-CAkey", "root.key", "-CAcreateserial", "-extfile", "names", "-out", "worker.pem",
        )  # fmt: skip
        return self.folder / "worker.pem", self.folder / "worker.key"

    def _openssl(self, *arguments: str) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("no openssl to make certificates with")
        subprocess.run([program, *arguments], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def authority(folder: Path) -> Authority:
    return Authority(folder / "authority").create()


@pytest.fixture(scope="session")
def stranger(folder: Path) -> Authority:
    """One that certified nothing here."""
    return Authority(folder / "stranger").create()


@pytest.fixture(scope="session")
def port(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a worker listens that takes TLS only, certified as localhost."""
    home = tmp_path_factory.mktemp("tls-worker")
    models, password, log = (home / name for name in ("models.toml", "password", "log"))
    models.write_text(MODELS)
    password.write_text("sesame")
    certificate, key = authority.certify("DNS:localhost")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "rowvec", "worker", "--listen", f"127.0.0.1:{port}",
             "--models", models, "--password-file", password, "--tls-required",
             "--tls-cert-file", certificate, "--tls-key-file", key],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    eventually(lambda: b"listening on" in log.read_bytes())
    yield port
    process.terminate()
    assert process.wait(timeout=60) == 0


def test_fault_12_half_open_tls(port: int) -> None:
    """Whoever begins a handshake and leaves it there keeps nobody out: the oldest of them go."""
    with ExitStack() as flood:
        lines = [
            flood.enter_context(socket.create_connection(("localhost", port), timeout=60))
            for _ in range(300)
        ]
        for line in lines:
            with suppress(ConnectionError):
                line.sendall(struct.pack("!ii", 8, 80877103))
        for line in lines[: 300 - MOST_OF_ONE_ADDRESS]:
            with suppress(ConnectionError):
                while line.recv(1):
                    pass
        assert lines[-1].recv(1) == b"S"
        for _ in range(20):
            psycopg.connect(
                f"host=localhost port={port} user=rowvec password=sesame", sslmode="require"
            ).close()


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x40\x00" + b"\x01" * 20_000, b"no TLS at all" * 10], ids=["long", "odd"]
)
def test_fault_13_handshakes(port: int, sent: bytes) -> None:
    """One that is too long, and what is none, end their line alone."""
    with socket.create_connection(("localhost", port), timeout=60) as line:
        line.sendall(struct.pack("!ii", 8, 80877103))
        assert line.recv(1) == b"S"
        line.sendall(sent)
        with suppress(ConnectionError):
            while line.recv(4096):
                pass


@WITH_TLS
def test_fault_16_certified_worker(base: Any, port: int, authority: Authority) -> None:
    """verify-full: the certificate is of the right authority and for the name in the entry."""
    base.point_at(
        "localhost", port, "sesame", sslmode="verify-full", sslrootcert=str(authority.root)
    )
    with base.connect() as conn:
        assert conn.execute(EMBED, ("x",)).fetchone() == (True,)


@WITH_TLS
@pytest.mark.parametrize(
    ("host", "sslmode", "words"),
    [
        ("localhost", "verify-full", "certificate verify failed"),
        ("localhost", "verify-ca", "certificate verify failed"),
        ("127.0.0.1", "verify-full", 'does not match host name "127.0.0.1"'),
        ("localhost", "disable", "only connections with TLS"),
    ],
    ids=["other authority", "other authority, any name", "other name", "no TLS"],
)
def test_fault_16_refused(
    base: Any,
    port: int,
    authority: Authority,
    stranger: Authority,
    *,
    host: str,
    sslmode: str,
    words: str,
) -> None:
    """08001 with libpq's reason, before a password is shown to anybody."""
    trusted = stranger if "verify failed" in words else authority
    base.point_at(host, port, "sesame", sslmode=sslmode, sslrootcert=str(trusted.root))
    with base.connect() as conn, refused("08001", "cannot reach the rowvec worker") as refusal:
        conn.execute(EMBED, ("x",))
    assert words in refusal.detail
    assert "sesame" not in refusal.everything


def test_fault_16_clients_of_other_libraries(port: int, authority: Authority) -> None:
    """The libpq of psycopg: encrypted with TLS 1.2 or later, and refused without."""
    conninfo = f"host=localhost port={port} user=rowvec password=sesame dbname=rowvec"
    with psycopg.connect(
        conninfo, sslmode="verify-full", sslrootcert=str(authority.root)
    ) as connection:
        assert connection.pgconn.used_password
        assert connection.pgconn.ssl_in_use
    for settings in ("sslmode=disable", "ssl_max_protocol_version=TLSv1.1"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"{conninfo} {settings}")


def test_fault_16_channel_binding_is_not_offered(port: int) -> None:
    """Who requires it is refused by libpq, before the password is shown."""
    conninfo = f"host=localhost port={port} user=rowvec password=sesame dbname=rowvec"
    with pytest.raises(psycopg.OperationalError, match="channel binding is required"):
        psycopg.connect(conninfo, sslmode="require", channel_binding="require")
